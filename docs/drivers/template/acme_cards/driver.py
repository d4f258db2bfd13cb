"""`acme-cards`: Acme's reader on a serial port. It sends a card's number as soon as the card is there, and once."""

import time
from typing import ClassVar, Literal

from acme_cards.protocol import Decoder, Number
from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.stream import CardSighting, CardStream, Feed
from drivers.protocols.fault import Fault
from drivers.readings import Technology
from drivers.transports.base import tapped
from drivers.transports.serial import Serial, SerialLine
from drivers.uid import UidEncoding, to_uid


class AcmeSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-id/…
    baud: Literal[9600, 19200] = 9600
    uid_encoding: Literal["hex", "hex-reversed"] = "hex"


class AcmeCards(CardStream):
    Settings: ClassVar[type[DriverSettings]] = AcmeSettings

    def __init__(
        self,
        name: str,
        settings: AcmeSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        encoding = UidEncoding(settings.uid_encoding)

        def new_feed() -> Feed:
            decoder = Decoder()
            return lambda data: [_seen(event, encoding) for event in decoder.feed(data)]

        port = transport or Serial(settings.port, SerialLine(baud=settings.baud))
        super().__init__(name, tapped(port, tap), new_feed, hold_ms=500, clock=clock)


def _seen(event: Number | Fault, encoding: UidEncoding) -> CardSighting | Fault:
    match event:
        case Number(digits=digits):
            return CardSighting(to_uid(digits, encoding, Technology.ISO14443A), proven=True)
        case Fault():
            return event
