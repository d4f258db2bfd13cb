"""The ways on which bytes go to a device. A driver cannot tell a serial port from a recording.

Rules for every transport:
- `open` raises DeviceGone, DeviceBusy or NotSupported; opened twice without `close` is our own mistake.
- `read` returns what there is as soon as there is something, or b"" once `timeout_s` is over. It raises DeviceGone
  when the device is away, and on a transport that is not open.
- `close` may be called at any time, from any thread, twice; a `read` that waits returns soon.
- `read` and `write` belong to one thread: a write waits for a read that is under way.
- Errors of the operating system become ours here and nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from drivers.base import Tap, Transport
from drivers.errors import DeviceGone

READ_BYTES_MAX = 4096  # the most that one read hands on


class Tapped:
    """A transport whose bytes a tap watches."""

    def __init__(self, transport: Transport, tap: Tap) -> None:
        self._transport, self._tap = transport, tap

    def open(self) -> None:
        self._transport.open()

    def read(self, timeout_s: float) -> bytes:
        data = self._transport.read(timeout_s)
        if data:
            self._tap("RECV", data)
        return data

    def write(self, data: bytes) -> None:
        self._tap("SEND", data)
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


def tapped(transport: Transport, tap: Tap | None) -> Transport:
    return transport if tap is None else Tapped(transport, tap)


@contextmanager
def device_gone_on_error(what: str) -> Iterator[None]:
    """Turns an error of the operating system into DeviceGone: `what` is away."""
    try:
        yield
    except OSError as error:
        raise DeviceGone(f"{what}: {error.strerror or error}") from error
