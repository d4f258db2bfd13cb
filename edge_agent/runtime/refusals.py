"""The refusals of one reader: the last one with its sentence, and who is told of it, and when.

A device's thread writes here for its own reader; others read `last`. The log gets a sentence once, and then its count
each time that has grown tenfold: a noisy line fills no disk. The child is told at most every `CHILD_TOLD_MS`, since a
phone that lies on the reader is refused many times a second.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime

from drivers.readings import FaultCause, StreamFault
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.moment import Moment
from edge_agent.domain.respond import respond_refused

log = logging.getLogger(__name__)

CHILD_TOLD_MS = 3_000
SENTENCES_MAX = 16  # counted one by one; a device that has more to say repeats the oldest of them in the log


@dataclass(frozen=True, slots=True)
class LastRefusal:
    """The last thing that a reader received and refused. `count`: how often the same sentence came since the start."""

    what: str
    cause: FaultCause
    count: int
    seen_utc: datetime


@dataclass(slots=True)
class RefusalBook:
    """All refusals of one reader."""

    reader: str
    last: LastRefusal | None = None
    _counts: dict[str, int] = field(default_factory=dict)  # by sentence; the oldest first
    _child_told_ms: int | None = None

    def note(self, fault: StreamFault, moment: Moment) -> Feedback | None:
        """Counts a fault, and logs it once. Returns what the child at the reader is to see, or None."""
        count = self._counts.pop(fault.what, 0) + 1
        self._counts[fault.what] = count
        if len(self._counts) > SENTENCES_MAX:
            del self._counts[next(iter(self._counts))]
        self.last = LastRefusal(fault.what, fault.cause, count, moment.utc)
        if count == 1:
            log.warning("%s refused what came: %s", self.reader, fault.what)
        elif _is_power_of_ten(count):
            log.warning("%s refused what came, %d times now: %s", self.reader, count, fault.what)
        return self._tell_child(fault.cause, moment)

    def _tell_child(self, cause: FaultCause, moment: Moment) -> Feedback | None:
        if cause is FaultCause.LINE:
            return None
        if self._child_told_ms is not None and moment.mono_ms - self._child_told_ms < CHILD_TOLD_MS:
            return None
        self._child_told_ms = moment.mono_ms
        return respond_refused(cause)


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
