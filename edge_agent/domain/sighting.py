"""What the journal tells the rules about a person: the sightings that came before this one."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from sync.contract.chain import Epoch
from sync.contract.event import Claim, ClockQuality, Method, PersonId, SessionId


class SightingKind(StrEnum):
    """The kinds of `sync.contract.event.Sighting`; values as in the events' tags."""

    ENTRY = "entry"
    MANUAL = "manual"
    EXIT = "exit"
    REPEAT = "repeat"
    REFUSAL = "refusal"


class EarlierSighting(msgspec.Struct, frozen=True, kw_only=True):
    """One earlier sighting, as it was kept. Of a carried event the identity is the old one, for ever.

    Two sightings of the same `boot` are `mono_ms` apart, whatever the wall clock said; between boots there is only
    `at`, and `clock` says how far to trust it. Names and defaults are those of `Sighting`, so that it can be read from
    an event's bytes in one go.
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
    claim: Claim = Claim.NONE  # of entries and manual entries
    voided: bool = False  # an operator took it back: it does not count
    entry_epoch: str = ""  # of an exit: the entry that it ended; empty: an exit without an entry
    entry_seq: int = 0

    @property
    def is_entry(self) -> bool:
        return self.kind in (SightingKind.ENTRY, SightingKind.MANUAL)
