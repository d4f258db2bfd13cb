"""The signed cuts of a detached month, and its file: every event as the table had it, behind its epoch's anchor.

    {"columns":[…],"month":"2025-09"}
    {"anchor":{"device":…,"epoch":…,"events":…,"first_seq":…,"last_hash":…,…},"public_key":…,"signature":…}
    one line an event, as PostgreSQL's COPY writes it
    …

compressed with zstd. The signature is Ed25519, by the ledger's receipt key, over "cnt1-month" and the canonical JSON of
the anchor.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.contract.chain import Hash, extend

# The first columns of each event's line; the others follow in any order.
CHECKED_COLUMNS: Final = ("school", "device", "epoch", "seq", "hash", "kind", "payload")
_SIGNED_AS = b"cnt1-month"
_BYTES = re.compile(r"\\\\x((?:[0-9a-f]{2})*)")


class MonthAnchor(msgspec.Struct, frozen=True, kw_only=True):
    """The run of an epoch's events in one month. Hashes are hex; `prev`: before the first event, '' behind a hole."""

    school: str
    device: str
    epoch: str
    month: str
    first_seq: int
    last_seq: int
    events: int
    prev: str
    last_hash: str


class SignedAnchor(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor with the ledger's signature; key and signature are hex."""

    anchor: MonthAnchor
    public_key: str
    signature: str


class MonthFileHead(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a month's file."""

    month: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MonthFileCheck:
    """The outcome of a check. `faults`: what does not hold, by its line; none where all does."""

    month: str
    epochs: int
    events: int
    faults: tuple[str, ...]


def sign_anchor(anchor: MonthAnchor, key: Ed25519PrivateKey) -> SignedAnchor:
    """Returns the anchor with the ledger's signature."""
    public = key.public_key().public_bytes_raw().hex()
    return SignedAnchor(anchor=anchor, public_key=public, signature=key.sign(_SIGNED_AS + encode_anchor(anchor)).hex())


def encode_anchor(anchor: MonthAnchor) -> bytes:
    """Returns the canonical bytes of an anchor."""
    return msgspec.json.encode(anchor, order="sorted")


def is_signed(signed: SignedAnchor, keys: Collection[str]) -> bool:
    """Returns True where one of these keys (hex) has signed the anchor."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.public_key)).verify(
            bytes.fromhex(signed.signature), _SIGNED_AS + encode_anchor(signed.anchor)
        )
    except (InvalidSignature, ValueError):
        return False
    return signed.public_key in keys


def check_lines(lines: Iterable[str], keys: Collection[str], known: Collection[bytes] | None = None) -> MonthFileCheck:
    """Returns what of a month's file holds. `keys`: the ledger's receipt keys, hex.

    `known`: the canonical bytes of all anchors of the month as the ledger has them, or None where it is not asked.
    """
    source = iter(enumerate(lines, 1))
    faults: list[str] = []
    try:
        head = msgspec.json.decode(next(source, (0, ""))[1], type=MonthFileHead)
    except msgspec.DecodeError:
        return MonthFileCheck("", 0, 0, ("line 1: no month's file",))
    if head.columns[: len(CHECKED_COLUMNS)] != CHECKED_COLUMNS:
        return MonthFileCheck(head.month, 0, 0, ("line 1: other columns than those of this version",))
    run: _AnchoredRun | None = None
    events, found = 0, set[bytes]()
    for number, line in source:
        if line.startswith("{"):
            faults += run.finish() if run else ()
            try:
                signed = msgspec.json.decode(line, type=SignedAnchor)
            except msgspec.DecodeError:
                faults.append(f"line {number}: no anchor")
                break
            run = _AnchoredRun(signed.anchor, number)
            found.add(encode_anchor(signed.anchor))
            if not is_signed(signed, keys) or signed.anchor.month != head.month:
                faults.append(f"line {number}: this ledger has not signed the anchor")
        elif run is None:
            faults.append(f"line {number}: an event without an anchor")
            break
        else:
            events += 1
            faults += run.take(line, number)
    faults += run.finish() if run else ()
    if known is not None and found != set(known):
        faults.append(f"{len(set(known) ^ found)} anchors are not those that the ledger has")
    return MonthFileCheck(head.month, len(found), events, tuple(faults[:100]))


class _AnchoredRun:
    """The events behind one anchor, linked one by one."""

    def __init__(self, anchor: MonthAnchor, number: int) -> None:
        self._anchor, self._number = anchor, number
        self._seq, self._hash, self._events = anchor.first_seq - 1, anchor.prev, 0

    def take(self, line: str, number: int) -> Iterator[str]:
        cells = line.rstrip("\n").split("\t")
        school, device, epoch, seq, hash_text, kind, payload = cells[: len(CHECKED_COLUMNS)]
        place = (self._anchor.school, self._anchor.device, self._anchor.epoch)
        digest, body = _BYTES.fullmatch(hash_text), _BYTES.fullmatch(payload)
        if (school, device, epoch) != place or digest is None or body is None or int(seq) <= self._seq:
            yield f"line {number}: not the next event of this epoch"
            return
        linked = int(seq) == self._seq + 1 and self._hash  # behind a hole there is nothing to link to
        is_opaque = not linked or kind == "tombstone"
        if not is_opaque and extend(Hash(bytes.fromhex(self._hash)), bytes.fromhex(body[1])).hex() != digest[1]:
            yield f"line {number}: event {seq} of {device}/{epoch} does not follow from the one before it"
        self._seq, self._hash, self._events = int(seq), digest[1], self._events + 1

    def finish(self) -> Iterator[str]:
        anchor = self._anchor
        if (self._seq, self._hash, self._events) != (anchor.last_seq, anchor.last_hash, anchor.events):
            yield f"line {self._number}: the events of {anchor.device}/{anchor.epoch} do not end as their anchor says"
