"""The events that the journal itself writes: a new epoch, pruned rows, withdrawn consents, voided entries."""

from typing import TypedDict

from edge_agent.domain.moment import MomentSource
from sync.contract.chain import Epoch, Hash, Head
from sync.contract.event import (
    Carried,
    ClockQuality,
    ConsentWithdrawn,
    EventsLost,
    PersonId,
    Pruned,
    Repair,
    UnreadableEvent,
    Void,
    decode,
)


class EventEnvelope(TypedDict):
    """The fields that every kind of event has."""

    school: str
    at: str
    boot: str
    mono_ms: int
    clock: ClockQuality


class OwnEvents:
    """Makes the journal's own events, stamped with the moment at which they are made."""

    def __init__(self, school: str, now: MomentSource) -> None:
        self._school = school
        self._now = now

    def repair(self, why: str, old_epoch: str, old_head: Head | None, file_name: str) -> Repair:
        """Returns the first event of an epoch that follows another one.

        `old_head` is None where the old journal could not be read; `file_name` is where that one lies, if set aside.
        """
        return Repair(
            **self._envelope(),
            why=why,
            old_epoch=old_epoch,
            old_head=old_head.hash.hex() if old_head else "",
            old_seq=old_head.seq if old_head else 0,
            kept_as=file_name,
        )

    def pruned(self, epoch: Epoch, through_seq: int, rows: int) -> Pruned:
        return Pruned(**self._envelope(), pruned_epoch=epoch, through_seq=through_seq, rows=rows)

    def lost(self, epoch: str, first_seq: int, last_seq: int, why: str, file_name: str) -> EventsLost:
        """Returns the event that names a hole; `file_name` is where the damaged journal lies, if it was set aside."""
        return EventsLost(
            **self._envelope(), lost_epoch=epoch, first_seq=first_seq, last_seq=last_seq, why=why, kept_as=file_name
        )

    def carried(self, epoch: Epoch, seq: int, row_hash: Hash, payload: bytes) -> Carried:
        """Returns the event under which one of another epoch travels on.

        An event that was carried before goes on as it is, under its first identity. To wrap it again would give it a
        second identity, and it would outgrow the limit.
        """
        try:
            event = decode(payload)
        except UnreadableEvent:
            event = None  # a later version made it: it travels all the same
        if isinstance(event, Carried):
            return event
        return Carried(
            **self._envelope(), old_epoch=epoch, old_seq=seq, old_hash=row_hash.hex(), payload=payload.decode()
        )

    def consent_withdrawn(self, person: PersonId, samples: int, roster_version: int) -> ConsentWithdrawn:
        """Returns the receipt for `samples` of this person's palms, deleted under this roster."""
        return ConsentWithdrawn(**self._envelope(), roster=roster_version, person=person, templates_deleted=samples)

    def void_unreported_entry(self, epoch: Epoch, seq: int, person: str) -> Void:
        """Returns the void of an entry that is on the disk although the staff were told that it is not."""
        return Void(
            **self._envelope(),
            void_epoch=epoch,
            void_seq=seq,
            person=person,
            operator="",
            note="found on the disk after it was said not to be recorded",
        )

    def _envelope(self) -> EventEnvelope:
        """Returns the common fields, without a roster: no roster decides about the journal's own events."""
        moment = self._now()
        return EventEnvelope(
            school=self._school,
            at=moment.text,
            boot=moment.boot,
            mono_ms=moment.mono_ms,
            clock=moment.clock,
        )
