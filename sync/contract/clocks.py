"""When something really happened, reckoned from a kiosk's two clocks.

A wall clock that is wrong may be put right later in the same boot, by the network or by hand. The monotonic clock ran
on the whole time: one event whose wall clock was synchronised gives the offset between the two, and with it the true
time of every other event of that boot. An event of a boot without one has no time, only an order.

Of each span of ten minutes the first such event is evidence enough, since crystals drift by seconds a day: so a ledger
need not keep all of them at hand.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sync.contract.event import ClockQuality, EventBase

SPAN_MS = 600_000
CLOCK_SLACK = timedelta(minutes=5)  # two good clocks, and a reading and its row in the chain, lie less apart
_MILLISECOND = timedelta(milliseconds=1)
# ASCII, since `\d` would also take the digits of other scripts.
UTC_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)


def is_utc_text(text: str) -> bool:
    """Returns True for a time in the form that events have: `2026-11-22T04:40:00.123Z`."""
    return UTC_TEXT.fullmatch(text) is not None


def parse_utc(text: str) -> datetime | None:
    """Returns the aware time in a text, in UTC; None where there is none."""
    try:
        recorded = datetime.fromisoformat(text)
        if recorded.tzinfo is UTC:
            return recorded
        return recorded.astimezone(UTC) if recorded.tzinfo else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True, order=True)
class ClockAnchor:
    """One reading of both clocks of a boot, the wall clock being synchronised."""

    mono_ms: int
    at: str

    @property
    def span(self) -> int:
        """Returns the number of its span of ten minutes."""
        return self.mono_ms // SPAN_MS


class TrueClocks:
    """The true times of the events of a school's kiosks, as far as the evidence vouches for them."""

    def __init__(self, events: Iterable[tuple[str, EventBase]] = ()) -> None:
        """Reads device and event of each pair, in any order."""
        self._first: dict[tuple[str, str], dict[int, ClockAnchor]] = defaultdict(dict)
        self._anchors: dict[tuple[str, str], list[tuple[int, datetime]]] = {}
        for device, event in events:
            if event.clock is ClockQuality.SYNCHRONISED:
                self.add(device, event.boot, ClockAnchor(event.mono_ms, event.at))

    def add(self, device: str, boot: str, anchor: ClockAnchor) -> None:
        """Adds evidence about a boot. A wall time that cannot be read is none."""
        first = self._first[device, boot].get(anchor.span)
        if (first is None or anchor < first) and parse_utc(anchor.at) is not None:
            self._first[device, boot][anchor.span] = anchor
            self._anchors.pop((device, boot), None)

    def true_time(self, device: str, event: EventBase) -> datetime | None:
        """Returns when the event happened, in UTC; None where nothing vouches for the wall clock."""
        if event.clock is ClockQuality.SYNCHRONISED:
            return parse_utc(event.at)
        return self.reckon(device, event.boot, event.mono_ms)

    def reckon(self, device: str, boot: str, mono_ms: int) -> datetime | None:
        """Returns the UTC time at which a boot's monotonic clock stood at `mono_ms`; None without evidence."""
        anchors = self._sorted_anchors(device, boot)
        if not anchors:
            return None
        after = bisect_left(anchors, mono_ms, key=lambda anchor: anchor[0])
        near = anchors[max(0, after - 1) : after + 1]
        anchor_ms, utc = min(near, key=lambda anchor: abs(anchor[0] - mono_ms))
        try:
            return utc + (mono_ms - anchor_ms) * _MILLISECOND
        except OverflowError:
            return None

    def _sorted_anchors(self, device: str, boot: str) -> list[tuple[int, datetime]]:
        anchors = self._anchors.get((device, boot))
        if anchors is None:
            spans = self._first.get((device, boot), {})
            timed = ((anchor.mono_ms, parse_utc(anchor.at)) for anchor in sorted(spans.values()))
            anchors = self._anchors[device, boot] = [(mono_ms, utc) for mono_ms, utc in timed if utc is not None]
        return anchors
