"""One epoch of the journal ends and the next begins: what the new one opens with, and what it carries on."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from edge_agent.domain.moment import MomentSource
from edge_agent.journal.epochs import EpochRow, KioskIdentity, insert_epoch
from edge_agent.journal.own_events import OwnEvents
from edge_agent.journal.rows import append_payloads, walk_chain
from edge_agent.journal.setting_aside import JournalSetAside
from sync.contract.chain import Epoch, Hash
from sync.contract.event import Carried, Event, Repair, UnreadableEvent, decode, encode

# The rows up to this one hold events of earlier epochs: once they are acknowledged, the earlier epochs are, too.
UPDATE_CARRIED = "UPDATE epoch SET carried_seq = ? WHERE ordinal = ?"


@dataclass(frozen=True, slots=True)
class LostRange:
    """Events that were recorded and are not in the journal any more."""

    epoch: Epoch
    first_seq: int
    last_seq: int


class Succession:
    """Opens epochs, inside the caller's transaction."""

    def __init__(
        self, kiosk: KioskIdentity, own_events: OwnEvents, now: MomentSource, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._kiosk = kiosk
        self._own_events = own_events
        self._now = now
        self._random_bytes = random_bytes

    def open_first_epoch(self, connection: sqlite3.Connection) -> EpochRow:
        return insert_epoch(
            connection, self._kiosk, self._draw_epoch(), parent_head=b"", opened_at=self._now().text, why="first"
        )

    def open_epoch_after_damage(self, connection: sqlite3.Connection, damaged: JournalSetAside) -> EpochRow:
        """Opens the first epoch of a file that takes the place of a damaged one; its first event names that one."""
        repair = self._own_events.repair("damaged", damaged.epoch, damaged.head, damaged.path.name)
        parent_head = damaged.acked.hash if damaged.acked is not None and damaged.acked.seq else b""
        return self._begin_epoch(connection, parent_head, [repair])

    def open_epoch_after_loss(self, connection: sqlite3.Connection, epoch: Epoch, last_seq: int) -> EpochRow:
        """Opens the first epoch of a new file, where a mark tells of a journal that is gone; names it as a hole."""
        why = "missing"
        repair = self._own_events.repair(why, epoch, None, "")
        return self._begin_epoch(connection, b"", [repair, self._own_events.lost(epoch, 1, last_seq, why, "")])

    def open_next_epoch(
        self,
        connection: sqlite3.Connection,
        current: EpochRow,
        why: str,
        parent_head: bytes,
        kept_as: str = "",
        lost: LostRange | None = None,
    ) -> EpochRow:
        """Opens the epoch behind `current`, with every event of it that is not acknowledged; names what is `lost`.

        Raises `JournalDamaged` when a row that must be carried does not hold.
        """
        repair = self._own_events.repair(why, current.id, current.head, kept_as)
        holes = [] if lost is None else [self._own_events.lost(lost.epoch, lost.first_seq, lost.last_seq, why, kept_as)]
        opened = self._begin_epoch(connection, parent_head, [repair, *holes])
        return carry_events(connection, current, opened, repair)

    def _begin_epoch(self, connection: sqlite3.Connection, parent_head: bytes, events: Sequence[Event]) -> EpochRow:
        """Opens an epoch with these events, the repair first."""
        repair = events[0]
        assert isinstance(repair, Repair), "it says why the epoch begins"
        opened = insert_epoch(
            connection,
            self._kiosk,
            self._draw_epoch(),
            parent_head=parent_head,
            opened_at=repair.at,
            why=repair.why,
        )
        payloads = [encode(event) for event in events]
        return replace(opened, head=append_payloads(connection, opened.ordinal, opened.head, payloads)[-1])

    def _draw_epoch(self) -> Epoch:
        return Epoch(self._random_bytes(8).hex())


def carry_events(connection: sqlite3.Connection, source: EpochRow, target: EpochRow, repair: Repair) -> EpochRow:
    """Puts every unacknowledged event of `source` behind the rows of `target`; returns `target` as it is then.

    Raises `JournalDamaged`.
    """
    head = target.head
    for page in walk_chain(connection, source, source.acked, source.head.seq):
        payloads = [_carried_payload(source.id, seq, row_hash, payload, repair) for seq, payload, row_hash in page]
        head = append_payloads(connection, target.ordinal, head, payloads)[-1]
    if head.seq == target.head.seq:
        return target
    connection.execute(UPDATE_CARRIED, (head.seq, target.ordinal))
    return replace(target, head=head, carried_seq=head.seq)


def _carried_payload(epoch: Epoch, seq: int, row_hash: Hash, payload: bytes, repair: Repair) -> bytes:
    """Returns the payload under which an event travels on.

    An event that was carried before goes on as it is, under its first identity. To wrap it again would give it a
    second identity, and it would outgrow the limit.
    """
    try:
        if isinstance(decode(payload), Carried):
            return payload
    except UnreadableEvent:
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
            old_hash=row_hash.hex(),
            payload=payload.decode(),
        )
    )
