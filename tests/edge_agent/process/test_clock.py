"""The kiosk's clocks: the kernel's word, moments read together, steps found and slewing left alone."""

import ctypes
import itertools
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.domain.moment import Moment
from edge_agent.process.clock import (
    BOOT_ID,
    QUALITY_NS,
    READING_NS_MAX,
    READINGS_MAX,
    STEP_MS,
    KernelClock,
    StepDetector,
    WallClockStep,
    read_clock_quality,
)
from sync.contract.event import ClockQuality

NOON = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def moment(wall_ms: int, mono_ms: int, clock: ClockQuality = ClockQuality.SYNCHRONISED) -> Moment:
    return Moment(NOON + timedelta(milliseconds=wall_ms), mono_ms, "boot", clock)


class Timex(ctypes.Structure):
    """struct timex as <sys/timex.h> declares it, written out to check the offset that `read_clock_quality` uses."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 160),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")
def test_the_quality_is_what_the_kernel_says() -> None:
    timex = Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    synchronised = state != 5 and not timex.status & 0x40
    assert read_clock_quality() is (ClockQuality.SYNCHRONISED if synchronised else ClockQuality.UNSYNCHRONISED)


def test_a_moment_is_now_on_this_boot() -> None:
    before = time.time()
    now = KernelClock()()
    assert before - 0.001 <= now.utc.timestamp() <= time.time() + 0.001
    assert abs(now.mono_ms - time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) < 5_000
    assert now.boot == BOOT_ID.read_text().strip()
    assert now.utc.tzinfo is UTC


def test_two_clocks_read_apart_are_read_again(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("b\n")
    mono = iter([0, 5_000_000_000, 5_000_000_000, 5_000_002_000])
    clock = KernelClock(boot_id, lambda: ClockQuality.UNKNOWN, lambda: 1_700_000_000_123_456_789, lambda: next(mono))
    now = clock()
    assert (now.mono_ms, now.boot, now.clock) == (5_000, "b", ClockQuality.UNKNOWN)
    assert now.utc == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)


def test_a_machine_that_is_always_busy_still_gets_a_moment(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("b\n")
    reads: Iterator[int] = itertools.count(0, 2 * READING_NS_MAX)
    KernelClock(boot_id, lambda: ClockQuality.UNKNOWN, lambda: 0, lambda: next(reads))()
    assert next(reads) == 2 * READINGS_MAX * 2 * READING_NS_MAX


def test_the_kernel_judges_its_clock_once_a_second_and_after_a_sleep(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("b\n")
    answers: Iterator[ClockQuality] = iter(
        [ClockQuality.UNSYNCHRONISED, ClockQuality.SYNCHRONISED, ClockQuality.UNKNOWN]
    )
    mono_ns = 0
    clock = KernelClock(boot_id, lambda: next(answers), lambda: 0, lambda: mono_ns)
    assert clock().clock is ClockQuality.UNSYNCHRONISED
    mono_ns += QUALITY_NS - 1
    assert clock().clock is ClockQuality.UNSYNCHRONISED
    mono_ns += 1
    assert clock().clock is ClockQuality.SYNCHRONISED
    mono_ns += 8 * 3_600 * 1_000_000_000
    assert clock().clock is ClockQuality.UNKNOWN


@given(st.lists(st.tuples(st.integers(0, 60_000), st.integers(-STEP_MS + 1, STEP_MS - 1)), max_size=20))
def test_slewing_is_no_step(moments: list[tuple[int, int]]) -> None:
    detector, wall_ms, mono_ms = StepDetector(), 0, 0
    for apart_ms, slew_ms in moments:
        wall_ms, mono_ms = wall_ms + apart_ms + slew_ms, mono_ms + apart_ms
        assert detector.detect_step(moment(wall_ms, mono_ms)) is None


@given(st.integers(STEP_MS, 10**10), st.booleans(), st.integers(0, 60_000))
def test_a_step_shows_once_with_its_size_and_the_quality_before_it(size_ms: int, back: bool, apart_ms: int) -> None:
    step_ms = -size_ms if back else size_ms
    detector = StepDetector()
    assert detector.detect_step(moment(0, 0, ClockQuality.UNSYNCHRONISED)) is None
    step = detector.detect_step(moment(apart_ms + step_ms, apart_ms, ClockQuality.SYNCHRONISED))
    assert step == WallClockStep(step_ms, ClockQuality.UNSYNCHRONISED)
    assert detector.detect_step(moment(2 * apart_ms + step_ms, 2 * apart_ms)) is None


def test_a_night_asleep_is_no_step() -> None:
    """CLOCK_BOOTTIME goes on while the machine sleeps: both clocks are a night further."""
    detector = StepDetector()
    detector.detect_step(moment(0, 0))
    assert detector.detect_step(moment(8 * 3_600_000, 8 * 3_600_000)) is None
