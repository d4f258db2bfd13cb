"""When something happened, and how far two happenings are apart."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from edge_agent.domain.sighting import EarlierSighting
from sync.contract.event import ClockQuality


class Moment(msgspec.Struct, frozen=True):
    """The wall clock in UTC and the monotonic clock of one boot, read together."""

    utc: datetime
    mono_ms: int
    boot: str
    clock: ClockQuality

    def __post_init__(self) -> None:
        if self.utc.tzinfo is None:
            raise ValueError("a moment needs an aware time; use UTC")

    @property
    def is_trusted(self) -> bool:
        return self.clock is ClockQuality.SYNCHRONISED

    @property
    def text(self) -> str:
        """As facts hold it: `2026-11-22T04:40:00.123Z`."""
        return self.utc.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


LATE_AFTER = timedelta(minutes=2)  # less is the way from the terminal to here


def is_late(seen_at: datetime, now: Moment) -> bool:
    """Whether a terminal speaks of somebody who is not standing there now."""
    return abs(now.utc - seen_at) > LATE_AFTER


def terminal_moment(seen_at: datetime, source: str, now: Moment, *, suspect: bool) -> Moment:
    """When an outside terminal says that it saw somebody: then, where it tells it late, and now otherwise.

    A terminal keeps what it saw while its network was away. Its own clock counts, as a boot of its own, so that two
    things it tells at once stay as far apart as they were. `suspect`: nobody has set that clock, or it runs ahead.
    """
    if not suspect and not is_late(seen_at, now):
        return now
    clock = ClockQuality.UNSYNCHRONISED if suspect or seen_at > now.utc else now.clock
    return Moment(seen_at.astimezone(UTC), int(seen_at.timestamp() * 1000), f"terminal {source}", clock)


MomentSource = Callable[[], Moment]
"""Reads the clocks. The kernel's in life, a test's or the demo's own otherwise."""


def elapsed_ms(earlier: EarlierSighting, now: Moment) -> int | None:
    """Milliseconds from an earlier sighting of the same journal until now, never negative.

    Within one boot by the monotonic clock, whatever the wall clock did. Between boots by the wall clock; None where
    that went backwards, so that nobody knows: a kiosk that comes up two weeks in the past must not take the whole
    school for children who scanned a moment ago.
    """
    if earlier.boot == now.boot:
        return max(0, now.mono_ms - earlier.mono_ms)
    apart = now.utc - earlier.at
    milliseconds = (apart.days * 86_400 + apart.seconds) * 1000 + apart.microseconds // 1000
    return milliseconds if milliseconds >= 0 else None
