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
- An exit is what was seen. A visit without one is closed by its session's end, and its exit has no time.

Pure and set-wise: the order of the events does not matter, and the work grows as n log n.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from sync.contract.clocks import TrueClocks
from sync.contract.contests import ContestOutcome
from sync.contract.entitlements import choose_entitlement
from sync.contract.event import Carried, Claim, ClockQuality, Entry, Exit, Manual, UnreadableEvent, Void, decode
from sync.contract.judgement import JudgementBasis, Verdict
from sync.contract.roster import Entitlement
from sync.contract.sessions import Timetable
from sync.contract.visit import ClaimReason, DerivedVisits, EventId, ReceivedEvent, Visit, VisitClosing

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
    drafts: dict[EventId, VisitDraft] = {}
    exits: list[tuple[EventId, Exit]] = []
    voids: list[tuple[str, Void]] = []
    for arrival in events:
        event = arrival.event
        if isinstance(event, Exit):
            exits.append((arrival.id, event))
        elif isinstance(event, (Entry, Manual)):
            when = clocks.true_time(arrival.id.device, event)
            verdict = basis.judge(arrival, event, when) if basis else without.judge(event, when)
            drafts[arrival.id] = VisitDraft(arrival.id, event, when, *verdict)
        elif isinstance(event, Void):
            voids.append((arrival.id.device, event))
    if voids:
        _apply_voids(drafts, voids, events)
    if basis:
        _apply_decisions(drafts, basis)
    unmatched = _end_visits(drafts, exits, clocks)
    _close(drafts.values(), timetable, now)
    _settle_claims(drafts.values())
    return sorted(drafts.values(), key=_order), unmatched


@dataclass(slots=True)
class VisitDraft:
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

    def to_visit(self) -> Visit:
        """Returns the visit."""
        entry = self.entry
        return Visit(
            id=self.id, person=entry.person, session=self.session, service_date=self.service_date, method=entry.method,
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
        if isinstance(wrapping, Carried):
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

    timetable: Timetable
    grace: timedelta
    entitlements: Mapping[str, Sequence[Entitlement]] | None

    def judge(self, entry: Entry | Manual, when: datetime | None) -> Verdict:
        verdict = Verdict(entry.session, entry.service_date, entry.programme, entry.claim, ClaimReason.AS_RECORDED)
        if when is None:
            return _hold(verdict, ClaimReason.CLOCK)
        if entry.clock is ClockQuality.SYNCHRONISED:
            return verdict
        return self._place_again(entry, verdict, when)

    def _place_again(self, entry: Entry | Manual, recorded: Verdict, when: datetime) -> Verdict:
        """Returns the verdict in the session of its true time, which the kiosk did not know."""
        slots = self.timetable.find_slots(when, early=self.grace, late=self.grace).slots
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
    drafts: Mapping[EventId, VisitDraft], exits: Iterable[tuple[EventId, Exit]], clocks: TrueClocks
) -> list[EventId]:
    """Gives each exit to the entry that it names, else to the person's open entry before it. Returns the others."""
    unnamed: list[tuple[EventId, Exit]] = []
    unmatched: list[EventId] = []
    for exit_id, leaving in exits:
        draft = drafts.get(EventId(exit_id[0], leaving.entry_epoch, leaving.entry_seq))
        if draft is None or draft.exit is not None or draft.entry.person != leaving.person:
            unnamed.append((exit_id, leaving))
            continue
        exit_time = clocks.true_time(exit_id[0], leaving)
        day = draft.day
        # Its own day alone: otherwise one exit could reach into any other day's visits.
        if day == (leaving.service_date or leaving.at[:10]) or (exit_time and day == exit_time.date().isoformat()):
            _end(draft, exit_id, exit_time)
        else:
            unnamed.append((exit_id, leaving))
    if not unnamed:
        return unmatched
    entries: dict[str, list[VisitDraft]] = defaultdict(list)
    for draft in sorted(drafts.values(), key=_order):
        entries[draft.entry.person].append(draft)
    for exit_id, leaving in unnamed:
        exit_time = clocks.true_time(exit_id.device, leaving)
        open_before = [
            draft
            for draft in entries.get(leaving.person, ())
            if exit_time is not None and _can_end(draft, leaving, exit_time)
        ]
        if leaving.entry_seq == 0 and open_before:
            _end(open_before[-1], exit_id, exit_time)
        else:
            unmatched.append(exit_id)
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


def _apply_voids(
    drafts: Mapping[EventId, VisitDraft], voids: Iterable[tuple[str, Void]], events: Iterable[ReceivedEvent]
) -> None:
    """Takes back the entries that voids name. `voids`: each with its kiosk."""
    by_number: dict[tuple[str, int], list[EventId]] = defaultdict(list)
    for arrival in events:
        by_number[arrival.id.epoch, arrival.id.seq].append(arrival.id)
    for device, void in voids:
        draft = _find_voided(drafts, by_number, device, void)
        if draft is not None:
            draft.closing, draft.claim, draft.why = VisitClosing.VOID, Claim.NONE, ClaimReason.VOIDED


def _apply_decisions(drafts: Mapping[EventId, VisitDraft], basis: JudgementBasis) -> None:
    """Lets the decisions of named persons stand, against a void as well, then holds what families contest."""
    for event_id, reversal in basis.reversals.items():
        draft = drafts.get(event_id)
        if draft is None:
            continue
        draft.claim, draft.why = reversal.claim, ClaimReason.REVERSED
        draft.programme = reversal.programme or draft.programme or draft.entry.programme
        if reversal.claim is not Claim.NONE:
            draft.closing = VisitClosing.OPEN
    for event_id, outcome in basis.contested.items():
        draft = drafts.get(event_id)
        if draft is not None and draft.claim is not Claim.NONE:
            draft.claim = Claim.NONE if outcome is ContestOutcome.UPHELD else Claim.HELD
            draft.why = ClaimReason.CONTESTED


def _find_voided(
    drafts: Mapping[EventId, VisitDraft],
    by_number: Mapping[tuple[str, int], Sequence[EventId]],
    device: str,
    void: Void,
) -> VisitDraft | None:
    own = drafts.get(EventId(void.void_device or device, void.void_epoch, void.void_seq))
    if own is not None and own.entry.person == void.person:
        return own
    if void.void_device:
        return None
    namesakes = by_number.get((void.void_epoch, void.void_seq), ())
    draft = drafts.get(namesakes[0]) if len(namesakes) == 1 else None
    return draft if draft is not None and draft.entry.person == void.person else None


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


def _settle_claims(drafts: Iterable[VisitDraft]) -> None:
    """Lets one of each person's entries in a session be billed."""
    meals: dict[tuple[str, str, str], list[VisitDraft]] = defaultdict(list)
    for draft in drafts:
        # Entries without a time have no place in the order: they wait, and only certain ones compete.
        if draft.session and draft.claim in _COMPETING and draft.entry_time is not None:
            meals[draft.entry.person, draft.session, draft.service_date].append(draft)
    for entries in meals.values():
        if len(entries) > 1:
            entries.sort(key=_order)
        first, *later = entries
        if first.claim is Claim.SECOND:
            guest = any(entry.claim is Claim.PENDING for entry in later)
            first.claim, first.why = Claim.PENDING if guest else Claim.CLAIMABLE, ClaimReason.MOVED_UP
        for entry in later:
            entry.claim, entry.why, entry.first = Claim.SECOND, ClaimReason.SECOND_MEAL, first.id


_COMPETING = frozenset({Claim.CLAIMABLE, Claim.SECOND, Claim.PENDING})
