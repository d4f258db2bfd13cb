"""Whoever is killed in the middle of a pulse, the other ends it. Real processes, a board on a pseudo-terminal."""

import fcntl
import os
import select
import signal as signals
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from drivers.base import Signal
from drivers.errors import DeviceGone
from drivers.indicators.lights import Lcus, LcusSettings
from drivers.indicators.pulses import PULSE_MS_MAX, Pulses
from drivers.indicators.switches import GPIO_V2_LINE_SET_VALUES_IOCTL, Pins
from drivers.indicators.turnstile import Turnstile, TurnstileSettings
from tests.drivers.relay_board import RelayBoard

ROOT = Path(__file__).parents[3]
HANG_S = 20.0
AGENT = """
import sys
from drivers.base import Signal
from drivers.indicators.{module} import *
indicator = {build}
indicator.open()
print(indicator._pulses._guard.pid, flush=True)
indicator.show(Signal.{signal})
sys.stdin.read()
"""
LAMP = ("lights", f"Lcus('lamp', LcusSettings(port=sys.argv[1], welcome=1, pulse_ms={PULSE_MS_MAX}))", "WELCOME")
GATE = ("turnstile", "Turnstile('gate', TurnstileSettings(port=sys.argv[1], way_in=1, way_out=2))", "GOODBYE")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[RelayBoard]:
    board = RelayBoard(tmp_path / "usb-relay-if00")
    yield board
    board.unplug()


class Process:
    """One that is no child of ours. A descriptor, since a number could be given to another."""

    def __init__(self, pid: int) -> None:
        self.pid, self._descriptor = pid, os.pidfd_open(pid)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def kill(self) -> None:
        signals.pidfd_send_signal(self._descriptor, signals.SIGKILL)

    def ended(self, within_s: float = HANG_S) -> bool:
        return bool(select.select([self._descriptor], [], [], within_s)[0])


class Agent:
    """An agent's process with one indicator, in its only pulse."""

    def __init__(self, board: RelayBoard, what: tuple[str, str, str], relay: int) -> None:
        module, build, signal = what
        script = AGENT.format(module=module, build=build, signal=signal)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(board.port)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.guardian = Process(int(self.process.stdout.readline()))
        board.wait_for(relay)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(("what", "relay"), [(LAMP, 1), (GATE, 2)])
def test_an_agent_that_was_killed_in_a_pulse_leaves_nothing_on(
    board: RelayBoard, what: tuple[str, str, str], relay: int
) -> None:
    agent = Agent(board, what, relay)
    agent.kill()
    assert agent.guardian.ended()
    assert board.on == set()
    told_off = {event.relay for event in board.switched[-2:] if not event.on}
    assert relay in told_off
    lamp = Lcus("lamp", LcusSettings(port=str(board.port)))
    lamp.open()
    lamp.close()


@pytest.mark.alone
def test_an_agent_that_was_killed_ends_the_pulse_at_once_and_not_when_it_would_have_ended(board: RelayBoard) -> None:
    agent = Agent(board, LAMP, 1)
    began = time.monotonic()
    agent.kill()
    board.wait_for(1, on=False)
    assert time.monotonic() - began < PULSE_MS_MAX / 1000


def test_an_agent_that_stands_still_in_a_pulse_holds_nothing(board: RelayBoard) -> None:
    agent = Agent(board, LAMP, 1)
    os.kill(agent.process.pid, signals.SIGSTOP)
    board.wait_for(1, on=False)
    agent.kill()
    assert agent.guardian.ended()


def test_nothing_is_switched_by_what_a_terminal_or_a_service_manager_sends_to_all(board: RelayBoard) -> None:
    agent = Agent(board, LAMP, 1)
    for number in (signals.SIGTERM, signals.SIGINT, signals.SIGHUP, signals.SIGABRT, signals.SIGQUIT):
        os.kill(agent.guardian.pid, number)
    assert board.on == {1}
    board.wait_for(1, on=False)
    assert not agent.guardian.ended(within_s=0)
    agent.kill()
    assert agent.guardian.ended()


def test_only_both_killed_at_once_leave_it_to_the_next_start(board: RelayBoard) -> None:
    agent = Agent(board, LAMP, 1)
    os.kill(agent.process.pid, signals.SIGSTOP)  # so that neither can act on the other's death
    agent.guardian.kill()
    agent.kill()
    assert agent.guardian.ended()
    assert board.on == {1}, "see docs/drivers/indicators.md"
    lamp = Lcus("lamp", LcusSettings(port=str(board.port)))
    lamp.open()
    assert board.on == set()
    lamp.close()


def guardian_of(indicator: Lcus | Turnstile) -> int:
    assert indicator._pulses._guard is not None
    return indicator._pulses._guard.pid


def in_a_pulse(pulses: Pulses, board: RelayBoard) -> tuple[threading.Thread, list[str]]:
    told: list[str] = []

    def show() -> None:
        try:
            pulses.pulse([1], PULSE_MS_MAX)
        except DeviceGone as error:
            told.append(str(error))

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    board.wait_for(1)
    return thread, told


@pytest.mark.parametrize("number", [signals.SIGKILL, signals.SIGSTOP])
def test_a_guardian_that_dies_or_hangs_in_a_pulse_is_an_outage_and_leaves_nothing_on(
    board: RelayBoard, number: signals.Signals
) -> None:
    lamp = Lcus("lamp", LcusSettings(port=str(board.port)))
    lamp.open()
    first = guardian_of(lamp)
    guardian = Process(first)
    thread, told = in_a_pulse(lamp._pulses, board)
    os.kill(first, number)
    board.wait_for(1, on=False)
    thread.join(HANG_S)
    assert len(told) == 1
    assert "died in a pulse" in told[0]
    assert guardian.ended(within_s=0)
    lamp.close()
    lamp.open()
    lamp.show(Signal.WELCOME)
    assert guardian_of(lamp) != first
    lamp.close()


def test_a_guardian_that_died_between_pulses_costs_no_child_the_way_in_and_is_told(board: RelayBoard) -> None:
    gate = Turnstile("gate", TurnstileSettings(port=str(board.port), way_in=1, way_out=2, pulse_ms=100))
    gate.open()
    guardian = Process(guardian_of(gate))
    guardian.kill()
    assert guardian.ended()
    with pytest.raises(DeviceGone, match="had died"):
        gate.show(Signal.WELCOME)
    assert board.on == set()
    assert [event.relay for event in board.switched if event.on] == [1]
    gate.show(Signal.GOODBYE)
    assert board.on == set()
    assert [event.relay for event in board.switched if event.on] == [1, 2]
    gate.close()


def test_a_board_that_was_pulled_in_a_pulse_is_gone_and_so_is_its_guardian(board: RelayBoard) -> None:
    lamp = Lcus("lamp", LcusSettings(port=str(board.port)))
    lamp.open()
    guardian = Process(guardian_of(lamp))
    thread, told = in_a_pulse(lamp._pulses, board)
    board.unplug()
    thread.join(HANG_S)
    assert len(told) == 1
    lamp.close()
    assert guardian.ended()


def test_a_board_that_takes_no_bytes_is_gone_and_blocks_nobody_for_long(tmp_path: Path) -> None:
    master, slave = os.openpty()
    port = tmp_path / "usb-relay-if00"
    port.symlink_to(os.ttyname(slave))
    lamp = Lcus("lamp", LcusSettings(port=str(port), pulse_ms=50))
    lamp.open()
    termios.tcflow(slave, termios.TCOOFF)  # as a board that stopped the line
    with pytest.raises(DeviceGone, match="takes no bytes"):
        lamp.show(Signal.WELCOME)
    lamp.close()
    os.close(slave)
    os.close(master)


class Window:
    """The size of a terminal's window, standing in for pins: the same way of switching, by an ioctl."""

    request = termios.TIOCSWINSZ

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()

    def open(self) -> int:
        return self._slave

    def on(self, outputs: Sequence[int]) -> bytes:
        return struct.pack("HHHH", sum(outputs), 0, 0, 0)

    def off(self) -> bytes:
        return bytes(8)

    def switch(self, data: bytes) -> None:
        fcntl.ioctl(self._slave, self.request, data)

    def close(self) -> None:
        pass

    @property
    def now(self) -> int:
        rows: int = struct.unpack("HHHH", fcntl.ioctl(self.master, termios.TIOCGWINSZ, bytes(8)))[0]
        return rows


def test_what_is_switched_by_an_ioctl_is_off_as_well_when_the_agent_was_killed() -> None:
    window = Window()
    script = (
        "import os, sys; from drivers.indicators.guard import GuardianProcess\n"
        f"guard = GuardianProcess(int(sys.argv[1]), {window.request}, bytes(8)); print(guard.pid, flush=True)\n"
        "guard.pulse(bytes((1, 0)) + bytes(6), 60_000)"
    )
    agent = subprocess.Popen(
        [sys.executable, "-c", script, str(window.open())], cwd=ROOT, stdout=subprocess.PIPE, pass_fds=(window.open(),)
    )
    assert agent.stdout is not None
    guardian = Process(int(agent.stdout.readline()))
    until = time.monotonic() + HANG_S
    while window.now != 1:
        assert time.monotonic() < until
        select.select([], [], [], 0.01)
    agent.kill()
    agent.communicate()
    assert guardian.ended()
    assert window.now == 0


def test_a_pulse_by_an_ioctl() -> None:
    window = Window()
    pulses = Pulses(window)
    window.switch(window.on([5]))
    pulses.open()
    assert window.now == 0, "off before anything else"
    pulses.pulse([2], 50)
    assert window.now == 0
    pulses.close()


def test_what_the_kernel_is_told_of_pins() -> None:
    pins = Pins("/dev/gpiochip0", [27, 17, 22], active_low=False)
    assert GPIO_V2_LINE_SET_VALUES_IOCTL == 3 << 30 | 16 << 16 | 0xB4 << 8 | 0x0F
    assert struct.unpack("=QQ", pins.on([27])) == (0b100, 0b100), "its place in the request, which is sorted"
    assert struct.unpack("=QQ", pins.off()) == (0, 0b111)
