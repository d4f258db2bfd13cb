"""The journal as JSON Lines, for auditors: everything that is needed to walk the chain again without this program.

    {"anchor_hash":"…","anchor_seq":0,"device":"…","epoch":"…","head_hash":"…","head_seq":2,"parent_head":"",
     "public_key":"…"}                                                       one for each epoch, then its rows:
    {"hash":"…","seq":1,"event":<the payload, byte for byte as it was hashed>}
    {"hash":"…","seq":2,"event":…}

`sync/contract/chain.py` says how the hashes are made. A file may have more bytes in it than memory: it is streamed.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge_agent.journal import rows
from edge_agent.journal.errors import STORE_ERRORS, JournalDamaged, damaged
from edge_agent.journal.rows import EpochRow
from edge_agent.journal.store import connect_read_only
from edge_agent.journal.verify import Broken, Verdict
from sync.contract.chain import DeviceId, Epoch, Hash, Head, extend, genesis

LINE_BYTES_MAX = 64 * 1024


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    device: str
    public_key: str
    epoch: str
    parent_head: str
    anchor_seq: int
    anchor_hash: str
    head_seq: int
    head_hash: str


@dataclass(frozen=True, slots=True)
class ExportedEpoch:
    """What an export says of one epoch before its rows."""

    device: DeviceId
    public_key: bytes
    epoch: Epoch
    parent_head: bytes
    anchor: Head
    head: Head


@dataclass(frozen=True, slots=True)
class ExportedRow:
    seq: int
    hash: Hash
    payload: bytes


class NotAnExport(ValueError):
    """This line is none of an export's."""


def export(path: Path, target: Path) -> int:
    """Write the journal at `path`, live or not, to a new file; the rows written.

    Raises FileExistsError, `JournalDamaged` at a row that does not hold: nothing is left under `target` then.
    """
    if target.exists():
        raise FileExistsError(f"{target} is already there; name another file")
    part = target.with_name(target.name + ".part")
    with open(part, "wb", opener=_private) as out:
        count = _write(path, out)
        out.flush()
        os.fsync(out.fileno())
    part.rename(target)
    return count


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _write(path: Path, out: BinaryIO) -> int:
    count = 0
    try:
        with closing(connect_read_only(path)) as connection:
            connection.execute("BEGIN")  # one snapshot, whatever is appended meanwhile
            for epoch in rows.epochs(connection):
                out.write(msgspec.json.encode(_header(epoch), order="sorted") + b"\n")
                for found in rows.walk(connection, epoch, epoch.anchor, epoch.head.seq):
                    out.writelines(_line(*row) for row in found)
                    count += len(found)
    except STORE_ERRORS as error:
        if damaged(error):
            raise JournalDamaged(f"{path}: {error}; {rows.SET_ASIDE}") from error
        raise
    return count


_PREFIX = b'{"hash":"%s","seq":%d,"event":'


def _line(seq: int, payload: bytes, own: Hash) -> bytes:
    return _PREFIX % (own.hex().encode(), seq) + payload + b"}\n"


def _header(epoch: EpochRow) -> _Header:
    return _Header(
        device=epoch.device,
        public_key=epoch.public_key.hex(),
        epoch=epoch.id,
        parent_head=epoch.parent_head.hex(),
        anchor_seq=epoch.anchor.seq,
        anchor_hash=epoch.anchor.hash.hex(),
        head_seq=epoch.head.seq,
        head_hash=epoch.head.hash.hex(),
    )


def read_export(lines: Iterable[bytes]) -> Iterator[ExportedEpoch | ExportedRow]:
    """What the lines of an export say, in order. Raises `NotAnExport`, naming the line."""
    for number, line in enumerate(lines, 1):
        try:
            yield _row(line) if line.startswith(b'{"hash":') else _epoch(line)
        except (msgspec.DecodeError, ValueError) as error:
            raise NotAnExport(f"line {number}: {error}") from error


def _row(line: bytes) -> ExportedRow:
    start = line.index(b'"event":') + len(b'"event":')
    seq = int(line[line.index(b'"seq":') + len(b'"seq":') : start - len(b',"event":')])
    own = Hash(bytes.fromhex(line[len(b'{"hash":"') :][:64].decode()))
    if line != _PREFIX % (own.hex().encode(), seq) + line[start:] or not line.endswith(b"}\n"):
        raise ValueError("a row that is cut off or was written by something else")
    return ExportedRow(seq, own, line[start:-2])


def _epoch(line: bytes) -> ExportedEpoch:
    said = msgspec.json.decode(line, type=_Header)
    return ExportedEpoch(
        DeviceId(said.device),
        bytes.fromhex(said.public_key),
        Epoch(said.epoch),
        bytes.fromhex(said.parent_head),
        Head(said.anchor_seq, Hash(bytes.fromhex(said.anchor_hash))),
        Head(said.head_seq, Hash(bytes.fromhex(said.head_hash))),
    )


def verify_export(path: Path) -> Verdict:
    """The verdict on an export, by nothing but the file. Raises `NotAnExport`, OSError."""
    epochs = count = 0
    current: ExportedEpoch | None = None
    head = Head(0, rows.NO_HASH)
    with path.open("rb") as file:
        for said in read_export(iter(lambda: file.readline(LINE_BYTES_MAX), b"")):
            if isinstance(said, ExportedEpoch):
                if current is not None and head != current.head:
                    return Verdict(epochs, count, Broken(current.epoch, head.seq + 1, "missing"))
                if genesis(said.device, said.public_key, said.epoch, said.parent_head) != said.anchor.hash and (
                    said.anchor.seq == 0
                ):
                    return Verdict(epochs, count, Broken(said.epoch, 0, "the chain does not start at its genesis"))
                epochs, current, head = epochs + 1, said, said.anchor
                continue
            if current is None:
                raise NotAnExport("line 1: a row before its epoch")
            if said.seq != head.seq + 1:
                return Verdict(epochs, count, Broken(current.epoch, head.seq + 1, "missing"))
            if extend(head.hash, said.payload) != said.hash:
                what = "its bytes are not those that were hashed"
                return Verdict(epochs, count, Broken(current.epoch, said.seq, what))
            head, count = Head(said.seq, said.hash), count + 1
    if current is None:
        return Verdict(0, 0, Broken("", 0, "an empty file"))
    if head != current.head:
        return Verdict(epochs, count, Broken(current.epoch, head.seq + 1, "missing"))
    return Verdict(epochs, count, None)
