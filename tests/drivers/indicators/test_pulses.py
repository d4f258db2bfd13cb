"""Relays and gates: on for a moment, off whatever happens."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.base import Signal
from drivers.errors import DeviceGone, NotSupported
from drivers.indicators.lights import Gpio, GpioSettings, Lcus, LcusSettings
from drivers.indicators.pulses import PULSE_MS_MAX
from drivers.indicators.turnstile import Turnstile, TurnstileSettings
from drivers.protocols import lcus
from drivers.protocols.fault import Fault
from drivers.protocols.lcus import Decoder, Switched, encode
from drivers.settings import WrongSetting, parse
from tests.drivers.protocols.cutting import every_way
from tests.drivers.relay_board import RelayBoard


@pytest.fixture
def board(tmp_path: Path) -> Iterator[RelayBoard]:
    board = RelayBoard(tmp_path / "usb-relay-if00")
    yield board
    board.unplug()


def gate(board: RelayBoard, **options: object) -> Turnstile:
    settings = {"port": str(board.port), "way_in": 1, "way_out": 2} | options
    return Turnstile("gate", parse(TurnstileSettings, settings))


def test_frames_of_the_board() -> None:
    assert encode(1, on=True) == bytes.fromhex("A00101A2")
    assert encode(1, on=False) == bytes.fromhex("A00100A1")
    assert every_way(lambda: Decoder().feed, encode(8, on=True) + b"\x00" + bytes.fromhex("A00101A3")) == [
        Switched(8, on=True),
        Fault("bytes outside a frame"),
        Fault("a checksum or a relay is wrong"),
    ]
    with pytest.raises(ValueError, match="from 1 to 8"):
        encode(0, on=True)


def test_a_welcome_opens_the_way_in_and_a_goodbye_the_way_out_and_nothing_else_opens(board: RelayBoard) -> None:
    turnstile = gate(board, pulse_ms=100)
    turnstile.open()
    for signal in Signal:
        turnstile.show(signal)
        assert board.on == set(), "after each pulse it is off"
    turnstile.close()
    assert board.on == set()
    assert [event.relay for event in board.switched if event.on] == [1, 2]


def test_it_is_off_before_anything_else_happens(board: RelayBoard) -> None:
    turnstile = gate(board)
    turnstile.open()
    assert board.on == set()
    assert board.switched == [Switched(1, on=False), Switched(2, on=False)]
    turnstile.close()


def test_closing_ends_a_pulse(board: RelayBoard) -> None:
    light = Lcus("lamp", LcusSettings(port=str(board.port), welcome=3, pulse_ms=PULSE_MS_MAX))
    light.open()
    thread = threading.Thread(target=light.show, args=[Signal.WELCOME], daemon=True)
    thread.start()
    board.wait_for(3)
    light.close()
    thread.join(5)
    assert not thread.is_alive()
    assert board.on == set()


def test_no_setting_asks_for_a_gate_that_stands_open() -> None:
    for wrong in (0, 501, 60_000):
        with pytest.raises(WrongSetting, match="from 100 to 500"):
            parse(TurnstileSettings, {"port": "x", "way_in": 1, "pulse_ms": wrong})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"way_in": -1, "way_out": -1}, "at least one"),
        ({"way_in": 2}, "tell in from out"),
        ({"way_in": 0}, "from 1 to 8"),
        ({"way_in": lcus.RELAYS_MAX + 1}, "from 1 to 8"),
    ],
)
def test_wiring_that_cannot_be_meant_is_refused(board: RelayBoard, options: dict[str, int], why: str) -> None:
    with pytest.raises(NotSupported, match=why):
        gate(board, **options).open()


def test_pins_that_are_not_there_say_what_to_do() -> None:
    pytest.importorskip("gpiod", reason="gpiod is not installed: sh scripts/install-test-hosts.sh")
    with pytest.raises(DeviceGone, match="gpioinfo"):
        Gpio("lamp", GpioSettings(chip="/dev/gpiochip-none", welcome=17)).open()
