"""Retention: only what a receipt covers and our own hash agrees with, and only after a stated number of days.

Age is the day on which the receipt came, not the time in the event: a kiosk that woke up in 1970 would otherwise lose
its rows at once, and one that woke up in 2036 would keep them for ever.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from edge_agent.journal import sightings
from edge_agent.journal.errors import JournalDamaged
from edge_agent.journal.rows import SET_ASIDE, EpochRow, hash_of
from sync.contract.chain import Epoch, Head


@dataclass(frozen=True, slots=True)
class Removed:
    """The rows of `epoch` up to `through_seq` are gone; `rows` of them went this time."""

    epoch: Epoch
    through_seq: int
    rows: int


def prune(
    connection: sqlite3.Connection, epochs: Sequence[EpochRow], before: datetime, rows_max: int
) -> tuple[list[EpochRow], list[Removed]]:
    """Remove what may go, at most `rows_max` rows, oldest epoch first. The epochs as they are now, and what went."""
    day = before.date().isoformat()
    covered = _covered(connection, epochs, day)
    kept, removed = [], []
    for epoch in epochs:
        through = min(covered[epoch.ordinal], epoch.anchor.seq + rows_max)
        if through > epoch.anchor.seq:
            rows = through - epoch.anchor.seq
            rows_max -= rows
            removed.append(Removed(epoch.id, through, rows))
            kept.append(_remove(connection, epoch, through))
        else:
            kept.append(epoch)
    return kept, removed


def _covered(connection: sqlite3.Connection, epochs: Sequence[EpochRow], day: str) -> dict[int, int]:
    """Up to which row of each epoch the ledger has everything since before `day`, by its receipts."""
    covered: dict[int, int] = {}
    successor: EpochRow | None = None
    for epoch in reversed(epochs):
        receipt = connection.execute(
            "SELECT seq, hash FROM receipt WHERE epoch = ? AND received_on < ? ORDER BY seq DESC LIMIT 1",
            (epoch.ordinal, day),
        ).fetchone()
        through = 0
        if receipt is not None and receipt[0] > epoch.anchor.seq:
            if hash_of(connection, epoch, receipt[0]) != receipt[1]:
                raise JournalDamaged(f"epoch {epoch.id}: row {receipt[0]} is not what its receipt covers; {SET_ASIDE}")
            through = receipt[0]
        # What a closed epoch could not send travels in its successor: once that has arrived, all of it has.
        if successor is not None and 0 < successor.carried_seq <= covered[successor.ordinal]:
            through = epoch.head.seq
        covered[epoch.ordinal] = max(through, epoch.anchor.seq)
        successor = epoch
    return covered


def _remove(connection: sqlite3.Connection, epoch: EpochRow, through: int) -> EpochRow:
    own = hash_of(connection, epoch, through)
    if own is None:
        raise JournalDamaged(f"epoch {epoch.id}: row {through} is missing; {SET_ASIDE}")
    span = (epoch.ordinal, through)
    connection.execute(
        "UPDATE quarantine SET payload = (SELECT payload FROM event WHERE epoch = quarantine.epoch"
        " AND seq = quarantine.seq) WHERE epoch = ? AND seq <= ? AND payload IS NULL",
        span,
    )
    connection.execute(
        "UPDATE epoch SET anchor_seq = ?, anchor_hash = ? WHERE ordinal = ?", (through, own, epoch.ordinal)
    )
    going = connection.execute("SELECT seq, payload FROM event WHERE epoch = ? AND seq <= ?", span).fetchall()
    sightings.forget(connection, epoch.ordinal, going)
    connection.execute("DELETE FROM event WHERE epoch = ? AND seq <= ?", span)
    connection.execute("DELETE FROM receipt WHERE epoch = ? AND seq < ?", span)
    return replace(epoch, anchor=Head(through, own))
