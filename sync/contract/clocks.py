"""When something really happened, told from a kiosk's two clocks.

A wall clock that is wrong may be put right later in the same boot, by the network or by hand. The monotonic clock ran
on the whole time: one event whose wall clock was synchronised gives the offset between the two, and with it the true
time of every other event of that boot. What no such event vouches for has no time, only an order.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sync.contract.event import ClockQuality, EventBase

_MILLISECOND = timedelta(milliseconds=1)


def wall_time(fact: EventBase) -> datetime | None:
    """The recorded wall clock in UTC; None where it cannot be read."""
    try:
        at = datetime.fromisoformat(fact.at)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


class Clocks:
    """The true times of the events of a school's kiosks, as far as these facts vouch for them."""

    def __init__(self, facts: Iterable[tuple[str, EventBase]]) -> None:
        """`facts`: device and fact, in any order."""
        anchors: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)
        for device, fact in facts:
            if fact.clock is not ClockQuality.SYNCHRONISED:
                continue
            at = wall_time(fact)
            if at is not None:
                anchors[device, fact.boot].append((fact.mono_ms, at))
        self._anchors = {boot: sorted(found) for boot, found in anchors.items()}

    def true_time(self, device: str, fact: EventBase) -> datetime | None:
        """In UTC; None where nothing vouches for the wall clock."""
        if fact.clock is ClockQuality.SYNCHRONISED:
            return wall_time(fact)
        anchors = self._anchors.get((device, fact.boot))
        if not anchors:
            return None
        # The nearest one: crystals drift by seconds a day.
        after = bisect_left(anchors, fact.mono_ms, key=lambda anchor: anchor[0])
        near = anchors[max(0, after - 1) : after + 1]
        mono_ms, at = min(near, key=lambda anchor: abs(anchor[0] - fact.mono_ms))
        try:
            return at + (fact.mono_ms - mono_ms) * _MILLISECOND
        except OverflowError:
            return None
