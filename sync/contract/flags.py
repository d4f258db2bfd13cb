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
from sync.contract.visits import EventId, ReceivedEvent, Visit, unpack_events


class FlagKind(StrEnum):
    """The kinds of oddness that a flag names."""

    MANUAL_BURST = "manual_burst"  # one operator enters many by hand in a short time
    CARD_PILE = "card_pile"  # many cards one after the other, faster than children walk
    AFTER_HOURS = "after_hours"  # entries while their meal was not served


@dataclass(frozen=True, slots=True)
class Flag:
    """One mark on events that look odd."""

    kind: FlagKind
    first: EventId  # the first event concerned
    count: int  # entries concerned
    operator: str = ""


@dataclass(frozen=True, slots=True)
class FlagThresholds:
    """The limits from which a flag is raised. A whole class entered at once is one act."""

    burst_window_ms: int = 300_000
    burst_acts: int = 20
    burst_people: int = 100  # three classes
    pile_gap_ms: int = 700  # a queue at its fastest keeps a second
    pile_cards: int = 12


def find_flags(
    received: Iterable[ReceivedEvent],
    visits: Sequence[Visit],
    *,
    timetable: Timetable,
    grace: timedelta = timedelta(),
    thresholds: FlagThresholds | None = None,
) -> tuple[Flag, ...]:
    """Returns the flags in these events and in the visits derived from them, in the order of their first events."""
    limits = thresholds or FlagThresholds()
    events = unpack_events(received)
    flags = [
        *_manual_bursts(events, limits),
        *_card_piles(events, limits),
        *_after_hours(visits, timetable, grace),
    ]
    return tuple(sorted(flags, key=lambda flag: (flag.first, flag.kind)))


@dataclass(frozen=True, slots=True)
class _TimelineEntry:
    """One entry on a boot's own line of time."""

    id: EventId
    mono_ms: int
    person: str
    act: Hashable


def _manual_bursts(events: Sequence[ReceivedEvent], limits: FlagThresholds) -> list[Flag]:
    by_operator: dict[tuple[str, str, str], list[_TimelineEntry]] = defaultdict(list)
    for received in events:
        manual = received.event
        if isinstance(manual, Manual):
            act: Hashable = manual.group or received.id
            entry = _TimelineEntry(received.id, manual.mono_ms, manual.person, act)
            by_operator[received.id.device, manual.boot, manual.operator].append(entry)
    flags: list[Flag] = []
    for (_, _, operator), timeline in by_operator.items():
        timeline.sort(key=_position)
        flags += [
            Flag(FlagKind.MANUAL_BURST, min(burst, key=_position).id, len(burst), operator)
            for burst in _bursts(timeline, limits)
        ]
    return flags


def _position(entry: _TimelineEntry) -> tuple[int, EventId]:
    return entry.mono_ms, entry.id


def _bursts(timeline: Sequence[_TimelineEntry], limits: FlagThresholds) -> list[Sequence[_TimelineEntry]]:
    """Returns the longest stretches at whose ends every window was too full."""
    spans: list[list[int]] = []
    acts: dict[Hashable, int] = defaultdict(int)
    start = 0
    for end, entry in enumerate(timeline):
        acts[entry.act] += 1
        while entry.mono_ms - timeline[start].mono_ms > limits.burst_window_ms:
            acts[timeline[start].act] -= 1
            if not acts[timeline[start].act]:
                del acts[timeline[start].act]
            start += 1
        if len(acts) < limits.burst_acts and end - start + 1 < limits.burst_people:
            continue
        if spans and start <= spans[-1][1]:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return [timeline[first : last + 1] for first, last in spans]


def _card_piles(events: Sequence[ReceivedEvent], limits: FlagThresholds) -> list[Flag]:
    by_reader: dict[tuple[str, str, str], list[_TimelineEntry]] = defaultdict(list)
    for received in events:
        scan = received.event
        if isinstance(scan, Entry | Exit) and scan.method is Method.CARD:
            entry = _TimelineEntry(received.id, scan.mono_ms, scan.person, received.id)
            by_reader[received.id.device, scan.boot, scan.reader].append(entry)
    return [
        Flag(FlagKind.CARD_PILE, run[0].id, len(run))
        for timeline in by_reader.values()
        for run in _runs(timeline, limits.pile_gap_ms)
        if len({entry.person for entry in run}) >= limits.pile_cards
    ]


def _runs(timeline: Iterable[_TimelineEntry], gap_ms: int) -> list[list[_TimelineEntry]]:
    """Returns the timeline, cut wherever more than `gap_ms` lie between two entries."""
    runs: list[list[_TimelineEntry]] = []
    for entry in sorted(timeline, key=_position):
        if runs and entry.mono_ms - runs[-1][-1].mono_ms <= gap_ms:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    return runs


def _after_hours(visits: Sequence[Visit], timetable: Timetable, grace: timedelta) -> list[Flag]:
    late: dict[tuple[str, str, str, str], list[EventId]] = defaultdict(list)
    for visit in visits:
        if visit.counts and visit.entry_time is not None:
            slot = timetable.slot(visit.session, visit.service_date)
            if slot is None or not slot.starts - grace <= visit.entry_time < slot.ends + grace:
                late[visit.id.device, visit.operator, visit.session, visit.service_date].append(visit.id)
    return [
        Flag(FlagKind.AFTER_HOURS, min(entries), len(entries), operator)
        for (_, operator, _, _), entries in late.items()
    ]
