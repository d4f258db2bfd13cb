"""What the ledger has said about our rows: the mark, the receipts, the quarantine."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from edge_agent.journal.errors import AcknowledgementDisagrees
from edge_agent.journal.rows import EpochRow, hash_of
from edge_agent.journal.store import Store
from sync.contract.chain import Epoch, Head
from sync.contract.wire import read_time, time_text

QUARANTINED_SHOWN_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An event that a ledger could not take as it is. `tombstone`: it has only the hash, the bytes are here alone."""

    epoch: Epoch
    seq: int
    code: str
    detail: str
    tombstone: bool
    at: datetime
    payload: bytes


def mark(connection: sqlite3.Connection, epoch: EpochRow, head: Head, receipt: bytes, at: datetime) -> Head:
    """Move the mark up to `head` and keep the day's last receipt. The mark that then holds.

    Raises `AcknowledgementDisagrees`. A head behind the mark changes nothing.
    """
    own = hash_of(connection, epoch, head.seq)
    if own is None and epoch.anchor.seq < head.seq:
        raise AcknowledgementDisagrees(
            f"the ledger has event {head.seq} of epoch {epoch.id}, this journal ends at {epoch.head.seq}: it was "
            "restored from a copy, or another kiosk has this identity; open a new epoch"
        )
    if own is not None and own != head.hash:
        raise AcknowledgementDisagrees(
            f"event {head.seq} of epoch {epoch.id} is another one at the ledger; open a new epoch"
        )
    if head.seq <= epoch.acked.seq:
        return epoch.acked
    connection.execute(
        "UPDATE epoch SET acked_seq = ?, acked_hash = ? WHERE ordinal = ?", (head.seq, head.hash, epoch.ordinal)
    )
    connection.execute(
        "INSERT INTO receipt (epoch, received_on, seq, hash, receipt) VALUES (?, ?, ?, ?, ?) ON CONFLICT"
        " (epoch, received_on) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, receipt = excluded.receipt",
        (epoch.ordinal, at.date().isoformat(), head.seq, head.hash, receipt),
    )
    return head


def quarantine(
    connection: sqlite3.Connection, ordinal: int, seq: int, code: str, detail: str, tombstone: bool, at: datetime
) -> None:
    """Note it; a later word about the same event replaces the earlier one."""
    connection.execute(
        "INSERT INTO quarantine (epoch, seq, code, detail, tombstone, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT"
        " (epoch, seq) DO UPDATE SET code = excluded.code, detail = excluded.detail, tombstone = excluded.tombstone,"
        " at = excluded.at",
        (ordinal, seq, code, detail, int(tombstone), time_text(at)),
    )


def quarantined(store: Store, rows_max: int) -> list[Quarantined]:
    """The newest first, of every epoch."""
    found = store.read(
        "SELECT p.id, q.seq, q.code, q.detail, q.tombstone, q.at, coalesce(q.payload, e.payload, x'')"
        " FROM quarantine AS q JOIN epoch AS p ON p.ordinal = q.epoch"
        " LEFT JOIN event AS e ON e.epoch = q.epoch AND e.seq = q.seq ORDER BY q.epoch DESC, q.seq DESC LIMIT ?",
        (rows_max,),
    )
    return [
        Quarantined(epoch, seq, code, detail, bool(tombstone), read_time(at), payload)
        for epoch, seq, code, detail, tombstone, at, payload in found
    ]
