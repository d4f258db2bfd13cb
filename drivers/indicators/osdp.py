"""`osdp-light`: the lamp, the buzzer and the text line of an OSDP reader, on the same line as its cards.

It opens nothing itself: it asks the reader of the same port and address, which sends the command at its next turn.
Each signal is temporary by OSDP's own timer, so that the reader falls back to its idle colour even when the kiosk dies
or the cable is cut. Its bytes are seen by the reader's tap.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, assert_never

import osdp as libosdp
from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Signal, Tap, Transport
from drivers.errors import DeviceGone, NotSupported
from drivers.transports import osdp_link
from drivers.transports.osdp_link import Command, Link

Colour = Literal["off", "red", "green", "amber", "blue"]
Text = Annotated[str, Meta(max_length=32, pattern="^[ -~]*$")]  # OSDP knows no other letters; libosdp takes 32 bytes

_COLOURS: Mapping[Colour, int] = {
    "off": libosdp.CommandLEDColor.Black,
    "red": libosdp.CommandLEDColor.Red,
    "green": libosdp.CommandLEDColor.Green,
    "amber": libosdp.CommandLEDColor.Amber,
    "blue": libosdp.CommandLEDColor.Blue,
}
_TEMPORARY_SET, _PERMANENT_SET = 2, 1
_TONE = 2
_TEMPORARY_TEXT = 3
# Colour, beeps, and whether the lamp blinks: never told apart by colour alone.
_MEANING: Mapping[Signal, tuple[Colour, int, bool]] = {
    Signal.WELCOME: ("green", 1, False),
    Signal.GOODBYE: ("green", 1, False),
    Signal.NOTED: ("green", 2, True),
    Signal.ASK: ("amber", 3, True),
    Signal.FAULT: ("red", 4, True),
}


class OsdpLightSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # as of its reader
    address: Annotated[int, Meta(ge=0, le=126)] = 0  # the same
    idle: Colour = "blue"
    show_ms: Annotated[int, Meta(ge=500, le=10_000)] = 2_500
    beep: bool = True
    text_welcome: Text = ""  # for readers with a display
    text_goodbye: Text = ""
    text_noted: Text = ""
    text_ask: Text = ""
    text_fault: Text = ""


class OsdpLight:
    Settings: ClassVar[type[DriverSettings]] = OsdpLightSettings

    def __init__(
        self,
        name: str,
        settings: OsdpLightSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is not None:
            raise NotSupported("osdp-light has no line of its own: hand the transport to its reader")
        self.name = name
        self._settings = settings
        self._link: Link | None = None
        self._rested = 0  # the opening of the link at which the idle colour was last set

    def open(self) -> None:
        self._link = osdp_link.on(self._settings.port, self._settings.address)
        self._rest(self._link)

    def show(self, signal: Signal) -> None:
        if self._link is None:
            raise DeviceGone(f"the light {self.name} is not open")
        if self._rested != self._link.openings:
            self._rest(self._link)
        self._link.submit(commands(signal, self._settings))

    def close(self) -> None:
        self._link = None

    def _rest(self, link: Link) -> None:
        link.submit([_lamp(self._settings.idle)])
        self._rested = link.openings


def commands(signal: Signal, settings: OsdpLightSettings) -> Sequence[Command]:
    """Returns the commands that show a signal on a reader of these settings."""
    if signal is Signal.IDLE:
        return [_lamp(settings.idle)]
    colour, beeps, blinks = _MEANING[signal]
    commands = [_lamp(settings.idle, colour, show_ms=settings.show_ms, blinks=blinks)]
    if settings.beep:
        buzzer = {"command": libosdp.Command.Buzzer, "reader": 0, "control_code": _TONE}
        commands.append(buzzer | {"on_count": 1, "off_count": 1, "rep_count": beeps})
    if text := _text(signal, settings):
        line = {"command": libosdp.Command.Text, "reader": 0, "control_code": _TEMPORARY_TEXT, "data": text}
        commands.append(line | {"temp_time": max(1, settings.show_ms // 1000), "offset_row": 1, "offset_col": 1})
    return commands


def _text(signal: Signal, settings: OsdpLightSettings) -> str:
    match signal:
        case Signal.IDLE:
            return ""
        case Signal.WELCOME:
            return settings.text_welcome
        case Signal.GOODBYE:
            return settings.text_goodbye
        case Signal.NOTED:
            return settings.text_noted
        case Signal.ASK:
            return settings.text_ask
        case Signal.FAULT:
            return settings.text_fault
        case _:
            assert_never(signal)


def _lamp(idle: Colour, colour: Colour | None = None, *, show_ms: int = 0, blinks: bool = False) -> Command:
    """Returns the command for a colour for a while, or for the idle colour for good. Counts are in tenths of a
    second.
    """
    lamp = {"command": libosdp.Command.LED, "reader": 0, "led_number": 0}
    if colour is None:
        on = _COLOURS[idle]
        return lamp | {
            "temporary": False,
            "control_code": _PERMANENT_SET,
            "on_count": 1,
            "off_count": 0,
            "on_color": on,
            "off_color": on,
        }
    return lamp | {
        "temporary": True,
        "control_code": _TEMPORARY_SET,
        "on_count": 2,
        "off_count": 2 if blinks else 0,
        "on_color": _COLOURS[colour],
        "off_color": _COLOURS["off"],
        "timer_count": show_ms // 100,
    }
