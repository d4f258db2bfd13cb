"""Card readers and scanners that type: USB keyboard wedges, read as a Linux input device. See `drivers.protocols.hid`.

The device is grabbed (EVIOCGRAB), so that nothing is typed into the screen; the udev rule with LIBINPUT_IGNORE_DEVICE
keeps it from the screen already before we start. Such readers have no serial number: name them as under
/dev/input/by-path/…-event-kbd.

`uid_encoding` is how the reader is set by its switches: most type ten decimals (dec10), some 3+5 digits (w26), some
hex in one order or the other. `reads = "code"` for a scanner of bar codes and QR codes.
"""

import time
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.texts import TextStream
from drivers.protocols import hid
from drivers.protocols.fault import Fault
from drivers.protocols.line import LineText, code
from drivers.protocols.line_forms import Meaning
from drivers.readings import FaultCause, Technology
from drivers.transports.base import tapped
from drivers.transports.evdev import EVENT_BYTES, InputDevice
from drivers.uid import UidEncoding, to_uid


class HidWedgeSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    device: str  # /dev/input/by-path/…-event-kbd, or by-id where the reader has a number of its own
    reads: Literal["card", "code"] = "card"
    uid_encoding: UidEncoding = UidEncoding.DEC10
    technology: Technology = Technology.UNKNOWN  # of the cards, where the school has one kind only
    digits: Annotated[int, Meta(ge=0, le=20)] = 10  # of a decimal number; 0: as many as come
    enter: bool = True  # the reader ends with Enter; without it, silence ends a number
    gap_ms: Annotated[int, Meta(ge=50, le=5_000)] = hid.GAP_MS  # between two keys of one number
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 500  # the same again within this is no second reading
    grab: bool = True  # false only to look on while another program reads it


class HidWedge(TextStream):
    Settings: ClassVar[type[DriverSettings]] = HidWedgeSettings

    def __init__(
        self,
        name: str,
        settings: HidWedgeSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._settings = settings
        super().__init__(
            name,
            tapped(transport or InputDevice(settings.device, grab=settings.grab), tap),
            lambda: hid.Decoder(size=0 if transport else EVENT_BYTES, gap_ms=settings.gap_ms),
            self._says,
            idle_ms=settings.gap_ms,
            hold_ms=settings.hold_ms,
            clock=clock,
        )

    def _says(self, text: LineText) -> Meaning:
        if self._settings.enter and not text.ended:
            return Fault(
                "typing stopped before Enter: part of a number, or set enter = false for this reader",
                FaultCause.SETTINGS,
            )
        if self._settings.reads == "code":
            return code(text.content)
        number, encoding = text.content.decode("ascii").strip(), self._settings.uid_encoding
        if encoding in (UidEncoding.DEC10, UidEncoding.DEC10_REVERSED):
            if self._settings.digits not in (0, len(number)):
                return Fault(
                    f"a number of {len(number)} digits: correct `digits` or `uid_encoding` of this reader",
                    FaultCause.SETTINGS,
                )
        elif encoding is UidEncoding.W26 and len(number) == 8:
            number = f"{number[:3]},{number[3:]}"
        return to_uid(number, encoding, self._settings.technology)
