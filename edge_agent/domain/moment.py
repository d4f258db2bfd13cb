"""Moments: when something happened, and how much time lies between two moments."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from drivers.readings import PersonMatched
from edge_agent.domain.sighting import EarlierSighting
from sync.contract.event import TERMINAL_BOOT, ClockQuality
from sync.contract.timelines import is_terminal_boot


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


def terminal_boot(reading: PersonMatched) -> str:
    """Returns the name under which the clock of a reading's terminal counts as a boot of its own."""
    return f"{TERMINAL_BOOT}{' '.join(filter(None, (reading.reader, reading.terminal, reading.clock_run)))}"


def terminal_moment(
    reading: PersonMatched, matched_at: datetime, now: Moment, confirmed_ms: int | None = None
) -> Moment:
    """Returns the moment of a person whom an outside terminal matched, by the terminal's own clock.

    A terminal stores its matches while its network is down, and reports them later, in any order; so its own clock
    counts, for a live report as well. It is the monotonic clock of a boot of its own: two reports stay as far apart as
    they were, and what is known of one of them is known of all. Only while the kiosk's own clock is not synchronised, a
    live report keeps the kiosk's moment: that will be put right. `confirmed_ms`: by so much a person has confirmed that
    a wrong clock is ahead.
    """
    if not reading.clock_suspect and not now.is_trusted and not is_late(matched_at, now):
        return now
    boot, utc, clock_ms = terminal_boot(reading), matched_at.astimezone(UTC), int(matched_at.timestamp() * 1000)
    if not reading.clock_suspect:
        return Moment(utc, clock_ms, boot, now.clock)
    if confirmed_ms is None:
        return Moment(utc, clock_ms, boot, ClockQuality.UNSYNCHRONISED)
    return Moment(utc - timedelta(milliseconds=confirmed_ms), clock_ms, boot, now.clock)


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


def arrange_sightings(earlier: Sequence[EarlierSighting], now: Moment) -> Sequence[EarlierSighting]:
    """Returns those of a person's earlier sightings that were before `now`, oldest first.

    The journal's order is that of their coming, which is also that of their times, but for what a terminal told late.
    Sightings that no clock places beside `now` are left out then.
    """
    if not is_terminal_boot(now.boot) and not any(is_terminal_boot(sighting.boot) for sighting in earlier):
        return earlier
    placed: list[tuple[datetime, int, EarlierSighting]] = []
    for number, sighting in enumerate(earlier):
        at = _time_beside(sighting, now)
        if at is not None and at <= now.utc:
            placed.append((at, number, sighting))
    return [sighting for *_, sighting in sorted(placed, key=lambda place: place[:2])]


def _time_beside(sighting: EarlierSighting, now: Moment) -> datetime | None:
    """Returns when a sighting was, on the clock of `now`; None where nobody knows."""
    if sighting.boot == now.boot:
        return now.utc - timedelta(milliseconds=now.mono_ms - sighting.mono_ms)
    if is_terminal_boot(sighting.boot) and is_terminal_boot(now.boot):
        return None if sighting.offset_s else sighting.at  # two terminals, whatever this kiosk's own clock says
    return sighting.at if now.is_trusted and sighting.clock is ClockQuality.SYNCHRONISED else None
