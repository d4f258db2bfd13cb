"""Iron Logic readers in text mode: Z-2 USB, Matrix-III RD-ALL and their like. See `drivers.protocols.ironlogic`.

The reader watches the field by itself: one line when a card comes, `No card` when it has gone. So one line proves a
card, and `again` follows it at once.

Linux does not bind the Z-2 (USB 0403:1234) to ftdi_sio by itself; our udev rule does.
"""

import time
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.stream import CardGone, CardSighting, CardStream, Feed
from drivers.protocols import ironlogic
from drivers.protocols.fault import Fault
from drivers.transports.base import tapped
from drivers.transports.serial import Serial, SerialLine
from drivers.uid import UidEncoding, from_bytes


class IronLogicSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-id/… or /dev/serial/by-path/…
    baud: Annotated[int, Meta(ge=1200, le=115200)] = 9600
    stop_bits: Literal[1, 2] = 1  # some models want 2: try it when every second line is a fault
    uid_encoding: Literal["ironlogic", "hex", "hex-reversed", "hex-bcc"] = "ironlogic"
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 500  # a line later than this is a card put down anew


class IronLogic(CardStream):
    Settings: ClassVar[type[DriverSettings]] = IronLogicSettings

    def __init__(
        self,
        name: str,
        settings: IronLogicSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        encoding = UidEncoding(settings.uid_encoding)

        def new_feed() -> Feed:
            decoder = ironlogic.Decoder()
            return lambda data: [_sighting(event, encoding) for event in decoder.feed(data)]

        port = transport or Serial(settings.port, SerialLine(settings.baud, settings.stop_bits))
        super().__init__(name, tapped(port, tap), new_feed, hold_ms=settings.hold_ms, clock=clock)


def _sighting(event: ironlogic.Event, encoding: UidEncoding) -> CardSighting | CardGone | Fault:
    match event:
        case ironlogic.IronLogicCard(technology=technology, printed=printed):
            return CardSighting(from_bytes(printed, encoding, technology), proven=True)
        case ironlogic.IronLogicCardRemoved():
            return CardGone()
        case Fault():
            return event
