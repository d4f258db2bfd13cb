"""What the journal tells the rules about a person: the sightings that came before this one."""

from datetime import datetime
from enum import StrEnum

import msgspec

from sync.contract.chain import Epoch
from sync.contract.event import Claim, Clock, Method, PersonId, SessionId


class Kind(StrEnum):
    """The kinds of `sync.contract.event.Sighting`; values as in the events' tags."""

    ENTRY = "entry"
    MANUAL = "manual"
    EXIT = "exit"
    REPEAT = "repeat"
    REFUSAL = "refusal"


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One earlier sighting, as it was kept. Of a carried event the identity is the old one, for ever.

    Two sightings of the same `boot` are `mono_ms` apart, whatever the wall clock said; between boots there is only
    `at`, and `clock` says how far to trust it.
    """

    epoch: Epoch
    seq: int
    kind: Kind
    person: PersonId
    session: SessionId
    service_date: str  # local date on which the session began: `2026-11-22`
    at: datetime  # UTC
    boot: str
    mono_ms: int
    clock: Clock
    method: Method
    reader: str
    claim: Claim  # NONE but for entries and manual entries
    voided: bool  # an operator took it back: it does not count
    entry_epoch: str = ""  # of an exit: the entry that it ended; empty: an exit without an entry
    entry_seq: int = 0

    @property
    def is_entry(self) -> bool:
        return self.kind in (Kind.ENTRY, Kind.MANUAL)
