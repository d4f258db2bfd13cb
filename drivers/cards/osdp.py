"""Card readers on RS-485 that speak OSDP version 2 with its secure channel, by libosdp. See `drivers.protocols.osdp`.

Several readers may share a line, each with an address of its own. The reader has made sure of a card before it
reports it, and reports it once. Without a key that only we and the reader know it is not opened, unless `commissioning`
says that a key is just being set: in clear, or with the key that everybody knows, anybody with a screwdriver can send
cards.

Wrong wires, a wrong key and a reader without a secure channel are told apart when it is opened.
"""

import time
from collections.abc import Sequence
from typing import ClassVar

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.bench import osdp_key
from drivers.cards.osdp_reports import OsdpSettings, Reports
from drivers.errors import NotSupported
from drivers.readings import DeviceEvent
from drivers.transports.base import tapped
from drivers.transports.echo import WithoutEcho
from drivers.transports.osdp_bus import OsdpBus
from drivers.transports.osdp_link import Access, Link


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
        self._link = link(settings, transport, tap, clock=clock)
        self._reports = Reports(name, settings)

    def open(self) -> None:
        access = Access(self._settings.port, self._settings.address, _key(self._settings))
        self._link.open(access)
        self._reports.clear()

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        cards, faults = self._link.turn(timeout_s)
        now_ns = self._clock()
        told = [event for reading in (*faults, *cards) for event in self._reports.readings(reading, now_ns)]
        return [*told, *self._reports.wait(now_ns)]

    def close(self) -> None:
        self._link.close()


def link(
    settings: OsdpSettings, transport: Transport | None = None, tap: Tap | None = None, *, clock: Monotonic
) -> Link:
    """Returns the link to the reader, without the echo that some adapters make and without other readers' traffic."""
    access = Access(settings.port, settings.address)
    if transport is not None:
        return Link(access, tapped(WithoutEcho(transport), tap), clock=clock)
    bus = OsdpBus(settings.port, settings.baud, settings.address, clock=clock)
    return Link(access, tapped(bus, tap), clock=clock, turns=bus)


def _key(settings: OsdpSettings) -> bytes | None:
    if settings.key_file:
        return osdp_key.load(osdp_key.key_path(settings.key_file))
    if settings.commissioning:
        return None
    raise NotSupported(
        "key_file: an OSDP reader is used with its secure channel only; commission it to set a key, then name the file"
    )
