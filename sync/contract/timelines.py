"""A person's day at one kiosk in the order of its true times, whatever the order in which its rows came.

A terminal whose network was away tells later what it saw: the breakfast may come after the lunch, and a live scan
before the row of an earlier minute. What a kiosk recorded of each row depends on the rows that it knew then. So where a
day has a row of a terminal's own clock, all sightings of its person at this kiosk are judged anew, in the order of
their true times, by the same function as at the scan (`sync.contract.movements`). The events stay as they are; only
what follows from them does not depend on the order of their coming.

A sighting without a true time takes no part. An entry that was taken back takes none either: whatever was a repeat of
it stands for itself.
"""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from sync.contract.clocks import TrueClocks
from sync.contract.event import (
    TERMINAL_BOOT,
    Claim,
    ClockQuality,
    Entry,
    Exit,
    Manual,
    Method,
    Refusal,
    Repeat,
    Sighting,
    is_on_paper,
)
from sync.contract.movements import Direction, Movement, PersonMovement, ScanRules, find_movement, parse_rules
from sync.contract.sessions import Slot, Timetable
from sync.contract.visit import EventId, ReceivedEvent

OUTSIDE_HOURS = frozenset({"no_session", "closed_day"})  # refusals that an entry before them would have made an exit


class TimelineBasis(Protocol):
    """The knowledge of meals by which a timeline is judged."""

    def timetable(self, sighting: Sighting, when: datetime) -> Timetable:
        """Returns the timetable by which a sighting at this moment is judged."""
        ...

    def is_paid(self, sighting: Sighting, when: datetime, slot: Slot) -> bool:
        """Returns True where somebody pays for this person's meal in this session."""
        ...


@dataclass(frozen=True, slots=True)
class PlacedSighting:
    """A sighting in its place on the timeline: what it means there, and when it happened."""

    event: Entry | Manual | Exit | Repeat
    when: datetime


@dataclass(frozen=True, slots=True)
class _Sighting:
    id: EventId
    event: Sighting
    when: datetime
    rules: ScanRules | None  # None: of a kiosk that does not say them

    @property
    def order(self) -> tuple[object, ...]:
        """The true time; of one moment, what does not depend on the order in which the rows came."""
        event = self.event
        return self.when, event.boot, event.reader, event.method, event.scan_rules, self.id

    def elapsed_ms(self, prior: "_Step") -> int:
        """Returns the milliseconds from an earlier sighting until this one."""
        return (self.when - prior.when) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class _Step:
    """An earlier sighting as it was placed; a `movements.PriorSighting`."""

    epoch: str
    seq: int
    when: datetime
    is_entry: bool
    is_exit: bool
    session: str
    service_date: str
    entry_epoch: str = ""
    entry_seq: int = 0


def is_terminal_boot(boot: str) -> bool:
    """Returns True for the boot of an event that has its time from a terminal's own clock."""
    return boot.startswith(TERMINAL_BOOT)


def place_sightings(
    arrivals: Sequence[ReceivedEvent], clocks: TrueClocks, basis: TimelineBasis, voided: Container[EventId]
) -> dict[EventId, PlacedSighting]:
    """Returns the sightings of the days on which a terminal's own clock counts, each in its place.

    `arrivals`: each event once. `voided`: the entries that were taken back. The others mean what their events say.
    """
    late = {
        (arrival.id.device, arrival.event.person)
        for arrival in arrivals
        if isinstance(arrival.event, Sighting) and arrival.event.boot.startswith(TERMINAL_BOOT) and arrival.event.person
    }
    if not late:
        return {}
    days: dict[tuple[str, str, str], list[_Sighting]] = defaultdict(list)
    for arrival in arrivals:
        event_id, event = arrival.id, arrival.event
        if (
            not isinstance(event, Sighting)
            or (event_id.device, event.person) not in late
            or not _bears_on_visits(event_id, event, voided)
        ):
            continue
        when = clocks.true_time(event_id.device, event)
        if when is not None:
            sighting = _Sighting(event_id, event, when, parse_rules(event.scan_rules))
            days[event_id.device, event.person, _find_day(sighting, basis)].append(sighting)
    placed: dict[EventId, PlacedSighting] = {}
    for (*_, day), group in days.items():
        group.sort(key=lambda sighting: sighting.order)
        stated = [sighting.rules for sighting in group if sighting.rules and is_terminal_boot(sighting.event.boot)]
        if stated:
            placed |= _place_day(day, group, stated[-1], basis)
    return placed


def _bears_on_visits(event_id: EventId, event: Sighting, voided: Container[EventId]) -> bool:
    match event:
        case Entry() | Manual():
            return event_id not in voided and not is_on_paper(event)  # a list says whose meal, and not when
        case Exit():
            return EventId(event_id.device, event.entry_epoch, event.entry_seq) not in voided
        case Refusal():
            return event.reason in OUTSIDE_HOURS
        case _:
            return True


def _find_day(sighting: _Sighting, basis: TimelineBasis) -> str:
    """Returns the date under which the ledger files the sighting, of its true time where its clock was wrong."""
    event, when = sighting.event, sighting.when
    if event.clock is ClockQuality.SYNCHRONISED:
        return event.service_date or event.at[:10]
    slots = _find_slots(sighting, sighting.rules, basis) if sighting.rules else ()
    return slots[0].service_date if slots else when.date().isoformat()


def _find_slots(sighting: _Sighting, rules: ScanRules, basis: TimelineBasis) -> Sequence[Slot]:
    early, late = timedelta(milliseconds=rules.early_ms), timedelta(milliseconds=rules.late_ms)
    timetable = basis.timetable(sighting.event, sighting.when)
    return timetable.find_slots(sighting.when, early=early, late=late).slots


def _place_day(
    day: str, group: Sequence[_Sighting], stated: ScanRules, basis: TimelineBasis
) -> dict[EventId, PlacedSighting]:
    """Returns the sightings of one person's day at one kiosk. `stated`: the rules of those that do not say them."""
    placed: dict[EventId, PlacedSighting] = {}
    steps: list[_Step] = []
    names = {sighting.id for sighting in group}
    for sighting in group:
        event = sighting.event
        by_hand = isinstance(event, Manual) or event.method is Method.MANUAL
        rules = sighting.rules or stated.at_reader(Direction.BOTH)
        slots = [slot for slot in _find_slots(sighting, rules, basis) if slot.service_date == day]
        recorded = _recorded_slot(sighting, basis)
        if recorded is not None and not any(_is_same(slot, recorded) for slot in slots):
            slots = [recorded]
        step = find_movement(
            steps, sighting.elapsed_ms, sighting.when, slots, basis.timetable(event, sighting.when), rules,
            Direction.IN if by_hand else rules.direction,
        )  # fmt: skip
        meaning = _apply(step, sighting, slots, steps, names, basis)
        if meaning is not None:
            placed[sighting.id] = PlacedSighting(meaning, sighting.when)
            steps.append(_note(sighting, meaning))
    return placed


def _recorded_slot(sighting: _Sighting, basis: TimelineBasis) -> Slot | None:
    """Returns the slot that the kiosk named for an entry under a good clock; its timetable may have been another."""
    event = sighting.event
    if not isinstance(event, (Entry, Manual)) or event.clock is not ClockQuality.SYNCHRONISED or not event.session:
        return None
    slot = basis.timetable(event, sighting.when).slot(event.session, event.service_date)
    return slot or Slot(event.session, event.service_date, sighting.when, sighting.when)  # type: ignore[arg-type]


def _is_same(slot: Slot, other: Slot) -> bool:
    return (slot.session, slot.service_date) == (other.session, other.service_date)


def _apply(
    step: PersonMovement[_Step], sighting: _Sighting, slots: Sequence[Slot], steps: Sequence[_Step],
    names: Container[EventId], basis: TimelineBasis,
) -> Entry | Manual | Exit | Repeat | None:  # fmt: skip
    """Returns the event that the sighting means; None where it means nothing, and none comes of it for the next."""
    event = sighting.event
    match step.movement:
        case Movement.ENTRY if isinstance(event, Refusal):
            return None
        case Movement.ENTRY if slots or isinstance(event, (Entry, Manual)):
            return _as_entry(sighting, slots, steps, basis)
        case Movement.EXIT if step.about is None and isinstance(event, Exit):
            named = EventId(sighting.id.device, event.entry_epoch, event.entry_seq)
            return replace(event, entry_epoch="", entry_seq=0) if named in names else event
        case Movement.EXIT if step.about is not None or not isinstance(event, Refusal):
            return _as_exit(sighting, step)
        case _:
            return None if isinstance(event, Refusal) else _as_repeat(event)


def _as_entry(
    sighting: _Sighting, slots: Sequence[Slot], steps: Sequence[_Step], basis: TimelineBasis
) -> Entry | Manual:
    event, good = sighting.event, ClockQuality.SYNCHRONISED
    slot = _choose_slot(sighting, slots, steps, basis)
    session, service_date = (slot.session, slot.service_date) if slot else ("", "")
    paid = slot is not None and basis.is_paid(event, sighting.when, slot)
    if isinstance(event, (Entry, Manual)):
        claim = event.claim
        if claim is Claim.HELD and event.clock is not good:  # held for its clock alone, which is known by now
            claim = Claim.CLAIMABLE if paid else Claim.HELD
        return replace(event, session=session, service_date=service_date, clock=good, claim=claim)
    # The kiosk took it for a repeat or an exit, and so says nothing about who pays.
    return Entry(
        school=event.school, at=event.at, boot=event.boot, mono_ms=event.mono_ms, clock=good, roster=event.roster,
        roster_age_s=event.roster_age_s, person=event.person, session=session, service_date=service_date,
        method=event.method, reader=event.reader, credential=event.credential, score=event.score,
        operator=event.operator, note=event.note, scan_rules=event.scan_rules, offset_s=event.offset_s,
        claim=Claim.SECOND if paid else Claim.NONE,
    )  # fmt: skip


def _choose_slot(
    sighting: _Sighting, slots: Sequence[Slot], steps: Sequence[_Step], basis: TimelineBasis
) -> Slot | None:
    """Returns the first session that is due and not yet eaten, else the first due, else the first."""
    eaten = {(step.session, step.service_date) for step in steps if step.is_entry}
    due = [slot for slot in slots if len(slots) > 1 and basis.is_paid(sighting.event, sighting.when, slot)]
    fresh = [slot for slot in due if (slot.session, slot.service_date) not in eaten]
    return next(iter(fresh or due or slots), None)


def _as_exit(sighting: _Sighting, step: PersonMovement[_Step]) -> Exit:
    event, entry = sighting.event, step.about
    slot = step.slot
    session, service_date = (slot.session, slot.service_date) if slot else ("", "")
    if entry is not None:
        session, service_date = entry.session, entry.service_date
    return Exit(
        school=event.school, at=event.at, boot=event.boot, mono_ms=event.mono_ms, clock=ClockQuality.SYNCHRONISED,
        roster=event.roster, person=event.person, session=session, service_date=service_date, method=event.method,
        reader=event.reader, entry_epoch=entry.epoch if entry else "", entry_seq=entry.seq if entry else 0,
    )  # fmt: skip


def _as_repeat(event: Sighting) -> Repeat:
    return Repeat(
        school=event.school, at=event.at, boot=event.boot, mono_ms=event.mono_ms, clock=event.clock,
        person=event.person, session=event.session, service_date=event.service_date, method=event.method,
        reader=event.reader,
    )  # fmt: skip


def _note(sighting: _Sighting, meaning: Entry | Manual | Exit | Repeat) -> _Step:
    entry = (meaning.entry_epoch, meaning.entry_seq) if isinstance(meaning, Exit) else ("", 0)
    return _Step(
        sighting.id.epoch, sighting.id.seq, sighting.when, isinstance(meaning, (Entry, Manual)),
        isinstance(meaning, Exit), meaning.session, meaning.service_date, *entry,
    )  # fmt: skip
