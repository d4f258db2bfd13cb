"""The evidence that a kiosk was away in a session: its return, and the last sign of life before it.

Away is the time from an event to the boot (or the new epoch) that follows it. It is evidence for a session if the
kiosk was away for all of it, or returned in it, or was last heard in it and returned on the same local day. Where a
kiosk was last heard in a session and returned on another day, nobody knows if it was switched off after the meal.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, tzinfo
from itertools import pairwise

from sync.contract.clocks import TrueClocks
from sync.contract.event import Boot, Repair, Stop
from sync.contract.sessions import Slot, Timetable
from sync.contract.visit import ReceivedEvent
from sync.money.sheet import OutageKind, SheetOutage


def find_outages(
    events: Iterable[ReceivedEvent], timetables: Mapping[date, Timetable], tz: tzinfo
) -> tuple[SheetOutage, ...]:
    """Returns the outages in the sessions of these days, sorted. `timetables`: what was served on each of them.

    `events`: of all kiosks, at least every boot, stop, repair and clock step, and the event before each boot.
    """
    slots = [
        window.to_slot(day, tz)
        for day, timetable in timetables.items()
        if day.isoformat() not in timetable.closed_days
        for window in timetable.windows
        if day.isoweekday() in window.weekdays
    ]
    received = list(events)
    clocks = TrueClocks((arrival.id.device, arrival.event) for arrival in received)
    timed: dict[str, list[tuple[datetime, ReceivedEvent]]] = defaultdict(list)
    for arrival in received:
        utc = clocks.true_time(arrival.id.device, arrival.event)
        if utc is not None:
            timed[arrival.id.device].append((utc, arrival))
    outages: set[SheetOutage] = set()
    for line in timed.values():
        line.sort(key=lambda pair: (pair[0], pair[1].id))
        for (gone_at, before), (back_at, back) in pairwise(line):
            if isinstance(back.event, Boot | Repair):
                kind = _kind(before, back)
                outages |= {_outage(slot, kind, back) for slot in _hit(slots, gone_at, back_at, tz)}
    return tuple(sorted(outages))


def _kind(before: ReceivedEvent, back: ReceivedEvent) -> OutageKind:
    if isinstance(back.event, Repair):
        return OutageKind.FAULT
    return OutageKind.STOP if isinstance(before.event, Stop) else OutageKind.BOOT


def _outage(slot: Slot, kind: OutageKind, back: ReceivedEvent) -> SheetOutage:
    day = int(slot.service_date[8:10])
    return SheetOutage(day, slot.session, back.id.device, back.id.epoch, back.id.seq, kind)


def _hit(slots: Iterable[Slot], gone_at: datetime, back_at: datetime, tz: tzinfo) -> Iterator[Slot]:
    same_day = gone_at.astimezone(tz).date() == back_at.astimezone(tz).date()
    for slot in slots:
        if gone_at < slot.ends and slot.starts < back_at and (same_day or gone_at <= slot.starts):
            yield slot
