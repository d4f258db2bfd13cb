"""The bytes that pass between drivers and devices: for the TRAFFIC log, and for a technician who watches.

A watcher that does not keep up loses the oldest bytes: watching must never slow a reader down.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from drivers.readings import DeviceEvent
from edge_agent.process import logs

TRAFFIC_WAITING_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that passed between a driver and its device. They may hold a card's number."""

    monotonic_ns: int
    device: str
    direction: str  # RECV or SEND
    chunk: bytes = field(repr=False)
    events: tuple[DeviceEvent, ...] = field(default=(), repr=False)  # what the reader made of the bytes so far


class TrafficWatcher:
    """A queue of the traffic that one technician has not seen yet."""

    def __init__(self) -> None:
        self._waiting: deque[Traffic] = deque(maxlen=TRAFFIC_WAITING_MAX)
        self._has_traffic = threading.Event()

    def append(self, traffic: Traffic) -> None:
        """Adds traffic; never blocks, and drops the oldest where too much waits."""
        self._waiting.append(traffic)
        self._has_traffic.set()

    def drain(self, wait_s: float) -> list[Traffic]:
        """Returns the traffic since the last call; waits for some, `wait_s` seconds at most."""
        self._has_traffic.wait(wait_s)
        self._has_traffic.clear()
        drained = []
        while self._waiting:
            drained.append(self._waiting.popleft())
        return drained


class ReaderTap:
    """The tap of one reader. What has passed waits for `report`, so that bytes and their events are shown together.

    `hear` gets every byte that is received.
    """

    def __init__(self, taps: "DeviceTaps", device: str, hear: Callable[[bytes], None]) -> None:
        self._taps, self._device, self._hear = taps, device, hear
        self._log_traffic = logs.build_traffic_logger(device)
        self._passed: deque[Traffic] = deque(maxlen=TRAFFIC_WAITING_MAX)

    def __call__(self, direction: str, chunk: bytes) -> None:
        self._log_traffic(direction, chunk)
        if direction == "RECV":
            self._hear(chunk)
        if self._taps.is_watched:
            self._passed.append(Traffic(self._taps.clock(), self._device, direction, chunk))

    def report(self, events: Sequence[DeviceEvent]) -> None:
        """Passes on what was read, with the events that the driver made of it. Called after each read."""
        passed = [self._passed.popleft() for _ in range(len(self._passed))]
        if events and self._taps.is_watched:
            last = passed.pop() if passed else Traffic(self._taps.clock(), self._device, "RECV", b"")
            passed.append(replace(last, events=tuple(events)))
        for traffic in passed:
            self._taps.pass_on(traffic)


class DeviceTaps:
    """The taps of all drivers, and the technicians who watch them."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.clock = clock
        self._watchers: tuple[TrafficWatcher, ...] = ()
        self._lock = threading.Lock()

    def build_tap(self, device: str) -> Callable[[str, bytes], None]:
        """Returns an indicator's tap: the driver calls it with RECV or SEND and the bytes."""
        log_traffic = logs.build_traffic_logger(device)

        def tap(direction: str, chunk: bytes) -> None:
            log_traffic(direction, chunk)
            if self.is_watched:
                self.pass_on(Traffic(self.clock(), device, direction, chunk))

        return tap

    @property
    def is_watched(self) -> bool:
        """True while a technician watches."""
        return bool(self._watchers)

    def pass_on(self, traffic: Traffic) -> None:
        """Shows traffic to everybody who watches; never blocks."""
        for watcher in self._watchers:
            watcher.append(traffic)

    @contextmanager
    def watch(self) -> Iterator[TrafficWatcher]:
        """Yields a watcher that gets all traffic until the block ends."""
        watcher = TrafficWatcher()
        with self._lock:
            self._watchers = (*self._watchers, watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers = tuple(present for present in self._watchers if present is not watcher)
