"""The refusals of one reader: the last one with its sentence, and who is told of it, and when.

A device's thread writes here for its own reader; others read `last`. The log gets a sentence once, and then its count
each time that has grown tenfold: a noisy line fills no disk. Settings and wires that are wrong are an error, since only
somebody at the kiosk can mend them. The child is told at most every `CHILD_TOLD_MS`, since a phone that lies on the
reader is refused many times a second.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime

from drivers.bench.line_signs import LineSigns
from drivers.readings import FaultCause, StreamFault
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.moment import Moment
from edge_agent.domain.respond import respond_refused
from edge_agent.process.journald import FIELDS

log = logging.getLogger(__name__)

CHILD_TOLD_MS = 3_000
BURST_MS = 1_000  # of silence before bytes belong to another card
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
    signs: LineSigns | None = None  # None: a line whose bytes say nothing of its speed and wires
    last: LastRefusal | None = None
    _verdict: str = ""  # on the line; empty: nothing is known against it
    _is_proven: bool = False  # a reading has come: the line was sound
    _heard: bool = False
    _heard_ms: int | None = None
    _counts: dict[str, int] = field(default_factory=dict)  # by sentence; the oldest first
    _child_told_ms: int | None = None

    def note(self, fault: StreamFault, moment: Moment) -> Feedback | None:
        """Counts a fault, and logs it once. Returns what the child at the reader is to see, or None."""
        if self._verdict and fault.cause is FaultCause.LINE:
            return None  # the verdict says more than any single run of bytes
        return self._tell_child(self._count(fault, moment), moment)

    def hear(self, data: bytes) -> None:
        """Takes the bytes of the line before the driver reads them."""
        if self.signs is not None:
            self.signs.hear(data)
            self._heard = True

    def note_reading(self) -> None:
        """Notes that the line is sound; a verdict against it is withdrawn."""
        if self._verdict and self.last is not None and self.last.what == self._verdict:
            self.last = None
        self._is_proven, self._verdict = True, ""
        if self.signs is not None:
            self.signs.clear()

    def judge_line(self, moment: Moment) -> Feedback | None:
        """Judges the bytes since the last reading, once a burst. Returns what the child is to see, or None."""
        if self.signs is None or not self._heard:
            return None
        is_new_burst = self._heard_ms is None or moment.mono_ms - self._heard_ms >= BURST_MS
        self._heard, self._heard_ms = False, moment.mono_ms
        before, self._verdict = self._verdict, self.signs.judge()
        if not self._verdict or (self._verdict == before and not is_new_burst):
            return None
        fault = StreamFault(self.reader, self._verdict, moment.mono_ms * 1_000_000, FaultCause.SETTINGS)
        cause = self._count(fault, moment)
        return None if self._is_proven else self._tell_child(cause, moment)  # noise on a sound line is nobody's card

    def _count(self, fault: StreamFault, moment: Moment) -> FaultCause:
        count = self._counts.pop(fault.what, 0) + 1
        self._counts[fault.what] = count
        if len(self._counts) > SENTENCES_MAX:
            del self._counts[next(iter(self._counts))]
        self.last = LastRefusal(fault.what, fault.cause, count, moment.utc)
        if _is_power_of_ten(count):
            often = f", {count} times now" if count > 1 else ""
            level = logging.ERROR if fault.cause is FaultCause.SETTINGS else logging.WARNING
            fields = {"CANTEEN_SUBJECT": self.reader, "CANTEEN_COUNT": count, "CANTEEN_CAUSE": fault.cause}
            log.log(level, "%s refused what came%s: %s", self.reader, often, fault.what, extra={FIELDS: fields})
        return fault.cause

    def _tell_child(self, cause: FaultCause, moment: Moment) -> Feedback | None:
        if cause is FaultCause.LINE:
            return None
        if self._child_told_ms is not None and moment.mono_ms - self._child_told_ms < CHILD_TOLD_MS:
            return None
        self._child_told_ms = moment.mono_ms
        return respond_refused(cause)


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
