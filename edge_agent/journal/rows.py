"""Rows of the journal as data, and the few statements that touch the chain itself."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from edge_agent.journal.errors import JournalDamaged
from sync.contract.chain import DeviceId, Epoch, Hash, Head, extend, genesis

LINKS_CHECKED_AT_START = 1_000
PAGE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Kiosk:
    """The identity that the chain's genesis holds, and the school whose events these are."""

    device: DeviceId
    public_key: bytes  # 32 raw bytes of Ed25519
    school: str


class Appended(msgspec.Struct, frozen=True):
    """Where a fact was kept: its identity within the device, for ever, and the chain's hash there."""

    epoch: Epoch
    seq: int
    hash: Hash


@dataclass(frozen=True, slots=True)
class Kept:
    """One row: identity, the bytes that were hashed, the chain's hash."""

    epoch: Epoch
    seq: int
    payload: bytes
    hash: Hash


class EpochRow(msgspec.Struct, frozen=True):
    """One life of the journal. `anchor`: where the rows that are kept begin; (0, genesis) unless some were pruned."""

    ordinal: int
    id: Epoch
    device: DeviceId
    public_key: bytes
    parent_head: bytes
    genesis: Hash
    anchor: Head
    head: Head
    acked: Head
    carried_seq: int

    def check(self) -> None:
        """Raises `JournalDamaged` when the row contradicts itself."""
        if genesis(self.device, self.public_key, self.id, self.parent_head) != self.genesis:
            raise JournalDamaged(f"epoch {self.id}: its genesis does not follow from its identity; {SET_ASIDE}")
        for name, head in (("anchor", self.anchor), ("head", self.head), ("acknowledged head", self.acked)):
            if head.seq == 0 and head.hash != self.genesis:
                raise JournalDamaged(f"epoch {self.id}: its {name} is 0 but not the genesis; {SET_ASIDE}")


NO_HASH = Hash(bytes(32))
SET_ASIDE = "set the journal aside and open a new one"

# Cast, because a flipped bit on the disk may make another type of a column, or NULL: that is to fail the hash, not us.
_EPOCH_COLUMNS = ", ".join(
    f"CAST(coalesce({name}, '') AS {kind})"
    for name, kind in (
        ("ordinal", "INTEGER"),
        ("id", "TEXT"),
        ("device", "TEXT"),
        ("public_key", "BLOB"),
        ("parent_head", "BLOB"),
        ("genesis", "BLOB"),
        ("anchor_seq", "INTEGER"),
        ("anchor_hash", "BLOB"),
        ("head_seq", "INTEGER"),
        ("head_hash", "BLOB"),
        ("acked_seq", "INTEGER"),
        ("acked_hash", "BLOB"),
        ("carried_seq", "INTEGER"),
    )
)
PAYLOAD_AND_HASH = "CAST(payload AS BLOB), CAST(hash AS BLOB)"


def epochs(connection: sqlite3.Connection) -> list[EpochRow]:
    """Every epoch, the current one last."""
    found = connection.execute(f"SELECT {_EPOCH_COLUMNS} FROM epoch ORDER BY ordinal").fetchall()  # noqa: S608
    return [
        EpochRow(ordinal, id_, device, key, parent, first, Head(a_seq, a), Head(h_seq, h), Head(k_seq, k), carried)
        for ordinal, id_, device, key, parent, first, a_seq, a, h_seq, h, k_seq, k, carried in found
    ]


def open_epoch(
    connection: sqlite3.Connection, kiosk: Kiosk, epoch: Epoch, *, parent_head: bytes, at: str, why: str
) -> EpochRow:
    """Add an epoch behind the ones there are; it is the current one from now on."""
    (ordinal,) = connection.execute("SELECT coalesce(max(ordinal), 0) + 1 FROM epoch").fetchone()
    first = genesis(kiosk.device, kiosk.public_key, epoch, parent_head)
    connection.execute(
        "INSERT INTO epoch (ordinal, id, device, public_key, parent_head, genesis, anchor_hash, head_hash, acked_hash,"
        " opened_at, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (ordinal, epoch, kiosk.device, kiosk.public_key, parent_head, first, first, first, first, at, why),
    )
    start = Head(0, first)
    return EpochRow(
        ordinal, epoch, kiosk.device, kiosk.public_key, parent_head, first, start, start, start, carried_seq=0
    )


def insert(connection: sqlite3.Connection, ordinal: int, head: Head, payloads: Iterable[bytes]) -> list[Head]:
    """Chain these bytes behind `head`; the epoch's head row goes with them. The heads after each."""
    heads = []
    seq, last = head.seq, head.hash
    for payload in payloads:
        seq, last = seq + 1, extend(last, payload)
        connection.execute(
            "INSERT INTO event (epoch, seq, payload, hash) VALUES (?, ?, ?, ?)", (ordinal, seq, payload, last)
        )
        heads.append(Head(seq, last))
    connection.execute("UPDATE epoch SET head_seq = ?, head_hash = ? WHERE ordinal = ?", (seq, last, ordinal))
    return heads


def page(
    connection: sqlite3.Connection, ordinal: int, after: int, rows_max: int = PAGE_ROWS
) -> list[tuple[int, bytes, Hash]]:
    """Up to `rows_max` rows of an epoch behind `after`: (seq, payload, hash)."""
    return connection.execute(
        f"SELECT seq, {PAYLOAD_AND_HASH} FROM event WHERE epoch = ? AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
        (ordinal, after, rows_max),
    ).fetchall()


def recent(connection: sqlite3.Connection, rows_max: int) -> list[Kept]:
    """The last rows, newest first, over every epoch."""
    found = connection.execute(
        f"SELECT p.id, e.seq, {PAYLOAD_AND_HASH} FROM event AS e CROSS JOIN epoch AS p"  # noqa: S608
        " ON p.ordinal = e.epoch ORDER BY e.epoch DESC, e.seq DESC LIMIT ?",
        (rows_max,),
    )
    return [Kept(epoch, seq, payload, own) for epoch, seq, payload, own in found]


def hash_of(connection: sqlite3.Connection, epoch: EpochRow, seq: int) -> Hash | None:
    """The chain's hash at `seq`; None where the row is not there (pruned, or not yet)."""
    if seq in {0, epoch.anchor.seq}:
        return epoch.genesis if seq == 0 else epoch.anchor.hash
    row = connection.execute("SELECT hash FROM event WHERE epoch = ? AND seq = ?", (epoch.ordinal, seq)).fetchone()
    return None if row is None else Hash(row[0])


def checked(epoch: Epoch, head: Head, found: Sequence[tuple[int, bytes, Hash]]) -> Head:
    """Walk these rows behind `head`; the head after them. Raises `JournalDamaged` at the first that breaks."""
    seq, last = head.seq, head.hash
    for number, payload, kept in found:
        if number != seq + 1:
            raise JournalDamaged(f"epoch {epoch}: row {seq + 1} is missing; {SET_ASIDE}")
        seq, last = number, extend(last, payload)
        if last != kept:
            raise JournalDamaged(f"epoch {epoch}: row {seq} is not what was kept; {SET_ASIDE}")
    return Head(seq, last)


def check_tail(connection: sqlite3.Connection, epoch: EpochRow, links_max: int = LINKS_CHECKED_AT_START) -> None:
    """Check that the last links hold and end in the head row. Raises `JournalDamaged`."""
    start = max(epoch.anchor.seq, epoch.head.seq - links_max)
    before = hash_of(connection, epoch, start)
    if before is None:
        raise JournalDamaged(f"epoch {epoch.id}: row {start} is missing; {SET_ASIDE}")
    end = checked(epoch.id, Head(start, before), page(connection, epoch.ordinal, start, links_max + 1))
    if end != epoch.head:
        raise JournalDamaged(
            f"epoch {epoch.id}: the chain ends at {end.seq}, its head row says {epoch.head.seq}; {SET_ASIDE}"
        )


def walk(
    connection: sqlite3.Connection, epoch: EpochRow, after: Head, through: int
) -> Iterator[list[tuple[int, bytes, Hash]]]:
    """Pages of checked rows behind `after` up to `through`. Raises `JournalDamaged`."""
    while after.seq < through:
        found = page(connection, epoch.ordinal, after.seq, min(PAGE_ROWS, through - after.seq))
        if not found:
            raise JournalDamaged(f"epoch {epoch.id}: row {after.seq + 1} is missing; {SET_ASIDE}")
        after = checked(epoch.id, after, found)
        yield found
