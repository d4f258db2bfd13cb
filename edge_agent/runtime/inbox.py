"""The one queue to the station: what devices saw, and what the staff ask for, one at a time in order of arrival.

The rule for a full queue: whoever brings something waits a second. The station takes a scan in milliseconds, so a
queue that stays full means that the disk stands still; then the reading is not taken, and that is said on the screen.
"""

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import msgspec

from drivers.readings import Reading
from edge_agent.domain.moment import Moment
from edge_agent.station import PalmSight

WAITING_MAX = 64
FULL_WAIT_S = 1.0
LOOK_S = 0.005
REST_S = 0.001  # whoever has brought something leaves the interpreter to the station: a child waits for it


class Scan(msgspec.Struct, frozen=True):
    reading: Reading
    moment: Moment  # at which it came, not at which it is looked at


@dataclass(frozen=True, slots=True)
class PalmScan:
    sight: PalmSight
    moment: Moment  # at which the hand was first seen well


@dataclass(frozen=True, slots=True)
class Coming:
    """A reading has begun to arrive."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done by the station's thread, for somebody who waits for it."""

    work: Callable[[], Any]
    result: Future[Any]

    def run(self) -> None:
        """Do it, unless nobody waits any more; what it raises goes to whoever waits."""
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            self.result.set_result(self.work())
        except BaseException as error:
            self.result.set_exception(error)
            if not isinstance(error, Exception):
                raise


class Inbox:
    """A `SimpleQueue` hands over without taking a Python lock, which is most of what a hand-over costs."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._queue: queue.SimpleQueue[Scan | PalmScan | Coming | Job] = queue.SimpleQueue()

    def put(self, work: Scan | PalmScan | Job, wait_s: float = FULL_WAIT_S) -> bool:
        """False: it stayed full, and this was not taken."""
        if self._queue.qsize() >= self._waiting_max and not self._room(wait_s):
            return False
        self._queue.put(work)
        time.sleep(REST_S)
        return True

    def announce(self) -> None:
        """A reading has begun to arrive; of no use to a station that has something to do."""
        if self._queue.empty():
            self._queue.put(Coming())

    def get(self, wait_s: float) -> Scan | PalmScan | Coming | Job | None:
        try:
            return self._queue.get(timeout=wait_s)
        except queue.Empty:
            return None

    def _room(self, wait_s: float) -> bool:
        """Wait for a place; rare, so that looking every few milliseconds is soon enough."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            time.sleep(LOOK_S)
            if self._queue.qsize() < self._waiting_max:
                return True
        return False
