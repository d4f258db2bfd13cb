"""Desktop readers by PC/SC: ACR122U, ACR1252U, Omnikey and their like. See `drivers.transports.pcsc`.

pcscd watches the field and reports each card once; a card counts at once, since nothing but a card answers.
"""

import time
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.card_outcomes import report_outcome
from drivers.cards.key_file import load_keyring
from drivers.cards.stream import CardGone, CardReport, CardSighting, CardStream, Feed
from drivers.protocols import pcsc
from drivers.protocols.fault import Fault
from drivers.transports.base import tapped
from drivers.transports.pcsc import CardSlot
from drivers.uid import UidEncoding, from_bytes


class PcscSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reader: str = ""  # a part of its name, as `pcsc_scan` shows it; empty: the only one
    uid_encoding: Literal["hex", "hex-reversed"] = "hex"
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 500  # a card reported later than this is put down anew
    card_keys: str = ""  # the file with the city's keys for cards that prove themselves; empty: the number is enough


class Pcsc(CardStream):
    Settings: ClassVar[type[DriverSettings]] = PcscSettings

    def __init__(
        self,
        name: str,
        settings: PcscSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        encoding = UidEncoding(settings.uid_encoding)

        def new_feed() -> Feed:
            decoder = pcsc.Decoder()
            return lambda data: [_sighting(event, encoding) for event in decoder.feed(data)]

        slot = transport or CardSlot(settings.reader, keyring=load_keyring(settings.card_keys))
        super().__init__(name, tapped(slot, tap), new_feed, hold_ms=settings.hold_ms, clock=clock)


def _sighting(event: pcsc.Event, encoding: UidEncoding) -> CardReport:
    match event:
        case pcsc.PcscCard(outcome=outcome) if outcome is not None:
            return report_outcome(outcome)
        case pcsc.PcscCard(technology=technology, uid=uid):
            return CardSighting(from_bytes(uid, encoding, technology), proven=True)
        case pcsc.PcscCardRemoved():
            return CardGone()
        case Fault():
            return event
