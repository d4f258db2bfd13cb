"""One RS-485 line with one or several OSDP readers on it, each of which is driven by a link of its own.

A reader is silent until it is asked. So the reader that asks has the line until the answer is whole or is overdue,
and the others wait with their question (`begin`, `end`). What comes late, when another is already asked, is thrown
away.

The line is opened with its first reader and closed with its last. An error of it ends it for all: each opens it anew.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from drivers.base import Monotonic, Transport
from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported
from drivers.transports.echo import WithoutEcho
from drivers.transports.serial import Serial, SerialLine

T = TypeVar("T")

TURN_S_MAX = 2.0  # a reader that has the line longer, in the middle of a question, hangs: the next one takes it
STALE_READS_MAX = 16


class _Bus:
    def __init__(self, port: str, baud: int) -> None:
        self.port, self.baud = port, baud
        self.line: Transport = WithoutEcho(Serial(port, SerialLine(baud=baud)))
        self.members: list[OsdpBus] = []
        self._turns = threading.Condition()
        self._whose: OsdpBus | None = None
        self._waiting: list[OsdpBus] = []  # the one that waits longest is first
        self._last: OsdpBus | None = None
        self._since_ns = 0

    def begin(self, who: "OsdpBus", timeout_s: float, clock: Monotonic) -> bool:
        with self._turns:
            if self._whose is who:
                return True
            self._waiting.append(who)
            try:
                self._turns.wait_for(lambda: self._whose is None and self._waiting[0] is who, timeout_s)
                hangs = clock() - self._since_ns > TURN_S_MAX * 1e9
                if self._waiting[0] is not who or (self._whose is not None and not hangs):
                    return False
            finally:
                self._waiting.remove(who)
            self._whose, self._since_ns = who, clock()
            changed, self._last = self._last is not who, who
        if changed and len(self.members) > 1:
            for _ in range(STALE_READS_MAX):
                if not self.line.read(0.0):
                    break
        return True

    def end(self, who: "OsdpBus") -> None:
        with self._turns:
            if self._whose is who:
                self._whose = None
                self._turns.notify_all()


class OsdpBus:
    """One reader's part of the line: a transport, for use between `begin` and `end`."""

    def __init__(self, port: str, baud: int, address: int, *, clock: Monotonic) -> None:
        self._port, self._baud, self.address = port, baud, address
        self._clock = clock
        self._bus: _Bus | None = None

    def open(self) -> None:
        if self._bus is not None:
            raise RuntimeError(f"{self._port} is already open: close it first")
        self._bus = _joined(self, self._port, self._baud)

    def begin(self, timeout_s: float) -> bool:
        """Waits for the line for at most `timeout_s`. True when it is ours to ask; it stays so until `end`."""
        return self._with_bus(lambda bus: bus.begin(self, timeout_s, self._clock))

    def end(self) -> None:
        bus = self._bus
        if bus is not None:
            bus.end(self)

    def read(self, timeout_s: float) -> bytes:
        return self._with_bus(lambda bus: bus.line.read(timeout_s))

    def write(self, data: bytes) -> None:
        self._with_bus(lambda bus: bus.line.write(data))

    def close(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            _leave(self, bus)

    def _with_bus(self, use: Callable[[_Bus], T]) -> T:
        bus = self._bus
        if bus is None:
            raise DeviceGone(f"{self._port} is not open")
        try:
            return use(bus)
        except DeviceError:
            _ended(bus)
            raise


_buses: dict[str, _Bus] = {}
_lock = threading.Lock()


def _joined(who: OsdpBus, port: str, baud: int) -> _Bus:
    with _lock:
        bus = _buses.get(port)
        if bus is None:
            bus = _Bus(port, baud)
            bus.line.open()
            _buses[port] = bus
        elif bus.baud != baud:
            raise NotSupported(f"baud: the other reader on {port} has {bus.baud}; readers of one line have one speed")
        elif any(member.address == who.address for member in bus.members):
            raise DeviceBusy(
                f"address {who.address} on {port} is used already: give each reader of a line an address of its own; "
                f"`fuser -v {port}` says which program it is"
            )
        bus.members.append(who)
        return bus


def _leave(who: OsdpBus, bus: _Bus) -> None:
    bus.end(who)
    with _lock:
        bus.members.remove(who)
        if not bus.members:
            _close(bus)


def _ended(bus: _Bus) -> None:
    """Closes the line for all after an error: every reader that still has a part of it finds it closed."""
    with _lock:
        _close(bus)


def _close(bus: _Bus) -> None:
    if _buses.get(bus.port) is bus:
        del _buses[bus.port]
    bus.line.close()
