"""The one queue to the station: what devices saw, and what the staff ask for, one at a time in order of arrival.

The rule for a full queue: whoever brings something waits a second. The station takes a scan in milliseconds, so a
queue that stays full means that the disk stands still; then the reading is not taken, and that is said on the screen.
"""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from drivers.readings import Reading
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.moment import Moment
from edge_agent.station import PalmPresentation

WAITING_MAX = 64
FULL_WAIT_S = 1.0


class Scan(msgspec.Struct, frozen=True):
    reading: Reading
    moment: Moment  # at which it came, not at which it is looked at


@dataclass(frozen=True, slots=True)
class PalmScan:
    sight: PalmPresentation
    moment: Moment  # at which the hand was first seen well


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done by the station's thread, for somebody who waits for it.

    `work` returns a feedback, or how many rows it wrote.
    """

    work: Callable[[], Feedback | int]
    result: Future[Feedback | int]

    def run(self, show: Callable[[Feedback], None]) -> None:
        """Does the work and shows its feedback, unless nobody waits any more; an error goes to whoever waits."""
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            done = self.work()
            if isinstance(done, Feedback):
                show(done)
            self.result.set_result(done)
        except BaseException as error:
            self.result.set_exception(error)
            if not isinstance(error, Exception):
                raise


class Inbox:
    """A bounded queue that devices and staff fill and the station's thread alone empties."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._queue: queue.Queue[Scan | PalmScan | Job] = queue.Queue(waiting_max)

    def put(self, work: Scan | PalmScan | Job, wait_s: float = FULL_WAIT_S) -> bool:
        """Returns False where the queue stayed full for `wait_s` seconds; the work was not taken."""
        try:
            self._queue.put(work, timeout=wait_s)
        except queue.Full:
            return False
        return True

    def put_presentation(self, presentation: PalmPresentation, moment: Moment) -> bool:
        """Returns False where the queue stayed full; the presentation was not taken."""
        return self.put(PalmScan(presentation, moment))

    def get(self, wait_s: float) -> Scan | PalmScan | Job | None:
        """Returns the oldest work, or None where none came within `wait_s` seconds."""
        try:
            return self._queue.get(timeout=wait_s)
        except queue.Empty:
            return None
