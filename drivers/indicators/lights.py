"""`lcus` and `gpio`: lamps and sounders behind relays or pins, one for each signal that shall be seen.

An output is on for `pulse_ms` and then off; what is not wired is 0 (relays) or -1 (pins).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Signal, Tap, Transport
from drivers.errors import NotSupported
from drivers.indicators.pulses import PULSE_MS_MAX, Pulses
from drivers.indicators.switches import Pins, Relays
from drivers.protocols.lcus import RELAYS_MAX

Relay = Annotated[int, Meta(ge=0, le=RELAYS_MAX)]
Pin = Annotated[int, Meta(ge=-1, le=511)]
PulseMs = Annotated[int, Meta(ge=50, le=PULSE_MS_MAX)]


class LcusSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-path/…: these boards have no serial number
    welcome: Relay = 1
    noted: Relay = 0
    ask: Relay = 0
    fault: Relay = 0
    pulse_ms: PulseMs = 800


class GpioSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    chip: str = "/dev/gpiochip0"
    welcome: Pin = -1
    noted: Pin = -1
    ask: Pin = -1
    fault: Pin = -1
    active_low: bool = False
    pulse_ms: PulseMs = 800


class _Lights:
    def __init__(self, name: str, pulses: Pulses, outputs: Mapping[Signal, int], pulse_ms: int) -> None:
        self.name = name
        self._pulses, self._pulse_ms = pulses, pulse_ms
        self._outputs = outputs

    def open(self) -> None:
        self._pulses.open()

    def show(self, signal: Signal) -> None:
        self._pulses.pulse([self._outputs[signal]] if signal in self._outputs else [], self._pulse_ms)

    def close(self) -> None:
        self._pulses.close()


class Lcus(_Lights):
    Settings: ClassVar[type[DriverSettings]] = LcusSettings

    def __init__(
        self,
        name: str,
        settings: LcusSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is not None:
            raise NotSupported("lcus shares its port with another process: a stream of bytes cannot be handed in")
        outputs = _wired(settings, none=0)
        super().__init__(name, Pulses(Relays(settings.port, list(outputs.values())), tap), outputs, settings.pulse_ms)


class Gpio(_Lights):
    Settings: ClassVar[type[DriverSettings]] = GpioSettings

    def __init__(
        self,
        name: str,
        settings: GpioSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is not None:
            raise NotSupported("gpio has no stream of bytes to hand in")
        outputs = _wired(settings, none=-1)
        pins = Pins(settings.chip, list(outputs.values()), active_low=settings.active_low)
        super().__init__(name, Pulses(pins), outputs, settings.pulse_ms)


def _wired(settings: LcusSettings | GpioSettings, *, none: int) -> Mapping[Signal, int]:
    named: Sequence[tuple[Signal, int]] = (
        (Signal.WELCOME, settings.welcome),
        (Signal.GOODBYE, settings.welcome),
        (Signal.NOTED, settings.noted),
        (Signal.ASK, settings.ask),
        (Signal.FAULT, settings.fault),
    )
    return {signal: output for signal, output in named if output != none}
