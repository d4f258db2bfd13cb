"""The ledger's word about our rows: the acknowledged head, the receipts, the quarantine."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from edge_agent.journal.epochs import EpochRow
from edge_agent.journal.errors import AcknowledgementDisagrees
from edge_agent.journal.rows import read_hash
from sync.client.ports import DEFERRED, DeferredEvent
from sync.contract.chain import Epoch, Head
from sync.contract.wire import read_time, time_text

UPDATE_ACKNOWLEDGED = "UPDATE epoch SET acked_seq = ?, acked_hash = ? WHERE ordinal = ?"
# The last receipt of a day covers all those before it.
UPSERT_RECEIPT = """
    INSERT INTO receipt (epoch, received_on, seq, hash, receipt) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (epoch, received_on)
    DO UPDATE SET seq = excluded.seq, hash = excluded.hash, receipt = excluded.receipt
"""
# The ledger's last word about an event replaces an earlier one.
UPSERT_QUARANTINE = """
    INSERT INTO quarantine (epoch, seq, code, detail, tombstone, at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (epoch, seq)
    DO UPDATE SET code = excluded.code, detail = excluded.detail, tombstone = excluded.tombstone, at = excluded.at
"""
# The payload lies in the quarantine once retention has removed the event.
SELECT_QUARANTINE = """
    SELECT p.id, q.seq, q.code, q.detail, q.tombstone, q.at, coalesce(q.payload, e.payload, x'')
    FROM quarantine AS q JOIN epoch AS p ON p.ordinal = q.epoch
    LEFT JOIN event AS e ON e.epoch = q.epoch AND e.seq = q.seq
    ORDER BY q.epoch DESC, q.seq DESC LIMIT ?
"""


# Epoch and number are the row's own: these events stay until their bytes are stored somewhere else, too.
SELECT_DEFERRED = """
    SELECT p.id, q.seq, q.at FROM quarantine AS q JOIN epoch AS p ON p.ordinal = q.epoch
    WHERE q.tombstone = 1 AND q.code >= ? AND q.code < ? ORDER BY q.at, q.epoch, q.seq
"""


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """An event that a person must look at, since the ledger did not take it as it is."""

    epoch: Epoch
    seq: int
    code: str
    detail: str
    tombstone: bool  # the ledger has only the hash; the bytes are on this kiosk alone
    noted_utc: datetime
    payload: bytes


def acknowledge_head(
    connection: sqlite3.Connection, epoch: EpochRow, head: Head, receipt: bytes, received_utc: datetime
) -> Head:
    """Moves the acknowledged head up to `head` and stores the day's last receipt; returns the acknowledged head.

    A head behind the acknowledged one changes nothing. Raises `AcknowledgementDisagrees` when the row here has another
    hash, or there is no such row.
    """
    own_hash = read_hash(connection, epoch, head.seq)
    if own_hash is None and epoch.anchor.seq < head.seq:
        raise AcknowledgementDisagrees(
            f"the ledger has event {head.seq} of epoch {epoch.id}, this journal ends at {epoch.head.seq}: it was "
            "restored from a copy, or another kiosk has this identity; open a new epoch"
        )
    if own_hash is not None and own_hash != head.hash:
        raise AcknowledgementDisagrees(
            f"event {head.seq} of epoch {epoch.id} is another one at the ledger; open a new epoch"
        )
    if head.seq <= epoch.acked.seq:
        return epoch.acked
    connection.execute(UPDATE_ACKNOWLEDGED, (head.seq, head.hash, epoch.ordinal))
    connection.execute(UPSERT_RECEIPT, (epoch.ordinal, received_utc.date().isoformat(), head.seq, head.hash, receipt))
    return head


def note_quarantine(
    connection: sqlite3.Connection,
    ordinal: int,
    seq: int,
    code: str,
    detail: str,
    tombstone: bool,
    noted_utc: datetime,
) -> None:
    """Notes why the ledger did not take an event as it is."""
    connection.execute(UPSERT_QUARANTINE, (ordinal, seq, code, detail, int(tombstone), time_text(noted_utc)))


def read_deferred(connection: sqlite3.Connection) -> list[DeferredEvent]:
    """Returns the events that were refused by somebody other than the ledger, the longest noted first."""
    rows = connection.execute(SELECT_DEFERRED, (DEFERRED, DEFERRED + "~")).fetchall()
    return [DeferredEvent(epoch, seq, read_time(noted_utc)) for epoch, seq, noted_utc in rows]


def read_quarantine(connection: sqlite3.Connection, rows_max: int) -> list[QuarantineRow]:
    """Returns the quarantine of every epoch, newest event first."""
    return [
        QuarantineRow(epoch, seq, code, detail, bool(tombstone), read_time(noted_utc), payload)
        for epoch, seq, code, detail, tombstone, noted_utc, payload in connection.execute(
            SELECT_QUARANTINE, (rows_max,)
        )
    ]
