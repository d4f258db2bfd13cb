"""EM4100 cards by a serial reader: RDM6300, RDM630, ID-12LA, ID-20LA. See `drivers.protocols.em4100`.

Every reader of this family sends a frame as soon as a card is there and repeats it while it stays. A frame counts at
once; the second equal one is reported as `again`, since noise makes single frames whose checksum holds.
"""

import time
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.stream import CardSighting, CardStream, Feed
from drivers.protocols import em4100
from drivers.protocols.fault import Fault
from drivers.readings import Technology
from drivers.transports.base import tapped
from drivers.transports.serial import Serial, SerialLine
from drivers.uid import UidEncoding, from_bytes


class Em4100Settings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-id/… or /dev/serial/by-path/…
    baud: Annotated[int, Meta(ge=1200, le=115200)] = 9600
    uid_encoding: Literal["hex", "hex-reversed", "hex-inverted"] = "hex"
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 500  # a frame later than this is a card put down anew


class Em4100(CardStream):
    Settings: ClassVar[type[DriverSettings]] = Em4100Settings

    def __init__(
        self,
        name: str,
        settings: Em4100Settings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        encoding = UidEncoding(settings.uid_encoding)

        def new_feed() -> Feed:
            decoder = em4100.Decoder()
            return lambda data: [_sighting(event, encoding) for event in decoder.feed(data)]

        port = transport or Serial(settings.port, SerialLine(baud=settings.baud))
        super().__init__(name, tapped(port, tap), new_feed, hold_ms=settings.hold_ms, clock=clock)


def _sighting(event: em4100.Event, encoding: UidEncoding) -> CardSighting | Fault:
    match event:
        case em4100.Tag(value=value):
            return CardSighting(from_bytes(value, encoding, Technology.EM4100))
        case Fault():
            return event
