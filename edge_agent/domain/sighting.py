"""Earlier sightings: the part of the journal that the rules decide by."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from sync.contract.chain import Epoch
from sync.contract.event import Claim, ClockQuality, Method, PersonId, SessionId


class SightingKind(StrEnum):
    """The kinds of events that the index of sightings holds. Each value equals the tag of its event."""

    ENTRY = "entry"
    MANUAL = "manual"
    EXIT = "exit"
    REPEAT = "repeat"
    REFUSAL = "refusal"
    GUEST_MEALS = "guest_meals"  # of nobody: it is there to be listed and voided


class EarlierSighting(msgspec.Struct, frozen=True, kw_only=True):
    """A sighting that the journal gives back to the rules. A carried event keeps the epoch and seq it was made with.

    Two sightings of the same `boot` are `mono_ms` apart, whatever the wall clock said. Between boots there is only
    `at`, and `clock` says how far to trust it. Names and defaults equal those of `Sighting`: so one decoder reads an
    event's bytes as an EarlierSighting.
    """

    epoch: Epoch = Epoch("")
    seq: int = 0
    kind: SightingKind
    person: PersonId = PersonId("")
    session: SessionId = SessionId("")
    service_date: str = ""  # local date on which the session began: `2026-11-22`
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    boot: str
    mono_ms: int
    clock: ClockQuality
    method: Method = Method.CARD
    reader: str = ""
    offset_s: int = 0  # of a terminal whose clock is doubted
    claim: Claim = Claim.NONE  # only entries and manual entries have another one
    voided: bool = False  # an operator took the entry back: it does not count
    entry_epoch: str = ""  # for an exit, the entry that it ended; empty: an exit without an entry
    entry_seq: int = 0

    @property
    def is_entry(self) -> bool:
        """True for an entry at a reader and for an entry by hand."""
        return self.kind in (SightingKind.ENTRY, SightingKind.MANUAL)

    @property
    def is_voidable(self) -> bool:
        """True for what an operator may take back."""
        return self.is_entry or self.kind is SightingKind.GUEST_MEALS

    @property
    def is_exit(self) -> bool:
        """True for an exit."""
        return self.kind is SightingKind.EXIT
