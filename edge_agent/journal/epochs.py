"""One life of the journal ends and the next begins: what the new one opens with, and what it carries on."""

import sqlite3

from msgspec.structs import replace

from edge_agent.journal.rows import EpochRow, Kiosk, insert, open_epoch, walk
from sync.contract.chain import Epoch, Hash
from sync.contract.event import Carried, Repair, Unreadable, decode, encode


def begin(connection: sqlite3.Connection, kiosk: Kiosk, epoch: Epoch, parent_head: bytes, repair: Repair) -> EpochRow:
    """An epoch whose first event is this repair."""
    opened = open_epoch(connection, kiosk, epoch, parent_head=parent_head, at=repair.at, why=repair.why)
    return replace(opened, head=insert(connection, opened.ordinal, opened.head, [encode(repair)])[-1])


def carry(connection: sqlite3.Connection, source: EpochRow, target: EpochRow, repair: Repair) -> EpochRow:
    """Put every unacknowledged event of `source` behind what `target` has. Raises `JournalDamaged`.

    An event that `source` itself carried for an earlier epoch goes on as it is, under its first identity: wrapping it
    again would give it a second one, and outgrow the limit.
    """
    head = target.head
    for rows in walk(connection, source, source.acked, source.head.seq):
        payloads = [_carried(source.id, seq, own, payload, repair) for seq, payload, own in rows]
        head = insert(connection, target.ordinal, head, payloads)[-1]
    if head.seq == target.head.seq:
        return target
    connection.execute("UPDATE epoch SET carried_seq = ? WHERE ordinal = ?", (head.seq, target.ordinal))
    return replace(target, head=head, carried_seq=head.seq)


def _carried(epoch: Epoch, seq: int, own: Hash, payload: bytes, repair: Repair) -> bytes:
    try:
        if isinstance(decode(payload), Carried):
            return payload
    except Unreadable:
        pass  # a later version made it: it travels all the same
    return encode(
        Carried(
            school=repair.school,
            at=repair.at,
            boot=repair.boot,
            mono_ms=repair.mono_ms,
            clock=repair.clock,
            roster=repair.roster,
            roster_age_s=repair.roster_age_s,
            old_epoch=epoch,
            old_seq=seq,
            old_hash=own.hex(),
            payload=payload.decode(),
        )
    )
