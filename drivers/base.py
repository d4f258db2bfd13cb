"""The two contracts of a device: `Reader` sees, `Indicator` shows.

Rules for every driver, held by `tests/drivers/test_contract.py`:
- The constructor opens nothing. `open` opens, or raises DeviceGone, DeviceBusy or NotSupported.
- `read` blocks for at most `timeout_s`, then returns what it has, perhaps nothing. It raises DeviceGone once the
  device is away; after that only `close` and `open` are of use.
- `close` may be called at any time, from any thread, twice, and makes a blocked `read` return soon.
- A driver neither sleeps nor starts a loop nor reopens by itself: its caller does, with backoff.
- A driver never catches OSError: transports translate it, once.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from drivers.readings import DeviceEvent


class DriverSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that a driver's table in the settings file may hold. Each driver adds its own keys, with defaults."""


class Monotonic(Protocol):
    """A monotonic time in nanoseconds: `time.monotonic_ns`, or a test's own clock."""

    def __call__(self) -> int: ...


Tap = Callable[[str, bytes], None]
"""Sees the raw bytes that pass: direction (`RECV`, `SEND`) and bytes. For `watch`, `capture` and the TRAFFIC log."""


class Transport(Protocol):
    """The way on which bytes reach a device and come back; `drivers.transports.base` holds the rules."""

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Reader(Protocol):
    """A device that sees cards, codes or people."""

    Settings: ClassVar[type[DriverSettings]]
    name: str

    def __init__(
        self,
        name: str,
        settings: DriverSettings,  # of the class's own `Settings`
        *,
        clock: Monotonic = ...,
        tap: Tap | None = None,
        transport: Transport | None = None,  # instead of the device's own: memory, a recording
    ) -> None: ...

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]: ...

    def close(self) -> None: ...


@runtime_checkable
class QuestionedReader(Protocol):
    """A reader whose device says nothing by itself: an open port proves nothing, its answer does."""

    @property
    def has_answered(self) -> bool:
        """Returns True once the device has answered since it was opened."""
        ...


class Signal(StrEnum):
    """A meaning that an indicator shows. Free and paid meals give the same signal."""

    IDLE = "idle"
    WELCOME = "welcome"
    GOODBYE = "goodbye"  # on the way out: a lamp says it as WELCOME, a gate opens the other way
    NOTED = "noted"  # already noted, nothing more to do
    ASK = "ask"  # use your card, or ask the staff
    FAULT = "fault"  # not recorded: tell the staff


class Indicator(Protocol):
    """A light, a buzzer or a relay. It falls back to idle by itself: a process that dies leaves no output on."""

    Settings: ClassVar[type[DriverSettings]]
    name: str

    def __init__(
        self,
        name: str,
        settings: DriverSettings,
        *,
        clock: Monotonic = ...,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None: ...

    def open(self) -> None: ...

    def show(self, signal: Signal) -> None: ...

    def close(self) -> None: ...
