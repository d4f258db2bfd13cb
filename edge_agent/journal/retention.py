"""Retention: only what a receipt covers and our own hash agrees with, and only after a stated number of days.

Age is the day on which the receipt came, not the time in the event: a kiosk that woke up in 1970 would otherwise lose
its rows at once, and one that woke up in 2036 would never lose one.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from edge_agent.journal.epochs import EpochRow
from edge_agent.journal.errors import SET_ASIDE, JournalDamaged
from edge_agent.journal.rows import read_hash
from edge_agent.journal.sightings import remove_from_index
from sync.client.ports import DEFERRED
from sync.contract.chain import Epoch, Head

SELECT_LAST_RECEIPT_BEFORE = """
    SELECT seq, hash FROM receipt WHERE epoch = ? AND received_on < ? ORDER BY seq DESC LIMIT 1
"""
# Of these the ledger has only the hash: their bytes are still to be offered.
SELECT_FIRST_DEFERRED = "SELECT min(seq) FROM quarantine WHERE epoch = ? AND tombstone = 1 AND code >= ? AND code < ?"
# Quarantined events outlive their rows: a person must still be able to read them.
UPDATE_QUARANTINE_PAYLOADS = """
    UPDATE quarantine
    SET payload = (SELECT payload FROM event WHERE epoch = quarantine.epoch AND seq = quarantine.seq)
    WHERE epoch = ? AND seq <= ? AND payload IS NULL
"""
# Before the rows go: the table's trigger lets only rows up to the anchor be deleted.
UPDATE_ANCHOR = "UPDATE epoch SET anchor_seq = ?, anchor_hash = ? WHERE ordinal = ?"
SELECT_PRUNED_EVENTS = "SELECT seq, payload FROM event WHERE epoch = ? AND seq <= ?"
DELETE_EVENTS = "DELETE FROM event WHERE epoch = ? AND seq <= ?"
# The receipt of the anchor itself stays: it is the proof for what was pruned.
DELETE_RECEIPTS = "DELETE FROM receipt WHERE epoch = ? AND seq < ?"


@dataclass(frozen=True, slots=True)
class PrunedRange:
    """The rows of `epoch` up to `through_seq` are pruned; `rows` of them were pruned this time."""

    epoch: Epoch
    through_seq: int
    rows: int


def prune_rows(
    connection: sqlite3.Connection, epochs: Sequence[EpochRow], before: datetime, rows_max: int
) -> tuple[list[EpochRow], list[PrunedRange]]:
    """Removes rows whose receipt came before that day (UTC), at most `rows_max`, oldest epoch first.

    Returns the epochs as they are then, and what was pruned. Raises `JournalDamaged`.
    """
    covered_seqs = _find_covered_seqs(connection, epochs, before.date().isoformat())
    epochs_after, pruned_ranges = [], []
    for epoch in epochs:
        through = min(covered_seqs[epoch.ordinal], epoch.anchor.seq + rows_max)
        if through > epoch.anchor.seq:
            rows = through - epoch.anchor.seq
            rows_max -= rows
            pruned_ranges.append(PrunedRange(epoch.id, through, rows))
            epochs_after.append(_remove_rows(connection, epoch, through))
        else:
            epochs_after.append(epoch)
    return epochs_after, pruned_ranges


def _find_covered_seqs(connection: sqlite3.Connection, epochs: Sequence[EpochRow], day: str) -> dict[int, int]:
    """Returns for each epoch's ordinal the number up to which the ledger has had every event since before `day`."""
    covered: dict[int, int] = {}
    successor: EpochRow | None = None
    for epoch in reversed(epochs):
        receipt = connection.execute(SELECT_LAST_RECEIPT_BEFORE, (epoch.ordinal, day)).fetchone()
        through = 0
        if receipt is not None and receipt[0] > epoch.anchor.seq:
            if read_hash(connection, epoch, receipt[0]) != receipt[1]:
                raise JournalDamaged(f"epoch {epoch.id}: row {receipt[0]} is not what its receipt covers; {SET_ASIDE}")
            through = receipt[0]
        # What a closed epoch could not send travels in its successor: once that has arrived, all of it has.
        if successor is not None and 0 < successor.carried_seq <= covered[successor.ordinal]:
            through = epoch.head.seq
        (deferred,) = connection.execute(SELECT_FIRST_DEFERRED, (epoch.ordinal, DEFERRED, DEFERRED + "~")).fetchone()
        if deferred is not None:
            through = min(through, deferred - 1)
        covered[epoch.ordinal] = max(through, epoch.anchor.seq)
        successor = epoch
    return covered


def _remove_rows(connection: sqlite3.Connection, epoch: EpochRow, through: int) -> EpochRow:
    anchor_hash = read_hash(connection, epoch, through)
    if anchor_hash is None:
        raise JournalDamaged(f"epoch {epoch.id}: row {through} is missing; {SET_ASIDE}")
    span = (epoch.ordinal, through)
    connection.execute(UPDATE_QUARANTINE_PAYLOADS, span)
    connection.execute(UPDATE_ANCHOR, (through, anchor_hash, epoch.ordinal))
    events = connection.execute(SELECT_PRUNED_EVENTS, span).fetchall()
    remove_from_index(connection, epoch.ordinal, events)
    connection.execute(DELETE_EVENTS, span)
    connection.execute(DELETE_RECEIPTS, span)
    return replace(epoch, anchor=Head(through, anchor_hash))
