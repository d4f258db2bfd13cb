"""Visits: one entry of a person, its consequences, and what may be billed for it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from sync.contract.event import Claim, Event, Method


class EventId(NamedTuple):
    """An event's identity, for ever."""

    device: str
    epoch: str
    seq: int


class ReceivedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as the ledger or a kiosk holds it, with what the ledger knows of its coming."""

    id: EventId
    event: Event
    received_at: datetime | None = None  # None: nothing is in the future of a kiosk's own events
    latest_before: str = ""  # the latest good wall time before it in its chain, as its event says it


class VisitClosing(StrEnum):
    """The way in which a visit ended."""

    OPEN = "open"  # its session is still running
    EXIT = "exit"
    SESSION = "closed_by_session"  # nobody saw the exit: it has no time
    VOID = "void"


class ClaimReason(StrEnum):
    """The reason of a claim, where the entry alone does not say it."""

    AS_RECORDED = ""
    SECOND_MEAL = "second_meal"
    VOIDED = "voided"
    REVERSED = "reversed"  # a named person has decided
    CONTESTED = "contested"  # held: a family says it is not right; none: a named person has found so, too
    SUSPENDED = "suspended"  # held: the kiosk was suspended then
    FUTURE = "future"  # held: later than the ledger received it
    UNKNOWN_PERSON = "unknown_person"  # held: on no roster that was in force then
    UNKNOWN_SESSION = "unknown_session"  # held: in no timetable that was in force then
    CLOCK = "clock"  # held: nothing vouches for the time
    CHAIN_ORDER = "chain_order"  # held: earlier than an event before it in its chain
    NO_SESSION = "no_session"  # held: at its true time no meal was served
    NOT_SERVED = "not_served"  # held: its session was not served on that date at that time
    GUEST = "guest"  # pending: the home school's programme pays
    NO_ENTITLEMENT = "no_entitlement"  # none: nobody pays for this person then
    ENTITLED = "entitled"  # claimable, though the kiosk did not know it
    JUDGED_AGAIN = "judged_again"  # claimable, where the kiosk had left it open
    NO_ROSTER = "no_roster"  # held, or none as the kiosk has it: there is no roster to judge it by
    MOVED_UP = "moved_up"  # the entry before it does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One entry and its consequences. Times in UTC; None where nothing vouches for the clock, or nobody saw it."""

    id: EventId  # of the entry
    person: str
    session: str  # empty: not known
    service_date: str
    method: Method
    programme: str
    claim: Claim
    recorded_programme: str = ""  # as the kiosk judged
    recorded_claim: Claim = Claim.NONE
    why: ClaimReason = ClaimReason.AS_RECORDED
    first: EventId | None = None  # of a second meal: the entry that is billed
    entry_time: datetime | None
    recorded_time: str  # the kiosk's wall clock, as it stood
    exit_time: datetime | None = None
    exit: EventId | None = None
    closing: VisitClosing = VisitClosing.OPEN
    review: bool = False
    operator: str = ""
    note: str = ""
    group: str = ""

    @property
    def day(self) -> str:
        """Returns the date on which it is counted: its service date, else the UTC date on which it happened."""
        if self.service_date or self.entry_time is None:
            return self.service_date or self.recorded_time[:10]
        return self.entry_time.date().isoformat()

    @property
    def counts(self) -> bool:
        """Returns True where somebody was here, by hand or by card alike: parents are told of these visits."""
        return self.closing is not VisitClosing.VOID


@dataclass(frozen=True, slots=True)
class DerivedVisits:
    """The visits in a set of events, and the exits that belong to none of them."""

    visits: tuple[Visit, ...]  # by true time, then kiosk, epoch and seq; those without a time last
    unmatched_exits: tuple[EventId, ...]  # exits that end no entry of this set

    @property
    def meals(self) -> int:
        """Returns how many visits may be billed."""
        return sum(visit.claim is Claim.CLAIMABLE for visit in self.visits)
