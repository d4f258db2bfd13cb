"""`acr122u-light`: lamp and buzzer of an ACR122U, beside its driver `pcsc`. See `drivers.protocols.acr122u`.

While a card lies there the commands go to the reader through it; without a card they need pcscd's leave
(`ifdDriverOptions`, off by default), and where that is missing the light says so and stays dark. The reader blinks by
itself and answers when it has ended, so that nothing here takes longer than a second and a half.
"""

import time
from collections.abc import Mapping
from typing import ClassVar

from drivers.base import DriverSettings, Monotonic, Signal, Tap, Transport
from drivers.errors import NotSupported, ProtocolError
from drivers.protocols import acr122u
from drivers.protocols.acr122u import Blink
from drivers.transports.pcsc import CardSlot

_MEANING: Mapping[Signal, Blink] = {
    Signal.WELCOME: Blink(red=False, green=True, on_tenths=10, off_tenths=0, times=1, beep=True),
    Signal.GOODBYE: Blink(red=False, green=True, on_tenths=10, off_tenths=0, times=1, beep=True),
    Signal.NOTED: Blink(red=False, green=True, on_tenths=3, off_tenths=2, times=2, beep=True),
    Signal.ASK: Blink(red=True, green=True, on_tenths=2, off_tenths=2, times=3, beep=True),
    Signal.FAULT: Blink(red=True, green=False, on_tenths=2, off_tenths=1, times=4, beep=True),
}


class Acr122uLightSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reader: str = "ACR122"  # a part of its name, as of its reader


class Acr122uLight:
    Settings: ClassVar[type[DriverSettings]] = Acr122uLightSettings

    def __init__(
        self,
        name: str,
        settings: Acr122uLightSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is not None:
            raise NotSupported("acr122u-light talks to pcscd: there is no stream of bytes to hand in")
        self.name = name
        self._slot = CardSlot(settings.reader, shared=True)
        self._tap = tap
        self._quiet = False  # the reader's own beep for each card is off

    def open(self) -> None:
        self._slot.open()
        self._quiet = False

    def show(self, signal: Signal) -> None:
        if not self._quiet:
            self._send(acr122u.QUIET)
            self._quiet = True
        self._send(acr122u.encode(_MEANING[signal]) if signal in _MEANING else acr122u.OFF)

    def close(self) -> None:
        self._slot.close()

    def _send(self, command: bytes) -> None:
        if self._tap is not None:
            self._tap("SEND", command)
        response = self._slot.transmit(command)
        if not acr122u.accepted(response):
            raise ProtocolError(f"{self.name}: the reader does not take a lamp command; is it an ACR122U?")
