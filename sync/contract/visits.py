"""From the events of a school's kiosks to visits, and to the one meal of each session that may be billed.

A kiosk claims by what it knows; only here are all kiosks of the school seen together. Rules:

- An event counts once, under its own identity, however often and in whatever wrapping it came.
- One entry of a person in one session on one service date may be billed: the earliest by true time, then by
  kiosk id. The others stay, as second meals, and name the one that is billed.
- An entry that was taken back stays, and counts for nothing; the next one moves up.
- An entry under an uncertain clock is held until its boot's clock has been put right; then its session is found again.
- An exit is what was seen. A visit without one is closed by its session's end, and its exit has no time.

Pure and set-wise: the order of the events does not matter, and the work grows as n log n.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sync.contract.clocks import TrueClocks
from sync.contract.entitlements import choose_entitlement
from sync.contract.event import (
    Carried,
    Claim,
    ClockQuality,
    Entry,
    Event,
    Exit,
    Manual,
    Method,
    UnreadableEvent,
    Void,
    decode,
)
from sync.contract.roster import Entitlement
from sync.contract.sessions import Timetable

_NEVER = datetime.max.replace(tzinfo=UTC)


class EventId(NamedTuple):
    """An event's identity, for ever."""

    device: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as the ledger or a kiosk holds it."""

    id: EventId
    event: Event


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
    CLOCK = "clock"  # held: nothing vouches for the time
    NO_SESSION = "no_session"  # held: at its true time no meal was served
    NO_ENTITLEMENT = "no_entitlement"  # seen when its session was looked up again
    MOVED_UP = "moved_up"  # the entry before it was voided


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


def derive_visits(
    received: Iterable[ReceivedEvent],
    *,
    timetable: Timetable,
    now: datetime,
    grace: timedelta = timedelta(),
    entitlements: Mapping[str, Sequence[Entitlement]] | None = None,
    clocks: TrueClocks | None = None,
) -> DerivedVisits:
    """Returns the visits and claims in these events.

    Give all events of the school's kiosks for the days in question, and of the boots in which they fell. `timetable`
    and `grace` (before a start, after an end) place entries whose clock was wrong; `entitlements`, by person, says
    who pays for them then, else the kiosk's own choice stands. Sessions that ended by `now` are closed. `clocks` is the
    evidence about the kiosks' clocks, where it is more than what these events hold.
    """
    events = unpack_events(received)
    if clocks is None:
        clocks = TrueClocks((arrival.id.device, arrival.event) for arrival in events)
    visits = {
        entry.id: _place(entry.id, entry.event, clocks, timetable, grace, entitlements)
        for entry in events
        if isinstance(entry.event, Entry | Manual)
    }
    unmatched = _end_visits(visits, events, clocks)
    _apply_voids(visits, events)
    _close(visits, timetable, now)
    _settle_claims(visits)
    return DerivedVisits(tuple(sorted(visits.values(), key=_order)), tuple(unmatched))


def unpack_events(received: Iterable[ReceivedEvent]) -> list[ReceivedEvent]:
    """Returns each event once, under its own identity: carried ones out of their wrapping, repeated ones dropped.

    Of two different events with one identity, which only a restored or copied card produces, the one with the lower
    recorded time stays; the ledger keeps both as evidence.
    """
    events: dict[EventId, ReceivedEvent] = {}
    for arrival in received:
        wrapping, unpacked = arrival.event, arrival
        if isinstance(wrapping, Carried):
            try:
                inner = decode(wrapping.payload.encode())
            except (UnreadableEvent, UnicodeEncodeError):
                continue  # the ledger lists it in its quarantine
            if isinstance(inner, Carried):
                continue  # a carried event holds an event, never another carried one
            old_id = EventId(arrival.id.device, wrapping.old_epoch, wrapping.old_seq)
            unpacked = ReceivedEvent(old_id, inner)
        rival = events.get(unpacked.id)
        if rival is None or _evidence(unpacked) < _evidence(rival):
            events[unpacked.id] = unpacked
    return [events[event_id] for event_id in sorted(events)]


def _evidence(received: ReceivedEvent) -> tuple[str, str]:
    return received.event.at, repr(received.event)


def _order(visit: Visit) -> tuple[datetime, EventId]:
    return visit.entry_time or _NEVER, visit.id


def _place(
    event_id: EventId,
    entry: Entry | Manual,
    clocks: TrueClocks,
    timetable: Timetable,
    grace: timedelta,
    entitlements: Mapping[str, Sequence[Entitlement]] | None,
) -> Visit:
    visit = Visit(
        id=event_id,
        person=entry.person,
        session=entry.session,
        service_date=entry.service_date,
        method=entry.method,
        programme=entry.programme,
        claim=entry.claim,
        recorded_programme=entry.programme,
        recorded_claim=entry.claim,
        entry_time=clocks.true_time(event_id.device, entry),
        recorded_time=entry.at,
        review=entry.review,
        operator=entry.operator,
        note=entry.note,
        group=entry.group if isinstance(entry, Manual) else "",
    )
    if entry.clock is ClockQuality.SYNCHRONISED:
        return visit if visit.entry_time else _hold(visit, ClaimReason.CLOCK)
    if visit.entry_time is None:
        return _hold(visit, ClaimReason.CLOCK)
    return _place_again(visit, timetable, grace, entitlements)


def _hold(visit: Visit, why: ClaimReason) -> Visit:
    """Returns the visit with its claim held. Nobody who was owed nothing comes to be owed something."""
    if visit.claim is Claim.NONE:
        return visit
    claim = visit.claim if visit.claim in (Claim.PENDING, Claim.SECOND) else Claim.HELD
    return replace(visit, claim=claim, why=why)


def _place_again(
    visit: Visit, timetable: Timetable, grace: timedelta, entitlements: Mapping[str, Sequence[Entitlement]] | None
) -> Visit:
    """Returns the visit in the session of its true time, which the kiosk did not know."""
    assert visit.entry_time is not None
    slots = timetable.find_slots(visit.entry_time, early=grace, late=grace).slots
    if not slots:
        return _hold(replace(visit, session="", service_date=""), ClaimReason.NO_SESSION)
    recorded = [slot for slot in slots if (slot.session, slot.service_date) == (visit.session, visit.service_date)]
    owed = () if entitlements is None else entitlements.get(visit.person, ())
    paid = [slot for slot in slots if choose_entitlement(owed, slot.session, slot.service_date)]
    slot = (recorded or paid or slots)[0]
    placed = replace(visit, session=slot.session, service_date=slot.service_date)
    if entitlements is None or placed.claim is Claim.PENDING:
        return replace(placed, claim=Claim.CLAIMABLE) if placed.claim is Claim.HELD else placed
    paying = choose_entitlement(owed, slot.session, slot.service_date)
    if paying is None:
        return replace(placed, programme="", claim=Claim.NONE, why=ClaimReason.NO_ENTITLEMENT)
    return replace(placed, programme=paying.programme, claim=Claim.CLAIMABLE)


def _end_visits(visits: dict[EventId, Visit], events: Sequence[ReceivedEvent], clocks: TrueClocks) -> list[EventId]:
    """Gives each exit to the entry that it names, else to the person's open entry before it. Returns the others."""
    unnamed: list[tuple[ReceivedEvent, Exit]] = []
    unmatched: list[EventId] = []
    for received in events:
        if not isinstance(received.event, Exit):
            continue
        entry = visits.get(EventId(received.id.device, received.event.entry_epoch, received.event.entry_seq))
        if (
            entry is not None
            and entry.exit is None
            and entry.person == received.event.person
            and entry.day in _exit_days(received, received.event, clocks)
        ):
            visits[entry.id] = _ended(entry, received, clocks)
        else:
            unnamed.append((received, received.event))
    entries: dict[str, list[EventId]] = defaultdict(list)
    for visit in sorted(visits.values(), key=_order):
        entries[visit.person].append(visit.id)
    for received, exit_event in unnamed:
        exit_time = clocks.true_time(received.id.device, exit_event)
        open_before = [
            visits[entry]
            for entry in entries.get(exit_event.person, ())
            if exit_time is not None and _can_end(visits[entry], exit_event, exit_time)
        ]
        if exit_event.entry_seq == 0 and open_before:
            visits[open_before[-1].id] = _ended(open_before[-1], received, clocks)
        else:
            unmatched.append(received.id)
    return unmatched


def _exit_days(received: ReceivedEvent, exit_event: Exit, clocks: TrueClocks) -> tuple[str, ...]:
    """Returns the days whose visits an exit may end: the one that it names, and the one on which it happened."""
    exit_time = clocks.true_time(received.id.device, exit_event)
    own = exit_event.service_date or exit_event.at[:10]
    return (own, exit_time.date().isoformat()) if exit_time else (own,)


def _can_end(visit: Visit, exit_event: Exit, exit_time: datetime) -> bool:
    """Returns True if an exit at another kiosk can be of this visit: the same session, and later."""
    return (
        visit.exit is None
        and (visit.session, visit.service_date) == (exit_event.session, exit_event.service_date)
        and visit.entry_time is not None
        and visit.entry_time <= exit_time
    )


def _ended(visit: Visit, received: ReceivedEvent, clocks: TrueClocks) -> Visit:
    exit_time = clocks.true_time(received.id.device, received.event)
    return replace(visit, exit=received.id, exit_time=exit_time, closing=VisitClosing.EXIT)


def _apply_voids(visits: dict[EventId, Visit], events: Sequence[ReceivedEvent]) -> None:
    for received in events:
        if isinstance(received.event, Void):
            visit = visits.get(EventId(received.id.device, received.event.void_epoch, received.event.void_seq))
            if visit is not None:
                visits[visit.id] = replace(visit, closing=VisitClosing.VOID, claim=Claim.NONE, why=ClaimReason.VOIDED)


def _close(visits: dict[EventId, Visit], timetable: Timetable, now: datetime) -> None:
    for visit in list(visits.values()):
        if visit.closing is not VisitClosing.OPEN:
            continue
        slot = timetable.slot(visit.session, visit.service_date)
        if slot is None or slot.ends <= now:
            visits[visit.id] = replace(visit, closing=VisitClosing.SESSION)


def _settle_claims(visits: dict[EventId, Visit]) -> None:
    """Lets one of each person's entries in a session be billed."""
    meals: dict[tuple[str, str, str], list[Visit]] = defaultdict(list)
    for visit in visits.values():
        if visit.session and visit.counts and visit.claim is not Claim.NONE:
            meals[visit.person, visit.session, visit.service_date].append(visit)
    for entries in meals.values():
        # Entries without a time have no place in the order: they wait, and only certain ones compete.
        certain = sorted((entry for entry in entries if entry.entry_time is not None), key=_order)
        if not certain:
            continue
        first, *later = certain
        if first.claim is Claim.SECOND:
            guest = any(entry.claim is Claim.PENDING for entry in later)
            claim = Claim.PENDING if guest else Claim.CLAIMABLE
            visits[first.id] = replace(first, claim=claim, why=ClaimReason.MOVED_UP)
        for entry in later:
            visits[entry.id] = replace(entry, claim=Claim.SECOND, why=ClaimReason.SECOND_MEAL, first=first.id)
