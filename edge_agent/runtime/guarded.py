"""Devices whose driver fails: that device is away, with the reason, and nothing else stops.

A driver may be another's code and raise anything, when it is made or at any call. What it raises may hold a card's
number, so only its type and its place are told.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from traceback import extract_tb
from typing import Generic, Protocol, TypeVar

from drivers.base import Signal
from drivers.errors import DeviceError, NotSupported, ProtocolError
from drivers.readings import DeviceEvent

log = logging.getLogger(__name__)


class OpenableDevice(Protocol):
    """A device that can be opened and closed."""

    def open(self) -> None: ...

    def close(self) -> None: ...


class ReadableDevice(OpenableDevice, Protocol):
    """A reader as its thread uses it."""

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]: ...


class ShowingDevice(OpenableDevice, Protocol):
    """An indicator as its thread uses it."""

    def show(self, signal: Signal) -> None: ...


DeviceType = TypeVar("DeviceType", bound=OpenableDevice)


class GuardedDevice(Generic[DeviceType]):
    """A device that `build` makes at the first `open`. It raises errors of `drivers.errors` alone.

    `fault`: why the settings make it unusable; then it is never built.
    """

    def __init__(self, name: str, build: Callable[[], DeviceType], fault: str = "") -> None:
        self._name = name
        self._build = build
        self._fault = fault
        self._device: DeviceType | None = None

    def open(self) -> None:
        """Opens the device. Raises NotSupported for one that the settings make unusable."""
        if self._fault:
            raise NotSupported(f"{self._fault}; mend that, then: systemctl restart edge-agent")
        with _driver_errors():
            if self._device is None:
                self._device = self._build()
            self._device.open()

    def close(self) -> None:
        """Closes the device. A driver that fails at that is logged, and its device counts as closed."""
        if self._device is None:
            return
        try:
            with _driver_errors():
                self._device.close()
        except DeviceError as error:
            log.warning("%s: closing failed: %s", self._name, error)

    def _opened(self) -> DeviceType:
        if self._device is None:
            raise RuntimeError(f"{self._name} was never opened")
        return self._device


class GuardedReader(GuardedDevice[ReadableDevice]):
    """A reader behind the guard."""

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Returns the reader's events."""
        with _driver_errors():
            return self._opened().read(timeout_s)


class GuardedIndicator(GuardedDevice[ShowingDevice]):
    """An indicator behind the guard."""

    def show(self, signal: Signal) -> None:
        """Shows the signal."""
        with _driver_errors():
            self._opened().show(signal)


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        reason = f"its driver failed ({type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno})"
        raise ProtocolError(reason, "update it, or tell its maker; the agent tries it again") from error
