"""Parts that die, hang and end: each is seen, none takes another with it."""

import threading
from collections.abc import Callable

import pytest

from edge_agent.process.supervision import DEATHS_MAX, Part, Pulse, Supervisor


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def eventually(holds: Callable[[], bool]) -> None:
    """Wait, without a deadline of its own, for what another thread is about to do; the suite's timeout ends it."""
    pause = threading.Event()
    while not holds():
        pause.wait(0.01)


def test_a_part_that_dies_is_started_again_and_its_neighbour_lives_on(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor()
    lives: list[int] = []
    neighbour_started = threading.Event()

    def dies_once(pulse: Pulse) -> None:
        lives.append(1)
        if len(lives) == 1:
            raise RuntimeError("first life")
        while not pulse.is_stopping():
            pulse.wait(0.05)

    def neighbour(pulse: Pulse) -> None:
        neighbour_started.set()
        while not pulse.is_stopping():
            pulse.wait(0.05)

    supervisor.add("dies", dies_once)
    supervisor.add("neighbour", neighbour)
    supervisor.start()
    eventually(lambda: len(lives) == 2)
    assert neighbour_started.is_set()
    assert supervisor.find_faults() == []
    assert "first life" in caplog.text
    assert supervisor.stop() == []


def test_a_part_that_does_not_move_is_a_fault() -> None:
    clock = Clock()
    supervisor = Supervisor(clock)
    release = threading.Event()

    def hangs(pulse: Pulse) -> None:
        release.wait()

    supervisor.add("hangs", hangs, beat_max_s=30)
    supervisor.start()
    assert supervisor.find_faults() == []
    clock.now = 31.0
    assert supervisor.find_faults() == ["hangs has not moved for 31 s"]
    release.set()
    supervisor.stop()


def test_a_part_that_was_never_started_or_dies_again_and_again_is_a_fault() -> None:
    clock = Clock()
    part = Part("p", lambda pulse: None, Pulse(clock), 30.0)
    assert part.find_fault(0.0) == "p has ended"
    part.thread = threading.current_thread()
    part.deaths = [float(n) for n in range(DEATHS_MAX + 1)]
    assert "died 6 times" in part.find_fault(10.0)
    clock.now = 1_000.0
    part.pulse.beat()
    assert part.find_fault(1_000.0) == ""


def test_shut_names_what_does_not_end() -> None:
    supervisor = Supervisor()
    release = threading.Event()
    started = threading.Event()

    def stubborn(pulse: Pulse) -> None:
        started.set()
        release.wait()

    supervisor.add("stubborn", stubborn)
    supervisor.start()
    started.wait()
    assert supervisor.stop(timeout_s=0.05) == ["stubborn"]
    release.set()


def test_wake_ends_a_long_wait() -> None:
    supervisor = Supervisor()
    woken = threading.Event()

    def sleeper(pulse: Pulse) -> None:
        pulse.wait(3_600)
        if not pulse.is_stopping():
            woken.set()
        while not pulse.is_stopping():
            pulse.wait(0.05)

    part = supervisor.add("sleeper", sleeper)
    supervisor.start()
    part.pulse.wake()
    eventually(woken.is_set)
    assert supervisor.stop() == []
