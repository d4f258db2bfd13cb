"""The bytes that pass between drivers and devices: for the TRAFFIC log, and for a technician who watches.

A watcher that does not keep up loses the oldest bytes: watching must never slow a reader down.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from edge_agent.process import logs

TRAFFIC_WAITING_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that passed between a driver and its device. They may hold a card's number."""

    monotonic_ns: int
    device: str
    direction: str  # RECV or SEND
    chunk: bytes = field(repr=False)


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


class DeviceTaps:
    """The taps of all drivers, and the technicians who watch them."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._watchers: tuple[TrafficWatcher, ...] = ()
        self._lock = threading.Lock()

    def build_tap(self, device: str) -> Callable[[str, bytes], None]:
        """Returns a driver's tap: the driver calls it with RECV or SEND and the bytes."""
        log_traffic = logs.build_traffic_logger(device)

        def pass_on(direction: str, chunk: bytes) -> None:
            log_traffic(direction, chunk)
            for watcher in self._watchers:
                watcher.append(Traffic(self._clock(), device, direction, chunk))

        return pass_on

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
