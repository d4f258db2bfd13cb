"""Mifare and other ISO 14443 A cards by a PN532 board set to HSU (serial). See `drivers.protocols.pn532_host`.

The boards are set by two switches: HSU is 0 and 0. Most come with a CH340 adapter that has no serial number, so two of
them share one name under /dev/serial/by-id: use by-path.

The chip sees nothing by itself: while this driver is read it asks every `poll_ms`. A poll that answers proves a card,
so `again` follows at once. Closing sends the chip to sleep; without that many boards need a power cycle afterwards. A
few never wake up from it: `power_down = false` is for them.
"""

import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, ClassVar

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.cards.card_outcomes import report_outcome
from drivers.cards.key_file import load_keyring
from drivers.cards.stream import CardGone, CardReport, CardSighting, CardStream, Feed
from drivers.errors import DeviceError, DeviceGone
from drivers.protocols import pn532_host
from drivers.protocols.fault import Fault
from drivers.readings import DeviceEvent, Technology
from drivers.transports.base import tapped
from drivers.transports.serial import Serial, SerialLine
from drivers.uid import whole

WAIT_MAX_S = 0.1  # of one read: closing has something to say to the chip and waits for the read to end


class Pn532Settings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-path/…
    baud: Annotated[int, Meta(ge=9600, le=921_600)] = 115_200
    poll_ms: Annotated[int, Meta(ge=50, le=2_000)] = 150
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 1_000  # a card seen later than this is put down anew
    card_keys: str = ""  # the file with the city's keys for cards that prove themselves; empty: the number is enough
    power_down: bool = True  # false for a board that stays deaf once it was closed, until its power is cut


class Pn532(CardStream):
    Settings: ClassVar[type[DriverSettings]] = Pn532Settings

    def __init__(
        self,
        name: str,
        settings: Pn532Settings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._host = pn532_host.Host(
            poll_ms=settings.poll_ms, power_down=settings.power_down, keyring=load_keyring(settings.card_keys),
            draw=secrets.token_bytes,
        )  # fmt: skip
        self._talking = threading.Lock()

        def new_feed() -> Feed:
            self._host.start(clock())
            return lambda data: [
                sighting for event in self._host.receive(data, clock()) if (sighting := _sighting(event)) is not None
            ]

        port = transport or Serial(settings.port, SerialLine(baud=settings.baud))
        super().__init__(name, tapped(port, tap), new_feed, hold_ms=settings.hold_ms, clock=clock)

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Moves the conversation on by one step, and may return early with nothing."""
        with self._talking:
            if said := self._host.send(self._clock()):
                self._transport.write(said)
            if self._host.silent:
                raise DeviceGone(
                    f"{self.name}: the PN532 does not answer: check its power, that its switches say HSU (0, 0), and "
                    "that TX and RX are crossed; where it answered before the last stop, cut its power once and set "
                    "power_down = false"
                )
            until_due_s = max(0.0, (self._host.due_ns - self._clock()) / 1e9)
            return super().read(min(timeout_s, until_due_s, WAIT_MAX_S))

    @property
    def has_answered(self) -> bool:
        """Returns True once the chip has told its firmware."""
        return self._host.is_ready

    def close(self) -> None:
        with self._talking, suppress(DeviceError):  # a chip that is away needs no farewell
            self._transport.write(self._host.stop())
        super().close()


def _sighting(event: pn532_host.Event) -> CardReport | None:
    match event:
        case pn532_host.Pn532Card(outcome=outcome) if outcome is not None:
            return report_outcome(outcome)
        case pn532_host.Pn532Card(target=target):
            return CardSighting(
                whole(Technology.ISO14443A if target.iso14443a else Technology.UNKNOWN, target.uid), True
            )
        case pn532_host.Pn532CardRemoved():
            return CardGone()
        case Fault():
            return event
        case pn532_host.Ready():
            return None
