"""From the facts of a school's kiosks to visits, and to the one meal of each session that may be billed.

A kiosk claims by what it knows; only here are all kiosks of the school seen together. Rules:

- An event counts once, under its own identity, however often and in whatever wrapping it came.
- Of all entries of a person in one session on one service date one may be billed: the earliest by true time, then by
  kiosk id. The others stay, as second meals, and name the one that was taken.
- An entry that was taken back stays, and counts for nothing; the next one moves up.
- An entry under an uncertain clock is held until its boot's clock has been put right; then its session is found anew.
- An exit is what was seen. A visit without one is closed by its session's end, and its exit has no time.

Pure and set-wise: the order of the facts does not matter, and the work grows as n log n.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sync.contract.clocks import Clocks
from sync.contract.entitlements import due
from sync.contract.event import (
    Carried,
    Claim,
    ClockQuality,
    Entry,
    Event,
    Exit,
    Manual,
    Method,
    Unreadable,
    Void,
    decode,
)
from sync.contract.roster import Entitlement
from sync.contract.sessions import Timetable

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class EventId:
    """An event's identity, for ever."""

    device: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Received:
    """A fact as the ledger or a kiosk holds it."""

    id: EventId
    fact: Event


class Closing(StrEnum):
    """How a visit ended."""

    OPEN = "open"  # its session is still running
    EXIT = "exit"
    SESSION = "closed_by_session"  # nobody saw the exit: it has no time
    VOID = "void"


class Why(StrEnum):
    """Why the claim is what it is, where the entry alone does not say."""

    AS_RECORDED = ""
    SECOND_MEAL = "second_meal"
    VOIDED = "voided"
    CLOCK = "clock"  # held: nothing vouches for the time
    NO_SESSION = "no_session"  # held: at its true time no meal was served
    NO_ENTITLEMENT = "no_entitlement"  # found when its session was found anew
    MOVED_UP = "moved_up"  # the entry before it was taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One entry, with what came of it. Times in UTC; None where nothing vouches for the clock, or nobody saw it."""

    id: EventId  # of the entry
    person: str
    session: str  # empty: not known
    service_date: str
    method: Method
    programme: str
    claim: Claim
    why: Why = Why.AS_RECORDED
    first: EventId | None = None  # of a second meal: the entry that is billed
    entered_at: datetime | None
    recorded_at: str  # the kiosk's wall clock, as it stood
    exited_at: datetime | None = None
    exit: EventId | None = None
    closing: Closing = Closing.OPEN
    review: bool = False
    operator: str = ""
    note: str = ""
    group: str = ""

    @property
    def counts(self) -> bool:
        """Somebody was here: what parents are told of, by hand or by card alike."""
        return self.closing is not Closing.VOID


@dataclass(frozen=True, slots=True)
class Derived:
    """What a set of facts amounts to."""

    visits: tuple[Visit, ...]  # by true time, then kiosk, epoch and seq; those without a time last
    exits_alone: tuple[EventId, ...]  # exits that end no entry of this set

    @property
    def meals(self) -> int:
        """How many may be billed now."""
        return sum(visit.claim is Claim.CLAIMABLE for visit in self.visits)


def derive(
    received: Iterable[Received],
    *,
    timetable: Timetable,
    as_of: datetime,
    grace: timedelta = timedelta(),
    entitlements: Mapping[str, Sequence[Entitlement]] | None = None,
) -> Derived:
    """The visits and claims in these facts.

    Give all facts of the school's kiosks for the days in question, and of the boots in which they fell. `timetable`
    and `grace` (before a start, after an end) place entries whose clock was wrong; `entitlements`, by person, says
    who pays for them then, else the kiosk's own choice stands. `as_of`: sessions that ended by then are closed.
    """
    facts = unpack(received)
    clocks = Clocks((each.id.device, each.fact) for each in facts)
    visits = {
        each.id: _place(each.id, each.fact, clocks, timetable, grace, entitlements)
        for each in facts
        if isinstance(each.fact, Entry | Manual)
    }
    alone = _end_visits(visits, facts, clocks)
    _take_back(visits, facts)
    _close(visits, timetable, as_of)
    _settle_claims(visits)
    return Derived(tuple(sorted(visits.values(), key=_order)), tuple(alone))


def unpack(received: Iterable[Received]) -> list[Received]:
    """Each event once, under its own identity: carried ones out of their wrapping, repeated ones dropped.

    Of two different events with one identity, which only a restored or copied card produces, the one with the lower
    recorded time stays; the ledger keeps both as evidence.
    """
    found: dict[EventId, Received] = {}
    for each in received:
        fact, event = each.fact, each
        if isinstance(fact, Carried):
            try:
                inner = decode(fact.payload.encode())
            except (Unreadable, UnicodeEncodeError):
                continue  # the ledger lists it in its quarantine
            if isinstance(inner, Carried):
                continue  # a parcel holds an event, never another parcel
            event = Received(EventId(each.id.device, fact.old_epoch, fact.old_seq), inner)
        other = found.get(event.id)
        if other is None or _evidence(event) < _evidence(other):
            found[event.id] = event
    return [found[each] for each in sorted(found)]


def _evidence(event: Received) -> tuple[str, str]:
    return event.fact.at, repr(event.fact)


def _order(visit: Visit) -> tuple[datetime, EventId]:
    return visit.entered_at or _NEVER, visit.id


def _place(
    event: EventId,
    fact: Entry | Manual,
    clocks: Clocks,
    timetable: Timetable,
    grace: timedelta,
    entitlements: Mapping[str, Sequence[Entitlement]] | None,
) -> Visit:
    visit = Visit(
        id=event,
        person=fact.person,
        session=fact.session,
        service_date=fact.service_date,
        method=fact.method,
        programme=fact.programme,
        claim=fact.claim,
        entered_at=clocks.true_time(event.device, fact),
        recorded_at=fact.at,
        review=fact.review,
        operator=fact.operator,
        note=fact.note,
        group=fact.group if isinstance(fact, Manual) else "",
    )
    if fact.clock is ClockQuality.SYNCHRONISED:
        return visit if visit.entered_at else _hold(visit, Why.CLOCK)
    if visit.entered_at is None:
        return _hold(visit, Why.CLOCK)
    return _place_anew(visit, timetable, grace, entitlements)


def _hold(visit: Visit, why: Why) -> Visit:
    """Nothing may be billed for now; who was owed nothing is owed nothing still."""
    if visit.claim is Claim.NONE:
        return visit
    claim = visit.claim if visit.claim in (Claim.PENDING, Claim.SECOND) else Claim.HELD
    return replace(visit, claim=claim, why=why)


def _place_anew(
    visit: Visit, timetable: Timetable, grace: timedelta, entitlements: Mapping[str, Sequence[Entitlement]] | None
) -> Visit:
    """The session of an entry whose true time is known only now."""
    assert visit.entered_at is not None
    slots = timetable.at(visit.entered_at, early=grace, late=grace).slots
    if not slots:
        return _hold(replace(visit, session="", service_date=""), Why.NO_SESSION)
    recorded = [each for each in slots if (each.session, each.service_date) == (visit.session, visit.service_date)]
    owed = () if entitlements is None else entitlements.get(visit.person, ())
    due_in = [each for each in slots if due(owed, each.session, each.service_date)]
    slot = (recorded or due_in or slots)[0]
    placed = replace(visit, session=slot.session, service_date=slot.service_date)
    if entitlements is None or placed.claim is Claim.PENDING:
        return replace(placed, claim=Claim.CLAIMABLE) if placed.claim is Claim.HELD else placed
    paying = due(owed, slot.session, slot.service_date)
    if paying is None:
        return replace(placed, programme="", claim=Claim.NONE, why=Why.NO_ENTITLEMENT)
    return replace(placed, programme=paying.programme, claim=Claim.CLAIMABLE)


def _end_visits(visits: dict[EventId, Visit], facts: Sequence[Received], clocks: Clocks) -> list[EventId]:
    """Give each exit to the entry that it names, else to the person's open entry before it. Returns those left over."""
    unnamed: list[tuple[Received, Exit]] = []
    alone: list[EventId] = []
    for each in facts:
        if not isinstance(each.fact, Exit):
            continue
        entry = visits.get(EventId(each.id.device, each.fact.entry_epoch, each.fact.entry_seq))
        if entry is not None and entry.exit is None and entry.person == each.fact.person:
            visits[entry.id] = _ended(entry, each, clocks)
        else:
            unnamed.append((each, each.fact))
    entries: dict[str, list[EventId]] = defaultdict(list)
    for visit in sorted(visits.values(), key=_order):
        entries[visit.person].append(visit.id)
    for each, fact in unnamed:
        left_at = clocks.true_time(each.id.device, fact)
        open_before = [
            visits[entry]
            for entry in entries.get(fact.person, ())
            if left_at is not None and _left_by(visits[entry], fact, left_at)
        ]
        if fact.entry_seq == 0 and open_before:
            visits[open_before[-1].id] = _ended(open_before[-1], each, clocks)
        else:
            alone.append(each.id)
    return alone


def _left_by(visit: Visit, fact: Exit, left_at: datetime) -> bool:
    """Whether an exit at another kiosk can be of this visit: the same session, and later."""
    return (
        visit.exit is None
        and (visit.session, visit.service_date) == (fact.session, fact.service_date)
        and visit.entered_at is not None
        and visit.entered_at <= left_at
    )


def _ended(visit: Visit, event: Received, clocks: Clocks) -> Visit:
    return replace(visit, exit=event.id, exited_at=clocks.true_time(event.id.device, event.fact), closing=Closing.EXIT)


def _take_back(visits: dict[EventId, Visit], facts: Sequence[Received]) -> None:
    for each in facts:
        if isinstance(each.fact, Void):
            taken = visits.get(EventId(each.id.device, each.fact.void_epoch, each.fact.void_seq))
            if taken is not None:
                visits[taken.id] = replace(taken, closing=Closing.VOID, claim=Claim.NONE, why=Why.VOIDED)


def _close(visits: dict[EventId, Visit], timetable: Timetable, as_of: datetime) -> None:
    for visit in list(visits.values()):
        if visit.closing is not Closing.OPEN:
            continue
        slot = timetable.slot(visit.session, visit.service_date)
        if slot is None or slot.ends <= as_of:
            visits[visit.id] = replace(visit, closing=Closing.SESSION)


def _settle_claims(visits: dict[EventId, Visit]) -> None:
    """Of each person's entries in a session let one be billed."""
    meals: dict[tuple[str, str, str], list[Visit]] = defaultdict(list)
    for visit in visits.values():
        if visit.session and visit.counts and visit.claim is not Claim.NONE:
            meals[visit.person, visit.session, visit.service_date].append(visit)
    for entries in meals.values():
        # Entries without a time have no place in the order: they wait, and only certain ones compete.
        certain = sorted((each for each in entries if each.entered_at is not None), key=_order)
        if not certain:
            continue
        first, *others = certain
        if first.claim is Claim.SECOND:
            guest = any(each.claim is Claim.PENDING for each in others)
            claim = Claim.PENDING if guest else Claim.CLAIMABLE
            visits[first.id] = replace(first, claim=claim, why=Why.MOVED_UP)
        for other in others:
            visits[other.id] = replace(other, claim=Claim.SECOND, why=Why.SECOND_MEAL, first=first.id)
