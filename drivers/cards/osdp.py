"""Card readers on RS-485 that speak OSDP version 2 with its secure channel, by libosdp. See `drivers.protocols.osdp`.

One reader on one line. The reader has made sure of a card before it tells of it, and tells of it once. Without a key
that only we and the reader know it is not opened, unless `commissioning` says that a key is just being set: in clear,
or with the key that everybody knows, anybody with a screwdriver can send cards.

Wrong wires, a wrong key and a reader without a secure channel are told apart when it is opened.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers import osdp_key
from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.presence import Presence
from drivers.errors import NotSupported
from drivers.protocols import osdp
from drivers.protocols.osdp_card import uid_of
from drivers.readings import CardRead, DeviceEvent, StreamFault, Technology
from drivers.transports.base import tapped
from drivers.transports.echo import WithoutEcho
from drivers.transports.osdp_link import Access, Link
from drivers.transports.serial import Line, Serial
from drivers.uid import Rejected, UidEncoding


class OsdpSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-id/… or /dev/serial/by-path/…
    key_file: str = ""  # 32 hex digits; a plain name stands in the credentials folder
    address: Annotated[int, Meta(ge=0, le=126)] = 0
    baud: Annotated[int, Meta(ge=9600, le=230_400)] = 9600
    uid_encoding: Literal["hex", "hex-reversed", "w34", "w34-reversed"] = "hex"  # of cards without parity bits
    technology: Technology = Technology.UNKNOWN  # of the cards, where the school has one kind only
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 1_000  # a card told of later than this is put down anew
    commissioning: bool = False  # without a key: only while one is being set, never with children


class Osdp:
    Settings: ClassVar[type[DriverSettings]] = OsdpSettings

    def __init__(
        self,
        name: str,
        settings: OsdpSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._line = line(settings, transport, tap)
        self._link = Link(Access(settings.port, settings.address), self._line, clock=clock)
        self._encoding = UidEncoding(settings.uid_encoding)
        self._presence = Presence(settings.hold_ms)

    def open(self) -> None:
        access = Access(self._settings.port, self._settings.address, _key(self._settings))
        self._link.open(access)
        self._presence.clear()

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        cards, faults = self._link.turn(timeout_s)
        now_ns = self._clock()
        events: list[DeviceEvent] = [StreamFault(self.name, fault.what, now_ns) for fault in faults]
        for card in cards:
            events.extend(self._report(card, now_ns))
        return events

    def close(self) -> None:
        self._link.close()

    def _report(self, card: osdp.Card | osdp.Characters, now_ns: int) -> Iterator[DeviceEvent]:
        uid = uid_of(card, self._encoding, self._settings.technology)
        if isinstance(uid, Rejected):
            yield StreamFault(self.name, uid.why, now_ns)
        elif self._presence.frames(uid, now_ns) == 1:
            yield CardRead(self.name, uid, now_ns)
            yield CardRead(self.name, uid, now_ns, again=True)


def line(settings: OsdpSettings, transport: Transport | None = None, tap: Tap | None = None) -> Transport:
    """The bytes' way to the reader, without the echo that some adapters make."""
    return tapped(WithoutEcho(transport or Serial(settings.port, Line(baud=settings.baud))), tap)


def _key(settings: OsdpSettings) -> bytes | None:
    if settings.key_file:
        return osdp_key.load(osdp_key.path_of(settings.key_file))
    if settings.commissioning:
        return None
    raise NotSupported(
        "key_file: an OSDP reader is used with its secure channel only; commission it to set a key, then name the file"
    )
