"""The rows of the chain: how they are appended, read and checked."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from edge_agent.journal.epochs import EpochRow
from edge_agent.journal.errors import SET_ASIDE, JournalDamaged
from sync.contract.chain import Epoch, Hash, Head, extend

LINKS_CHECKED_WHEN_OPENED = 1_000
PAGE_ROWS = 1_000
NO_HASH = Hash(bytes(32))

# A row and the epoch's head are written in one transaction: the head says where the chain must end.
INSERT_EVENT = "INSERT INTO event (epoch, seq, payload, hash) VALUES (?, ?, ?, ?)"
UPDATE_HEAD = "UPDATE epoch SET head_seq = ?, head_hash = ? WHERE ordinal = ?"
# Cast for the same reason as in `epochs.SELECT_EPOCHS`.
SELECT_PAGE = """
    SELECT seq, CAST(payload AS BLOB), CAST(hash AS BLOB)
    FROM event WHERE epoch = ? AND seq > ? ORDER BY seq LIMIT ?
"""
# CROSS JOIN fixes the order of the tables: the events are walked backwards along their key, and the walk stops early.
SELECT_RECENT = """
    SELECT p.id, e.seq, CAST(e.payload AS BLOB), CAST(e.hash AS BLOB)
    FROM event AS e CROSS JOIN epoch AS p ON p.ordinal = e.epoch
    ORDER BY e.epoch DESC, e.seq DESC LIMIT ?
"""
SELECT_HASH = "SELECT hash FROM event WHERE epoch = ? AND seq = ?"

PageRow = tuple[int, bytes, Hash]  # seq, payload, hash


class AppendedEvent(msgspec.Struct, frozen=True):
    """The place of an event in the chain: its name within the device, for ever, and the hash there."""

    epoch: Epoch
    seq: int
    hash: Hash


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row: the event's name, the bytes that were hashed, the chain's hash."""

    epoch: Epoch
    seq: int
    payload: bytes
    hash: Hash


def append_payloads(connection: sqlite3.Connection, ordinal: int, head: Head, payloads: Iterable[bytes]) -> list[Head]:
    """Chains these payloads behind `head`, moves the epoch's head and returns the head after each payload."""
    heads = []
    seq, last_hash = head.seq, head.hash
    for payload in payloads:
        seq, last_hash = seq + 1, extend(last_hash, payload)
        connection.execute(INSERT_EVENT, (ordinal, seq, payload, last_hash))
        heads.append(Head(seq, last_hash))
    connection.execute(UPDATE_HEAD, (seq, last_hash, ordinal))
    return heads


def read_page(connection: sqlite3.Connection, ordinal: int, after: int, rows_max: int = PAGE_ROWS) -> list[PageRow]:
    """Returns up to `rows_max` rows of an epoch behind the number `after`, ascending."""
    return connection.execute(SELECT_PAGE, (ordinal, after, rows_max)).fetchall()


def read_recent_rows(connection: sqlite3.Connection, rows_max: int) -> list[StoredRow]:
    """Returns the last rows, newest first, over every epoch."""
    return [StoredRow(*row) for row in connection.execute(SELECT_RECENT, (rows_max,))]


def read_hash(connection: sqlite3.Connection, epoch: EpochRow, seq: int) -> Hash | None:
    """Returns the chain's hash at `seq`; None where there is no such row: pruned, or not written yet."""
    if seq in {0, epoch.anchor.seq}:
        return epoch.genesis if seq == 0 else epoch.anchor.hash
    row = connection.execute(SELECT_HASH, (epoch.ordinal, seq)).fetchone()
    return None if row is None else Hash(row[0])


def check_links(epoch: Epoch, head: Head, page: Sequence[PageRow]) -> Head:
    """Follows the chain from `head` over these rows; returns the head after them.

    Raises `JournalDamaged` at the first row that is missing or is not what was hashed.
    """
    seq, last_hash = head.seq, head.hash
    for row_seq, payload, row_hash in page:
        if row_seq != seq + 1:
            raise JournalDamaged(f"epoch {epoch}: row {seq + 1} is missing; {SET_ASIDE}")
        seq, last_hash = row_seq, extend(last_hash, payload)
        if last_hash != row_hash:
            raise JournalDamaged(f"epoch {epoch}: row {seq} is not what was kept; {SET_ASIDE}")
    return Head(seq, last_hash)


def check_tail(connection: sqlite3.Connection, epoch: EpochRow, links_max: int = LINKS_CHECKED_WHEN_OPENED) -> None:
    """Checks that the last links hold and end in the head row. Raises `JournalDamaged`.

    It begins at the acknowledged head at the earliest: what the ledger has may be damaged here and blocks nothing.
    """
    start = max(epoch.anchor.seq, epoch.acked.seq, epoch.head.seq - links_max)
    start_hash = epoch.acked.hash if start == epoch.acked.seq else read_hash(connection, epoch, start)
    if start_hash is None:
        raise JournalDamaged(f"epoch {epoch.id}: row {start} is missing; {SET_ASIDE}")
    end = check_links(epoch.id, Head(start, start_hash), read_page(connection, epoch.ordinal, start, links_max + 1))
    if end != epoch.head:
        raise JournalDamaged(
            f"epoch {epoch.id}: the chain ends at {end.seq}, its head row says {epoch.head.seq}; {SET_ASIDE}"
        )


def walk_chain(connection: sqlite3.Connection, epoch: EpochRow, after: Head, through: int) -> Iterator[list[PageRow]]:
    """Yields pages of checked rows behind `after`, up to the number `through`. Raises `JournalDamaged`."""
    while after.seq < through:
        page = read_page(connection, epoch.ordinal, after.seq, min(PAGE_ROWS, through - after.seq))
        if not page:
            raise JournalDamaged(f"epoch {epoch.id}: row {after.seq + 1} is missing; {SET_ASIDE}")
        after = check_links(epoch.id, after, page)
        yield page
