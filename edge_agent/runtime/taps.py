"""The bytes that pass between drivers and devices: for the TRAFFIC log, and for whoever watches.

A watcher that does not keep up loses the oldest: watching must never slow a reader down.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_agent.process import logs

KEPT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Traffic:
    monotonic_ns: int
    device: str
    direction: str  # RECV or SEND
    data: bytes


class Watcher:
    def __init__(self) -> None:
        self._kept: deque[Traffic] = deque(maxlen=KEPT_MAX)
        self._there = threading.Event()

    def put(self, traffic: Traffic) -> None:
        self._kept.append(traffic)
        self._there.set()

    def get(self, wait_s: float) -> list[Traffic]:
        """What came since the last call; waits for something to come."""
        self._there.wait(wait_s)
        self._there.clear()
        taken = []
        while self._kept:
            taken.append(self._kept.popleft())
        return taken


class Taps:
    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._watchers: tuple[Watcher, ...] = ()
        self._lock = threading.Lock()

    def tap(self, device: str) -> Callable[[str, bytes], None]:
        """A driver's tap."""
        write = logs.build_traffic_logger(device)

        def pass_on(direction: str, data: bytes) -> None:
            write(direction, data)
            for watcher in self._watchers:
                watcher.put(Traffic(self._clock(), device, direction, data))

        return pass_on

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        watcher = Watcher()
        with self._lock:
            self._watchers = (*self._watchers, watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers = tuple(each for each in self._watchers if each is not watcher)
