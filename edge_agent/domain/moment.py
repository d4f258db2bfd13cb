"""Moments: when something happened, and how much time lies between two moments."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from edge_agent.domain.sighting import EarlierSighting
from sync.contract.event import ClockQuality


class Moment(msgspec.Struct, frozen=True):
    """The wall clock in UTC and the monotonic clock of one boot, read together.

    Raises ValueError for a time without a time zone.
    """

    utc: datetime
    mono_ms: int
    boot: str
    clock: ClockQuality

    def __post_init__(self) -> None:
        if self.utc.tzinfo is None:
            raise ValueError("a moment needs an aware time; use UTC")

    @property
    def is_trusted(self) -> bool:
        """True when the wall clock is synchronised."""
        return self.clock is ClockQuality.SYNCHRONISED

    @property
    def text(self) -> str:
        """The wall clock in the form that events keep: `2026-11-22T04:40:00.123Z`."""
        return self.utc.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


LATE_AFTER = timedelta(minutes=2)  # a report on its way from the terminal to this kiosk takes less


def is_late(matched_at: datetime, now: Moment) -> bool:
    """Returns True when a terminal reports a person who has already left it."""
    return abs(now.utc - matched_at) > LATE_AFTER


def terminal_moment(matched_at: datetime, source: str, now: Moment, *, suspect: bool) -> Moment:
    """Returns the moment of a person whom an outside terminal matched: `now`, or the terminal's own time if it is late.

    A terminal stores its matches while its network is down, and reports them later. Then the terminal's clock counts.
    It is treated as a boot of its own, so that two late reports stay as far apart as they were. `source` names the
    terminal's reader. `suspect` says that nobody has set the terminal's clock, or that it runs ahead.
    """
    if not suspect and not is_late(matched_at, now):
        return now
    clock = ClockQuality.UNSYNCHRONISED if suspect or matched_at > now.utc else now.clock
    return Moment(matched_at.astimezone(UTC), int(matched_at.timestamp() * 1000), f"terminal {source}", clock)


MomentSource = Callable[[], Moment]
"""Reads the clocks: the kernel's on a kiosk, their own in tests and in the demo."""


def elapsed_ms(earlier: EarlierSighting, now: Moment) -> int | None:
    """Returns the milliseconds from an earlier sighting of the same journal until now, never negative.

    Within one boot the monotonic clock counts, whatever the wall clock did. Between boots the wall clock counts.
    Returns None when the wall clock went backwards between boots: then nobody knows. A kiosk that comes up two weeks
    in the past must not take every child of the school for one that scanned a moment ago.
    """
    if earlier.boot == now.boot:
        return max(0, now.mono_ms - earlier.mono_ms)
    difference = now.utc - earlier.at
    milliseconds = (difference.days * 86_400 + difference.seconds) * 1000 + difference.microseconds // 1000
    return milliseconds if milliseconds >= 0 else None
