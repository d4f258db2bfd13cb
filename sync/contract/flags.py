"""Signs that somebody should look at before money moves. A flag accuses nobody and refuses nothing.

Within a boot the monotonic clock tells the distances: no wall clock, wrong or turned back on purpose, hides a burst.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sync.contract.event import Entry, Exit, Manual, Method
from sync.contract.sessions import Timetable
from sync.contract.visits import EventId, Received, Visit, unpack


class FlagKind(StrEnum):
    MANUAL_BURST = "manual_burst"  # one operator enters many by hand in a short time
    CARD_PILE = "card_pile"  # many cards one after the other, faster than children walk
    AFTER_HOURS = "after_hours"  # entries while their meal was not served


@dataclass(frozen=True, slots=True)
class Flag:
    kind: FlagKind
    first: EventId  # where to begin to look
    count: int  # entries concerned
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a flag begins. A whole class entered at once is one act."""

    burst_window_ms: int = 300_000
    burst_acts: int = 20
    burst_people: int = 100  # three classes
    pile_gap_ms: int = 700  # a queue at its fastest keeps a second
    pile_cards: int = 12


def flags(
    received: Iterable[Received],
    visits: Sequence[Visit],
    *,
    timetable: Timetable,
    grace: timedelta = timedelta(),
    thresholds: Thresholds | None = None,
) -> tuple[Flag, ...]:
    """Every flag in these facts and in the visits derived from them, in the order of their first events."""
    limits = thresholds or Thresholds()
    facts = unpack(received)
    found = [
        *_manual_bursts(facts, limits),
        *_card_piles(facts, limits),
        *_after_hours(visits, timetable, grace),
    ]
    return tuple(sorted(found, key=lambda flag: (flag.first, flag.kind)))


@dataclass(frozen=True, slots=True)
class _Mark:
    """One entry on a boot's own line of time."""

    id: EventId
    mono_ms: int
    person: str
    act: Hashable


def _manual_bursts(facts: Sequence[Received], limits: Thresholds) -> list[Flag]:
    by_operator: dict[tuple[str, str, str], list[_Mark]] = defaultdict(list)
    for each in facts:
        if isinstance(each.fact, Manual):
            act: Hashable = each.fact.group or each.id
            mark = _Mark(each.id, each.fact.mono_ms, each.fact.person, act)
            by_operator[each.id.device, each.fact.boot, each.fact.operator].append(mark)
    found = []
    for (_, _, operator), marks in by_operator.items():
        marks.sort(key=lambda mark: (mark.mono_ms, mark.id))
        for burst in _bursts(marks, limits):
            first = min(burst, key=lambda mark: (mark.mono_ms, mark.id))
            found.append(Flag(FlagKind.MANUAL_BURST, first.id, len(burst), operator))
    return found


def _bursts(marks: Sequence[_Mark], limits: Thresholds) -> list[Sequence[_Mark]]:
    """The longest stretches of which every window at their end was too full."""
    spans: list[list[int]] = []
    acts: dict[Hashable, int] = defaultdict(int)
    start = 0
    for end, mark in enumerate(marks):
        acts[mark.act] += 1
        while mark.mono_ms - marks[start].mono_ms > limits.burst_window_ms:
            acts[marks[start].act] -= 1
            if not acts[marks[start].act]:
                del acts[marks[start].act]
            start += 1
        if len(acts) < limits.burst_acts and end - start + 1 < limits.burst_people:
            continue
        if spans and start <= spans[-1][1]:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return [marks[first : last + 1] for first, last in spans]


def _card_piles(facts: Sequence[Received], limits: Thresholds) -> list[Flag]:
    by_reader: dict[tuple[str, str, str], list[_Mark]] = defaultdict(list)
    for each in facts:
        if isinstance(each.fact, Entry | Exit) and each.fact.method is Method.CARD:
            mark = _Mark(each.id, each.fact.mono_ms, each.fact.person, each.id)
            by_reader[each.id.device, each.fact.boot, each.fact.reader].append(mark)
    return [
        Flag(FlagKind.CARD_PILE, run[0].id, len(run))
        for marks in by_reader.values()
        for run in _runs(marks, limits.pile_gap_ms)
        if len({mark.person for mark in run}) >= limits.pile_cards
    ]


def _runs(marks: Iterable[_Mark], gap_ms: int) -> list[list[_Mark]]:
    """The marks cut wherever more than `gap_ms` lie between two."""
    runs: list[list[_Mark]] = []
    for mark in sorted(marks, key=lambda mark: (mark.mono_ms, mark.id)):
        if runs and mark.mono_ms - runs[-1][-1].mono_ms <= gap_ms:
            runs[-1].append(mark)
        else:
            runs.append([mark])
    return runs


def _after_hours(visits: Sequence[Visit], timetable: Timetable, grace: timedelta) -> list[Flag]:
    late: dict[tuple[str, str, str, str], list[EventId]] = defaultdict(list)
    for visit in visits:
        if visit.counts and visit.entered_at is not None:
            slot = timetable.slot(visit.session, visit.service_date)
            if slot is None or not slot.starts - grace <= visit.entered_at < slot.ends + grace:
                late[visit.id.device, visit.operator, visit.session, visit.service_date].append(visit.id)
    return [
        Flag(FlagKind.AFTER_HOURS, min(entries), len(entries), operator)
        for (_, operator, _, _), entries in late.items()
    ]
