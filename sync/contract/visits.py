"""From the events of a school's kiosks to visits, and to the one meal of each session that may be billed.

A kiosk claims by what it knows; only here are all kiosks of the school seen together. Rules:

- An event counts once, under its own identity, however often and in whatever wrapping it came.
- What may be billed for an entry is the ledger's judgement (`sync.contract.judgement`) where it gives its basis. The
  kiosk's own claim stays beside it.
- A named person's decision about an entry goes before every other word on it.
- One entry of a person in one session on one service date may be billed: the earliest by true time, then by
  kiosk id. The others stay, as second meals, and name the one that is billed. Held ones compete for nothing.
- An entry that was taken back stays, and counts for nothing; the next one moves up. It is taken back by its own kiosk,
  by one that names its kiosk, or by any one of the school if no other event has this epoch and number.
- An entry under an uncertain clock is held until its boot's clock has been put right; then its session is found again.
- Where a terminal told late what it had seen, the person's day there is judged in the order of its true times
  (`sync.contract.timelines`), and not in the order in which the kiosk learnt of it.
- An exit is what was seen. A visit without one is closed by its session's end, and its exit has no time.

Pure and set-wise: the order of the events does not matter, and the work grows as n log n.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from sync.contract.clocks import TrueClocks, parse_utc
from sync.contract.contests import ContestAnswer
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
    Sighting,
    UnreadableEvent,
    Void,
    decode,
    is_on_paper,
)
from sync.contract.judgement import JudgementBasis, Verdict
from sync.contract.reversals import Reversal
from sync.contract.roster import Entitlement
from sync.contract.sessions import Slot, Timetable
from sync.contract.timelines import place_sightings
from sync.contract.visit import ClaimReason, DerivedVisits, EventId, ReceivedEvent, Visit, VisitClosing
from sync.contract.voids import find_voided

__all__ = [
    "ClaimReason",
    "DerivedVisits",
    "EventId",
    "JudgementBasis",
    "ReceivedEvent",
    "Visit",
    "VisitClosing",
    "VisitDraft",
    "derive_visits",
    "draft_visits",
    "unpack_events",
]

_NEVER = datetime.max.replace(tzinfo=UTC)


def derive_visits(
    received: Iterable[ReceivedEvent],
    *,
    timetable: Timetable,
    now: datetime,
    grace: timedelta = timedelta(),
    entitlements: Mapping[str, Sequence[Entitlement]] | None = None,
    clocks: TrueClocks | None = None,
    basis: JudgementBasis | None = None,
) -> DerivedVisits:
    """Returns the visits and claims in these events.

    Give all events of the school's kiosks for the days in question, and of the boots in which they fell, or the
    evidence about these boots' `clocks`. With a `basis` the ledger judges each entry. Without one the kiosks' own word
    stands, except for entries whose clock was wrong: `timetable` and `grace` (before a start, after an end) place them,
    and `entitlements`, by person, says who pays for them then. The timetable's sessions that ended by `now` are closed.
    """
    drafts, unmatched = draft_visits(
        received, timetable=timetable, now=now, grace=grace, entitlements=entitlements, clocks=clocks, basis=basis
    )
    return DerivedVisits(tuple(draft.to_visit() for draft in drafts), tuple(unmatched))


def draft_visits(
    received: Iterable[ReceivedEvent],
    *,
    timetable: Timetable,
    now: datetime,
    grace: timedelta = timedelta(),
    entitlements: Mapping[str, Sequence[Entitlement]] | None = None,
    clocks: TrueClocks | None = None,
    basis: JudgementBasis | None = None,
) -> tuple[list["VisitDraft"], list[EventId]]:
    """Returns the visits as drafts, by true time and then by entry, and the exits that end none of them.

    It is `derive_visits` for those who make something else than visits of them, thousands at a time.
    """
    events = unpack_events(received)
    if clocks is None:
        clocks = TrueClocks((arrival.id.device, arrival.event) for arrival in events)
    without = _WithoutBasis(timetable, grace, entitlements)
    voided = _find_voided(events)
    placed = place_sightings(events, clocks, basis or without, voided)
    drafts: dict[tuple[str, str, int], VisitDraft] = {}
    exits: list[_SightedExit] = []
    for arrival in events:
        event_id, event = arrival.id, arrival.event
        place = placed.get(event_id) if placed else None
        if place is not None:
            event = place.event
        if type(event) is Exit:
            when = place.when if place else clocks.true_time(event_id.device, event)
            exits.append(_SightedExit(event_id, event, when))
        elif type(event) is Entry or type(event) is Manual:
            when = place.when if place else _find_time(arrival, event, clocks)
            verdict = basis.judge(arrival, event, when) if basis else without.judge(event, when)
            entry = _as_recorded(event, arrival.event) if place else event
            drafts[event_id] = VisitDraft(event_id, entry, when, *verdict)
    for event_id in voided:
        draft = drafts[event_id]
        draft.closing, draft.claim, draft.why = VisitClosing.VOID, Claim.NONE, ClaimReason.VOIDED
    if basis:
        _apply_decisions(drafts, basis)
    ordered = sorted(drafts.values(), key=_order)
    unmatched = _end_visits(drafts, ordered, exits)
    _close(ordered, timetable, now)
    _settle_claims(ordered)
    return ordered, unmatched


def _find_time(arrival: ReceivedEvent, entry: Entry | Manual, clocks: TrueClocks) -> datetime | None:
    """Returns when an entry was made; None where nothing vouches for its clock.

    After an outage a kiosk's clock is often wrong, and a printed list names its meal itself: the time at which the
    ledger received it is good enough.
    """
    if arrival.received_at is not None and entry.clock is not ClockQuality.SYNCHRONISED and is_on_paper(entry):
        return arrival.received_at
    return clocks.true_time(arrival.id.device, entry)


def _find_voided(events: Sequence[ReceivedEvent]) -> set[EventId]:
    voids = [(arrival.id.device, arrival.event) for arrival in events if type(arrival.event) is Void]
    if not voids:
        return set()
    entries = {arrival.id: arrival.event.person for arrival in events if isinstance(arrival.event, (Entry, Manual))}
    return find_voided(voids, entries, (arrival.id for arrival in events))


def _as_recorded(entry: Entry | Manual, recorded: Event) -> Entry | Manual:
    """Returns the entry with the claim that the kiosk recorded for the sighting, whatever the sighting means."""
    claim = recorded.claim if isinstance(recorded, (Entry, Manual)) else Claim.NONE
    return entry if entry.claim is claim else replace(entry, claim=claim)


class _SightedExit(msgspec.Struct, frozen=True, gc=False):
    """An exit, and when it happened; None where nothing vouches for its clock."""

    id: EventId
    event: Exit
    when: datetime | None


class VisitDraft(msgspec.Struct, gc=False):
    """A visit while it is being derived: its entry, and what has been found out about it."""

    id: EventId
    entry: Entry | Manual
    entry_time: datetime | None
    session: str
    service_date: str
    programme: str
    claim: Claim
    why: ClaimReason
    first: EventId | None = None
    exit: EventId | None = None
    exit_time: datetime | None = None
    closing: VisitClosing = VisitClosing.OPEN

    @property
    def day(self) -> str:
        """Returns the date on which it is counted, as `Visit.day`."""
        if self.service_date or self.entry_time is None:
            return self.service_date or self.entry.at[:10]
        return self.entry_time.date().isoformat()

    @property
    def method(self) -> Method:
        """Returns the way in which the person was recognised; of a printed list, that it was one."""
        return Method.PAPER if is_on_paper(self.entry) else self.entry.method

    def to_visit(self) -> Visit:
        """Returns the visit."""
        entry = self.entry
        return Visit(
            id=self.id, person=entry.person, session=self.session, service_date=self.service_date, method=self.method,
            programme=self.programme, claim=self.claim, recorded_programme=entry.programme, recorded_claim=entry.claim,
            why=self.why, first=self.first, entry_time=self.entry_time, recorded_time=entry.at,
            exit_time=self.exit_time, exit=self.exit, closing=self.closing, review=entry.review,
            operator=entry.operator, note=entry.note, group=entry.group if isinstance(entry, Manual) else "",
        )  # fmt: skip


def unpack_events(received: Iterable[ReceivedEvent]) -> list[ReceivedEvent]:
    """Returns each event once, under its own identity: carried ones out of their wrapping, repeated ones dropped.

    Of two different events with one identity, which only a restored or copied card produces, the one with the lower
    recorded time stays; the ledger keeps both as evidence.
    """
    events: dict[EventId, ReceivedEvent] = {}
    for arrival in received:
        wrapping, unpacked = arrival.event, arrival
        if type(wrapping) is Carried:
            try:
                inner = decode(wrapping.payload.encode())
            except (UnreadableEvent, UnicodeEncodeError):
                continue  # the ledger lists it in its quarantine
            if isinstance(inner, Carried):
                continue  # a carried event holds an event, never another carried one
            old_id = EventId(arrival.id.device, wrapping.old_epoch, wrapping.old_seq)
            unpacked = ReceivedEvent(old_id, inner, arrival.received_at)
        rival = events.get(unpacked.id)
        if rival is None or _evidence(unpacked) < _evidence(rival):
            events[unpacked.id] = unpacked
    return sorted(events.values(), key=attrgetter("id"))


def _evidence(received: ReceivedEvent) -> tuple[str, str]:
    return received.event.at, repr(received.event)


def _order(draft: VisitDraft) -> tuple[datetime, EventId]:
    return draft.entry_time or _NEVER, draft.id


@dataclass(frozen=True, slots=True)
class _WithoutBasis:
    """The kiosk's own word on an entry, for those who have no basis of judgement."""

    meals: Timetable
    grace: timedelta
    entitlements: Mapping[str, Sequence[Entitlement]] | None

    def timetable(self, sighting: Sighting, when: datetime) -> Timetable:
        """Returns the one timetable that there is."""
        return self.meals

    def is_paid(self, sighting: Sighting, when: datetime, slot: Slot) -> bool:
        """Returns True where an entitlement pays, and where nobody knows the entitlements."""
        if self.entitlements is None:
            return True
        owed = self.entitlements.get(sighting.person, ())
        return choose_entitlement(owed, slot.session, slot.service_date) is not None

    def judge(self, entry: Entry | Manual, when: datetime | None) -> Verdict:
        verdict = Verdict(entry.session, entry.service_date, entry.programme, entry.claim, ClaimReason.AS_RECORDED)
        if when is None:
            return _hold(verdict, ClaimReason.CLOCK)
        if entry.clock is ClockQuality.SYNCHRONISED or is_on_paper(entry):
            return verdict
        return self._place_again(entry, verdict, when)

    def _place_again(self, entry: Entry | Manual, recorded: Verdict, when: datetime) -> Verdict:
        """Returns the verdict in the session of its true time, which the kiosk did not know."""
        slots = self.meals.find_slots(when, early=self.grace, late=self.grace).slots
        if not slots:
            return _hold(recorded._replace(session="", service_date=""), ClaimReason.NO_SESSION)
        named = [slot for slot in slots if (slot.session, slot.service_date) == (entry.session, entry.service_date)]
        owed = () if self.entitlements is None else self.entitlements.get(entry.person, ())
        paid = [slot for slot in slots if choose_entitlement(owed, slot.session, slot.service_date)]
        slot = (named or paid or slots)[0]
        placed = recorded._replace(session=slot.session, service_date=slot.service_date)
        if self.entitlements is None or placed.claim is Claim.PENDING:
            return placed._replace(claim=Claim.CLAIMABLE) if placed.claim is Claim.HELD else placed
        paying = choose_entitlement(owed, slot.session, slot.service_date)
        if paying is None:
            return placed._replace(programme="", claim=Claim.NONE, why=ClaimReason.NO_ENTITLEMENT)
        return placed._replace(programme=paying.programme, claim=Claim.CLAIMABLE)


def _hold(verdict: Verdict, why: ClaimReason) -> Verdict:
    """Returns the verdict with its claim held. Nobody who was owed nothing comes to be owed something."""
    if verdict.claim is Claim.NONE:
        return verdict
    claim = verdict.claim if verdict.claim in (Claim.PENDING, Claim.SECOND) else Claim.HELD
    return verdict._replace(claim=claim, why=why)


def _end_visits(
    drafts: Mapping[tuple[str, str, int], VisitDraft], ordered: Iterable[VisitDraft], exits: Iterable[_SightedExit]
) -> list[EventId]:
    """Gives each exit to the entry that it names, else to the person's open entry before it. Returns the others.

    `ordered`: the drafts by true time.
    """
    unnamed: list[_SightedExit] = []
    unmatched: list[EventId] = []
    for sighted in exits:
        leaving, when = sighted.event, sighted.when
        draft = drafts.get((sighted.id.device, leaving.entry_epoch, leaving.entry_seq))
        if draft is None or draft.exit is not None or draft.entry.person != leaving.person:
            unnamed.append(sighted)
            continue
        day = draft.day
        # Its own day alone: otherwise one exit could reach into any other day's visits.
        if day == (leaving.service_date or leaving.at[:10]) or (when and day == when.date().isoformat()):
            _end(draft, sighted.id, when)
        else:
            unnamed.append(sighted)
    if not unnamed:
        return unmatched
    entries: dict[str, list[VisitDraft]] = defaultdict(list)
    for draft in ordered:
        entries[draft.entry.person].append(draft)
    for sighted in unnamed:
        leaving, when = sighted.event, sighted.when
        open_before = [
            draft for draft in entries.get(leaving.person, ()) if when is not None and _can_end(draft, leaving, when)
        ]
        if leaving.entry_seq == 0 and open_before:
            _end(open_before[-1], sighted.id, when)
        else:
            unmatched.append(sighted.id)
    return unmatched


def _can_end(draft: VisitDraft, leaving: Exit, exit_time: datetime) -> bool:
    """Returns True if an exit at another kiosk can be of this visit: the same session, and later."""
    return (
        draft.exit is None
        and (draft.session, draft.service_date) == (leaving.session, leaving.service_date)
        and draft.entry_time is not None
        and draft.entry_time <= exit_time
    )


def _end(draft: VisitDraft, leaving: EventId, exit_time: datetime | None) -> None:
    draft.exit, draft.exit_time = leaving, exit_time
    if draft.closing is VisitClosing.OPEN:
        draft.closing = VisitClosing.EXIT


def _apply_decisions(drafts: Mapping[tuple[str, str, int], VisitDraft], basis: JudgementBasis) -> None:
    """Lets the decisions of named persons stand, against a void as well, then holds what families contest.

    The later of two signed words on an entry stands: a contest that was upheld can be decided again.
    """
    for event_id, reversal in basis.reversals.items():
        draft = drafts.get(event_id)
        if draft is None:
            continue
        draft.claim, draft.why = reversal.claim, ClaimReason.REVERSED
        draft.programme = reversal.programme or draft.programme or draft.entry.programme
        if reversal.claim is not Claim.NONE:
            draft.closing = VisitClosing.OPEN
    for event_id, answer in basis.contested.items():
        draft = drafts.get(event_id)
        if draft is not None and draft.claim is not Claim.NONE:
            if answer is None:
                draft.claim, draft.why = Claim.HELD, ClaimReason.CONTESTED
            elif not _is_decided_again(answer, basis.reversals.get(event_id)):
                draft.claim, draft.why = Claim.NONE, ClaimReason.CONTESTED


def _is_decided_again(answer: ContestAnswer, reversal: Reversal | None) -> bool:
    """Returns True where a person has decided about the entry after the answer to its family."""
    if reversal is None:
        return False
    answered, decided = parse_utc(answer.decided_at), parse_utc(reversal.decided_at)
    return answered is not None and decided is not None and decided > answered


def _close(drafts: Iterable[VisitDraft], timetable: Timetable, now: datetime) -> None:
    ended: dict[tuple[str, str], bool] = {}
    for draft in drafts:
        if draft.closing is not VisitClosing.OPEN:
            continue
        key = (draft.session, draft.service_date)
        if key not in ended:
            slot = timetable.slot(*key)
            ended[key] = slot is None or slot.ends <= now
        if ended[key]:
            draft.closing = VisitClosing.SESSION


def _settle_claims(ordered: Iterable[VisitDraft]) -> None:
    """Lets one of each person's entries in a session be billed. `ordered`: by true time."""
    firsts: dict[tuple[str, str, str], VisitDraft] = {}
    later: dict[tuple[str, str, str], list[VisitDraft]] = defaultdict(list)
    for draft in ordered:
        # Entries without a time have no place in the order: they wait, and compete only once a person has decided.
        is_placed = draft.entry_time is not None or draft.why is ClaimReason.REVERSED
        if draft.session and draft.claim in _COMPETING and is_placed:
            key = (draft.entry.person, draft.session, draft.service_date)
            if firsts.setdefault(key, draft) is not draft:
                later[key].append(draft)
    for key, first in firsts.items():
        if first.claim is Claim.SECOND:
            guest = any(entry.claim is Claim.PENDING for entry in later.get(key, ()))
            first.claim, first.why = Claim.PENDING if guest else Claim.CLAIMABLE, ClaimReason.MOVED_UP
    for key, entries in later.items():
        for entry in entries:
            entry.claim, entry.why, entry.first = Claim.SECOND, ClaimReason.SECOND_MEAL, firsts[key].id


_COMPETING = frozenset({Claim.CLAIMABLE, Claim.SECOND, Claim.PENDING})
