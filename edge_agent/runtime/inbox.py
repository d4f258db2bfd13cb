"""The one queue to the station: scans from devices and jobs from the staff, in order of arrival.

The rule for a full queue: the giver waits a second. The station takes a scan in milliseconds, so a queue that stays
full means that the disk stands still. Then the reading is not taken, and the screen says so.
"""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from drivers.readings import Reading
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.moment import Moment
from edge_agent.station.ports import PalmPresentation

WAITING_MAX = 64
FULL_WAIT_S = 1.0
RESULT_WAIT_S = 2.0  # of somebody at the staff's page


class StationBusy(Exception):
    """The station has no time: the work was not done, and will not be."""


class Scan(msgspec.Struct, frozen=True):
    """A reading on its way to the station. `moment` is when it came, not when the station looks at it."""

    reading: Reading
    moment: Moment


@dataclass(frozen=True, slots=True)
class PalmScan:
    """A palm on its way to the station. `moment` is when the hand was first seen well."""

    presentation: PalmPresentation
    moment: Moment


@dataclass(frozen=True, slots=True)
class StationJob:
    """Work for the station's thread, and the place where another thread waits for its result.

    `work` returns a feedback, or how many rows it wrote.
    """

    work: Callable[[], Feedback | int]
    result: Future[Feedback | int]

    def run(self, show: Callable[[Feedback], None]) -> None:
        """Does the work and shows its feedback, unless nobody waits any more. An error goes to the waiting thread."""
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            outcome = self.work()
            if isinstance(outcome, Feedback):
                show(outcome)
            self.result.set_result(outcome)
        except BaseException as error:
            self.result.set_exception(error)
            if not isinstance(error, Exception):
                raise


class Inbox:
    """A bounded queue that devices and staff fill and the station's thread alone empties."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._queue: queue.Queue[Scan | PalmScan | StationJob] = queue.Queue(waiting_max)

    def add_work(self, work: Scan | PalmScan | StationJob, wait_s: float = FULL_WAIT_S) -> bool:
        """Returns False where the queue stayed full for `wait_s` seconds; then the work is not in it."""
        try:
            self._queue.put(work, timeout=wait_s)
        except queue.Full:
            return False
        return True

    def run_work(self, work: Callable[[], Feedback | int]) -> Feedback | int:
        """Has the station's thread do this work and returns its result. Raises StationBusy and what the work raises."""
        result: Future[Feedback | int] = Future()
        if not self.add_work(StationJob(work, result), RESULT_WAIT_S / 2):
            raise StationBusy
        try:
            return result.result(RESULT_WAIT_S)
        except TimeoutError:
            # Work that has begun cannot be called back. To say "busy" then would have it done twice.
            if result.cancel():
                raise StationBusy from None
            return result.result()

    def add_presentation(self, presentation: PalmPresentation, moment: Moment) -> bool:
        """Returns False where the queue stayed full; then the presentation is not in it."""
        return self.add_work(PalmScan(presentation, moment))

    def next_work(self, wait_s: float) -> Scan | PalmScan | StationJob | None:
        """Returns the oldest work, or None where none came within `wait_s` seconds."""
        try:
            return self._queue.get(timeout=wait_s)
        except queue.Empty:
            return None
