"""When something really happened, reckoned from a kiosk's two clocks.

A wall clock that is wrong may be put right later in the same boot, by the network or by hand. The monotonic clock ran
on the whole time: one event whose wall clock was synchronised gives the offset between the two, and with it the true
time of every other event of that boot. An event of a boot without one has no time, only an order.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sync.contract.event import ClockQuality, EventBase

_MILLISECOND = timedelta(milliseconds=1)


def wall_time(event: EventBase) -> datetime | None:
    """Returns the recorded wall clock in UTC; None where it cannot be read."""
    try:
        recorded = datetime.fromisoformat(event.at)
        return recorded.astimezone(UTC) if recorded.tzinfo else None
    except (ValueError, OverflowError):
        return None


class TrueClocks:
    """The true times of the events of a school's kiosks, as far as these events vouch for them."""

    def __init__(self, events: Iterable[tuple[str, EventBase]]) -> None:
        """Reads device and event of each pair, in any order."""
        anchors: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)
        for device, event in events:
            if event.clock is not ClockQuality.SYNCHRONISED:
                continue
            utc = wall_time(event)
            if utc is not None:
                anchors[device, event.boot].append((event.mono_ms, utc))
        self._anchors = {boot: sorted(pairs) for boot, pairs in anchors.items()}

    def true_time(self, device: str, event: EventBase) -> datetime | None:
        """Returns when the event happened, in UTC; None where nothing vouches for the wall clock."""
        if event.clock is ClockQuality.SYNCHRONISED:
            return wall_time(event)
        anchors = self._anchors.get((device, event.boot))
        if not anchors:
            return None
        # The nearest one: crystals drift by seconds a day.
        after = bisect_left(anchors, event.mono_ms, key=lambda anchor: anchor[0])
        near = anchors[max(0, after - 1) : after + 1]
        mono_ms, utc = min(near, key=lambda anchor: abs(anchor[0] - event.mono_ms))
        try:
            return utc + (event.mono_ms - mono_ms) * _MILLISECOND
        except OverflowError:
            return None
