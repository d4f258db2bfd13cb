"""Writes the journal as JSON Lines, for auditors: all that is needed to walk the chain again without this program.

    {"anchor_hash":"…","anchor_seq":0,"device":"…","epoch":"…","head_hash":"…","head_seq":2,"parent_head":"",
     "public_key":"…"}                                                       one for each epoch, then its rows:
    {"hash":"…","seq":1,"event":<the payload, byte for byte as it was hashed>}
    {"hash":"…","seq":2,"event":…}

`sync/contract/chain.py` says how the hashes are made. A file may have more bytes in it than memory: it is streamed.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge_agent.journal.epochs import EpochRow, read_epochs
from edge_agent.journal.errors import SET_ASIDE, STORE_ERRORS, JournalDamaged, is_damage
from edge_agent.journal.rows import NO_HASH, walk_chain
from edge_agent.journal.store import connect_read_only
from edge_agent.journal.verify import ChainBreak, ChainCheck
from sync.contract.chain import DeviceId, Epoch, Hash, Head, extend, genesis

EXPORT_LINE_BYTES_MAX = 64 * 1024
PROGRESS_ROWS = 1_000  # between two words on how far a file was read


class ExportHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The line of one epoch, with these names; bytes are in hex."""

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
    """One epoch of an export. Its rows follow."""

    device: DeviceId
    public_key: bytes
    epoch: Epoch
    parent_head: bytes
    anchor: Head
    head: Head


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """One row of an export, of the epoch before it."""

    seq: int
    hash: Hash
    payload: bytes


class NotAnExport(ValueError):
    """A line of the file is not a line of an export."""


def export_journal(path: Path, target: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Writes the journal at `path`, live or not, to a new file; returns the number of rows.

    `progress` is told, page by page, how many rows were written and how many there are.

    Raises FileExistsError, `JournalDamaged` at a row that does not hold: nothing is left under `target` then.
    """
    if target.exists():
        raise FileExistsError(f"{target} is already there; name another file")
    part = target.with_name(target.name + ".part")
    with open(part, "wb", opener=_open_private) as out:
        count = _write_export(path, out, progress)
        out.flush()
        os.fsync(out.fileno())
    part.rename(target)
    return count


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _write_export(path: Path, out: BinaryIO, progress: Callable[[int, int], None]) -> int:
    count = 0
    try:
        with closing(connect_read_only(path)) as connection:
            connection.execute("BEGIN")  # one snapshot, whatever is appended meanwhile
            epochs = read_epochs(connection)
            total = sum(epoch.head.seq - epoch.anchor.seq for epoch in epochs)
            for epoch in epochs:
                out.write(msgspec.json.encode(_make_header(epoch), order="sorted") + b"\n")
                for page in walk_chain(connection, epoch, epoch.anchor, epoch.head.seq):
                    out.writelines(_make_line(*row) for row in page)
                    count += len(page)
                    progress(count, total)
    except STORE_ERRORS as error:
        if is_damage(error):
            raise JournalDamaged(f"{path}: {error}; {SET_ASIDE}") from error
        raise
    return count


_PREFIX = b'{"hash":"%s","seq":%d,"event":'


def _make_line(seq: int, payload: bytes, row_hash: Hash) -> bytes:
    return _PREFIX % (row_hash.hex().encode(), seq) + payload + b"}\n"


def _make_header(epoch: EpochRow) -> ExportHeader:
    return ExportHeader(
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
    """Yields the epochs and rows of these lines, in their order. Raises `NotAnExport`, which names the line."""
    for number, line in enumerate(lines, 1):
        try:
            yield _read_row(line) if line.startswith(b'{"hash":') else _read_epoch(line)
        except (msgspec.DecodeError, ValueError) as error:
            raise NotAnExport(f"line {number}: {error}") from error


def _read_row(line: bytes) -> ExportedRow:
    start = line.index(b'"event":') + len(b'"event":')
    seq = int(line[line.index(b'"seq":') + len(b'"seq":') : start - len(b',"event":')])
    row_hash = Hash(bytes.fromhex(line[len(b'{"hash":"') :][:64].decode()))
    if line != _PREFIX % (row_hash.hex().encode(), seq) + line[start:] or not line.endswith(b"}\n"):
        raise ValueError("a row that is cut off or was written by something else")
    return ExportedRow(seq, row_hash, line[start:-2])


def _read_epoch(line: bytes) -> ExportedEpoch:
    header = msgspec.json.decode(line, type=ExportHeader)
    return ExportedEpoch(
        DeviceId(header.device),
        bytes.fromhex(header.public_key),
        Epoch(header.epoch),
        bytes.fromhex(header.parent_head),
        Head(header.anchor_seq, Hash(bytes.fromhex(header.anchor_hash))),
        Head(header.head_seq, Hash(bytes.fromhex(header.head_hash))),
    )


def verify_export(path: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> ChainCheck:
    """Returns the verdict on an export, from nothing but the file. Raises `NotAnExport`, OSError.

    `progress` is told how many bytes were read and how many there are.
    """
    epochs = rows = 0
    current: ExportedEpoch | None = None
    head = Head(0, NO_HASH)

    def verdict(epoch: str, seq: int, what: str) -> ChainCheck:
        return ChainCheck(epochs, rows, ChainBreak(epoch, seq, what))

    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for part in read_export(iter(lambda: file.readline(EXPORT_LINE_BYTES_MAX), b"")):
            if isinstance(part, ExportedEpoch):
                if current is not None and head != current.head:
                    return verdict(current.epoch, head.seq + 1, "missing")
                first_hash = genesis(part.device, part.public_key, part.epoch, part.parent_head)
                if part.anchor.seq == 0 and part.anchor.hash != first_hash:
                    return verdict(part.epoch, 0, "the chain does not start at its genesis")
                epochs, current, head = epochs + 1, part, part.anchor
                continue
            if current is None:
                raise NotAnExport("line 1: a row before its epoch")
            if part.seq != head.seq + 1:
                return verdict(current.epoch, head.seq + 1, "missing")
            if extend(head.hash, part.payload) != part.hash:
                return verdict(current.epoch, part.seq, "its bytes are not those that were hashed")
            head, rows = Head(part.seq, part.hash), rows + 1
            if rows % PROGRESS_ROWS == 0:
                progress(file.tell(), size)
    if current is None:
        return verdict("", 0, "an empty file")
    if head != current.head:
        return verdict(current.epoch, head.seq + 1, "missing")
    return ChainCheck(epochs, rows, None)
