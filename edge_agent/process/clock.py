"""The kiosk's clocks: wall time with the kernel's own word on its quality, and monotonic time of a named boot.

`adjtimex` answers without any daemon being asked. Whatever disciplines the clock (timesyncd, chrony, ntpd) clears
STA_UNSYNC. The kernel sets it again when that program has been silent for about nine hours: maxerror grows by 500 ppm,
and past 16 s the clock counts as unsynchronised.
"""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_agent.domain.moment import Moment
from sync.contract.event import ClockQuality

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STEP_MS = 2_000  # less is slewing
QUALITY_NS = 1_000_000_000  # how long the kernel's answer on its clock's quality is taken for good
READINGS_MAX = 4
READING_NS_MAX = 50_000_000

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMEX_BYTES = 256  # struct timex is 208 on 64-bit, 128 on 32-bit machines
_STATUS_OFFSET = ctypes.sizeof(ctypes.c_long) * 5  # modes (padded), offset, freq, maxerror, esterror, then status


def read_clock_quality() -> ClockQuality:
    """Returns the quality of the wall clock by adjtimex(2) with no modes set: it only reads, and needs no right."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = _libc.adjtimex(timex)
    if state < 0:
        return ClockQuality.UNKNOWN
    status = ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value
    is_unsynchronised = state == _TIME_ERROR or status & _STA_UNSYNC
    return ClockQuality.UNSYNCHRONISED if is_unsynchronised else ClockQuality.SYNCHRONISED


_libc = ctypes.CDLL(None, use_errno=True)


def read_boottime_ns() -> int:
    """Returns monotonic time that goes on while the machine sleeps, in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class KernelClock:
    """A source of moments: a call returns the moment.

    The kernel is asked for its clock's quality once a second at most: it changes in hours, and scans come in rows.

    The wall clock is read between two readings of the monotonic one, and again where these lie too far apart. A thread
    that is put aside between the two clocks for seconds would otherwise look like a step of the wall clock.
    """

    def __init__(
        self,
        boot_id: Path = BOOT_ID,
        quality: Callable[[], ClockQuality] = read_clock_quality,
        wall_ns: Callable[[], int] = time.time_ns,
        mono_ns: Callable[[], int] = read_boottime_ns,
    ) -> None:
        self._boot = boot_id.read_text("ascii").strip()
        self._read_quality = quality
        self._wall_ns = wall_ns
        self._mono_ns = mono_ns
        self._quality, self._quality_until_ns = ClockQuality.UNKNOWN, -1

    def __call__(self) -> Moment:
        for _ in range(READINGS_MAX):
            before, wall, after = self._mono_ns(), self._wall_ns(), self._mono_ns()
            if after - before <= READING_NS_MAX:
                break
        if after >= self._quality_until_ns:
            self._quality, self._quality_until_ns = self._read_quality(), after + QUALITY_NS
        return Moment(
            utc=_EPOCH + timedelta(microseconds=wall // 1000),
            mono_ms=(before + after) // 2 // 1_000_000,
            boot=self._boot,
            clock=self._quality,
        )


@dataclass(frozen=True, slots=True)
class WallClockStep:
    """A jump of the wall clock against the monotonic one, in milliseconds; positive: forward.

    `quality_before` is the clock's quality before the jump.
    """

    step_ms: int
    quality_before: ClockQuality


class StepDetector:
    """Compares the two clocks from moment to moment. Slewing stays below the threshold, a jump does not."""

    def __init__(self, threshold_ms: int = STEP_MS) -> None:
        self._threshold_ms = threshold_ms
        self._last: Moment | None = None

    def detect_step(self, moment: Moment) -> WallClockStep | None:
        """Returns the jump since the last call; None where there was none."""
        last, self._last = self._last, moment
        if last is None:
            return None
        wall_ms = round((moment.utc - last.utc).total_seconds() * 1000)
        step_ms = wall_ms - (moment.mono_ms - last.mono_ms)
        return WallClockStep(step_ms, last.clock) if abs(step_ms) >= self._threshold_ms else None
