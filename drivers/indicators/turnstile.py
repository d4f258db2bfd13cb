"""`turnstile`: lets one person through, in or out, by a short pulse on a dry contact.

Only a welcome opens the way in and only a goodbye the way out: who was already noted is inside, and everything else is
for the staff. The contact is open whenever nobody is being let through: see `drivers.indicators.pulses`. A turnstile's
own controller takes the pulse, holds the lock for one passage and falls back by itself.
"""

import time
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Signal, Tap, Transport
from drivers.errors import NotSupported
from drivers.indicators.pulses import Pulses
from drivers.indicators.switches import Pins, Relays
from drivers.protocols.lcus import RELAYS_MAX

Output = Annotated[int, Meta(ge=-1, le=511)]


class TurnstileSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # of the relay board, or the GPIO chip: /dev/gpiochip0
    by: Literal["lcus", "gpio"] = "lcus"
    way_in: Output = -1  # relay or line; -1: nothing is wired
    way_out: Output = -1
    active_low: bool = False  # of lines
    pulse_ms: Annotated[int, Meta(ge=100, le=500)] = 300


class Turnstile:
    Settings: ClassVar[type[DriverSettings]] = TurnstileSettings

    def __init__(
        self,
        name: str,
        settings: TurnstileSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is not None:
            raise NotSupported("a turnstile shares its port with another process: no stream of bytes can be handed in")
        self.name = name
        self._settings = settings
        self._wired = [output for output in (settings.way_in, settings.way_out) if output >= 0]
        match settings.by:
            case "lcus":
                self._pulses = Pulses(Relays(settings.port, self._wired), tap)
            case "gpio":
                self._pulses = Pulses(Pins(settings.port, self._wired, active_low=settings.active_low))

    def open(self) -> None:
        if not self._wired:
            raise NotSupported("way_in, way_out: name at least one relay or line")
        if len(set(self._wired)) < len(self._wired):
            raise NotSupported("way_in, way_out: both name the same output, so that nobody could tell in from out")
        if self._settings.by == "lcus" and not all(1 <= relay <= RELAYS_MAX for relay in self._wired):
            raise NotSupported(f"way_in, way_out: relays are numbered from 1 to {RELAYS_MAX}")
        self._pulses.open()

    def show(self, signal: Signal) -> None:
        way = {Signal.WELCOME: self._settings.way_in, Signal.GOODBYE: self._settings.way_out}.get(signal, -1)
        self._pulses.pulse([way] if way >= 0 else [], self._settings.pulse_ms)

    def close(self) -> None:
        self._pulses.close()
