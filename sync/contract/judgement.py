"""The ledger's judgement of one entry: may its meal be billed, under which programme, and why.

A kiosk claims by what it knows, and a kiosk may lie. The rules, the first that fits (voids, reversals and second meals
are seen where all entries are together, in `sync.contract.visits`):

    no roster may speak about its date                                                  held
    the kiosk was suspended then                                                        held
    later than the ledger received it                                                   held
    the person, or the session, is on no roster that was in force then                  held
    nothing vouches for the time                                                        held
    earlier than an event before it in its chain, if a kiosk's reader saw it            held
    its session was not served on that date at that time                                held
    a guest                                                                             pending, if the kiosk said so
    not entitled on that date                                                           none
    entitled                                                                            claimable

What the kiosk left unpaid and the roster does not pay for stays unpaid, whatever else speaks against it. A school
without any roster bills nothing: its entries wait for the first one, which speaks for the time before it, too. In a
month that was closed without a roster they wait for a named person. What a kiosk recorded before it was registered is
judged like the rest, by the first roster: it would be the easiest way to invent a month.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sync.contract.clocks import CLOCK_SLACK, parse_utc
from sync.contract.contests import ContestAnswer
from sync.contract.event import Claim, ClockQuality, Entry, Manual, Method, Sighting, is_on_paper
from sync.contract.reversals import Reversal
from sync.contract.roster import Person
from sync.contract.roster_history import RosterHistory
from sync.contract.sessions import Slot, Timetable
from sync.contract.visit import ClaimReason, EventId, ReceivedEvent

GRACE_MAX = timedelta(days=1)  # the widest that a kiosk's settings allow before a session's start and after its end


@dataclass(frozen=True, slots=True)
class Suspension:
    """A time in which a kiosk was suspended; it lasts where `until` is None."""

    since: datetime
    until: datetime | None = None

    def covers(self, when: datetime) -> bool:
        """Returns True where it was in force at that moment."""
        return self.since <= when and (self.until is None or when < self.until)


class Verdict(NamedTuple):
    """The ledger's word on one entry."""

    session: str
    service_date: str
    programme: str
    claim: Claim
    why: ClaimReason


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgementBasis:
    """All that the ledger judges a school's entries by, beside the events themselves."""

    history: RosterHistory
    suspensions: Mapping[str, Sequence[Suspension]] = field(default_factory=dict)  # by device
    reversals: Mapping[EventId, Reversal] = field(default_factory=dict)  # the newest of each event
    contested: Mapping[EventId, ContestAnswer | None] = field(default_factory=dict)  # None: nobody has answered yet

    def judge(self, arrival: ReceivedEvent, entry: Entry | Manual, when: datetime | None) -> Verdict:
        """Returns the verdict on an entry that happened at `when`."""
        history = self.history
        last = history.last_version(entry.service_date or entry.at)
        if not last:
            claim = Claim.NONE if entry.claim is Claim.NONE else Claim.HELD
            return Verdict(entry.session, entry.service_date, entry.programme, claim, ClaimReason.NO_ROSTER)
        versions = () if when is None else history.find_versions(when, entry.roster, last)
        session, service_date = entry.session, entry.service_date
        is_placed = entry.clock is ClockQuality.SYNCHRONISED or is_on_paper(entry)
        if when is not None and not (session and is_placed):
            slot = self._find_slot(entry, when, versions)
            session, service_date = (slot.session, slot.service_date) if slot else ("", "")
        # Without a session it counts on the day of its time, as `Visit.day` says: so a closed month stays as it was.
        day = service_date or (when.date().isoformat() if when else entry.at[:10])
        paying = history.choose_entitlement(entry.person, session, day)
        if entry.claim is Claim.NONE and paying is None:
            return Verdict(session, service_date, "", Claim.NONE, ClaimReason.AS_RECORDED)
        person = history.find_person(entry.person, versions)
        why = self._find_doubt(arrival, entry, when, versions, session, service_date, person)
        if why is not None:
            programme = paying.programme if paying else entry.programme
            return Verdict(session, service_date, programme, Claim.HELD, why)
        if person is not None and person.home_school:
            claim = Claim.NONE if entry.claim is Claim.NONE else Claim.PENDING
            why = ClaimReason.AS_RECORDED if entry.claim is claim else ClaimReason.GUEST
            return Verdict(session, service_date, entry.programme, claim, why)
        if paying is None:
            return Verdict(session, service_date, "", Claim.NONE, ClaimReason.NO_ENTITLEMENT)
        return Verdict(session, service_date, paying.programme, Claim.CLAIMABLE, _CLAIMABLE_REASONS[entry.claim])

    def timetable(self, sighting: Sighting, when: datetime) -> Timetable:
        """Returns the timetable by which the kiosk judged, if it was in force at this moment, else the one in force."""
        versions = self._versions(sighting, when)
        return self.history.timetable(versions[-1] if versions else 0)

    def is_paid(self, sighting: Sighting, when: datetime, slot: Slot) -> bool:
        """Returns True where an entitlement pays for this person's meal, or another school's programme."""
        history = self.history
        if history.choose_entitlement(sighting.person, slot.session, slot.service_date) is not None:
            return True
        person = history.find_person(sighting.person, self._versions(sighting, when))
        return person is not None and bool(person.home_school)

    def _versions(self, sighting: Sighting, when: datetime) -> tuple[int, ...]:
        last = self.history.last_version(sighting.service_date or sighting.at)
        return self.history.find_versions(when, sighting.roster, last)

    def _find_slot(self, entry: Entry | Manual, when: datetime, versions: Sequence[int]) -> Slot | None:
        """Returns the slot of its true time: the one that the kiosk named, else one that somebody pays for."""
        slots = [
            slot
            for version in versions
            for slot in self.history.timetable(version).find_slots(when, early=GRACE_NONE, late=GRACE_NONE).slots
        ]
        named = [slot for slot in slots if (slot.session, slot.service_date) == (entry.session, entry.service_date)]
        paid = [
            slot for slot in slots if self.history.choose_entitlement(entry.person, slot.session, slot.service_date)
        ]
        return next(iter(named or paid or slots), None)

    def _find_doubt(
        self, arrival: ReceivedEvent, entry: Entry | Manual, when: datetime | None, versions: tuple[int, ...],
        session: str, service_date: str, person: Person | None,
    ) -> ClaimReason | None:  # fmt: skip
        """Returns the first reason to hold the claim; None where there is none."""
        history = self.history
        if when is not None and self.suspensions:
            suspensions = self.suspensions.get(arrival.id.device, ())
            if any(suspension.covers(when) for suspension in suspensions):
                return ClaimReason.SUSPENDED
        if self._is_future(arrival.received_at, when, service_date):
            return ClaimReason.FUTURE
        if when is None:
            last = history.last_version(entry.service_date or entry.at)
            return ClaimReason.CLOCK if history.was_member(entry.person, last) else ClaimReason.UNKNOWN_PERSON
        if person is None:
            return ClaimReason.UNKNOWN_PERSON
        if not session:
            return ClaimReason.NO_SESSION
        freely_timed = type(entry) is Manual or entry.method is Method.TERMINAL or entry.method is Method.MANUAL
        served = history.is_served(session, service_date, versions, None if freely_timed else when, GRACE_MAX)
        if not served and not history.has_session(session, versions):
            return ClaimReason.UNKNOWN_SESSION
        if not freely_timed and arrival.latest_before and _is_out_of_order(arrival.latest_before, entry, when):
            return ClaimReason.CHAIN_ORDER
        return None if served else ClaimReason.NOT_SERVED

    def _is_future(self, received_at: datetime | None, when: datetime | None, service_date: str) -> bool:
        if received_at is None:
            return False
        if when is not None and when <= received_at and service_date <= when.date().isoformat():
            return False  # the usual case
        latest = received_at + CLOCK_SLACK
        if when is not None and when > latest:
            return True
        return service_date > latest.astimezone(self.history.tz).date().isoformat()


GRACE_NONE = timedelta()
_CLAIMABLE_REASONS = {
    Claim.CLAIMABLE: ClaimReason.AS_RECORDED,
    Claim.SECOND: ClaimReason.MOVED_UP,
    Claim.HELD: ClaimReason.JUDGED_AGAIN,
    Claim.PENDING: ClaimReason.JUDGED_AGAIN,
    Claim.NONE: ClaimReason.ENTITLED,
}


def _is_out_of_order(latest_before: str, entry: Entry | Manual, when: datetime) -> bool:
    """Returns True for an entry that is earlier than the chain before it allows."""
    if latest_before <= entry.at and entry.clock is ClockQuality.SYNCHRONISED:
        return False  # the usual case, told from the texts alone
    latest = parse_utc(latest_before)
    return latest is not None and when < latest - CLOCK_SLACK
