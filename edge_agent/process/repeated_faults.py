"""A fault that repeats is one line in the log, a count once an hour, and the count when it is over."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge_agent.process.journald import FIELDS

SAID_AGAIN_S: Final = 3600.0
TEXTS_MAX: Final = 20  # of one subject; the oldest is forgotten


@dataclass(slots=True)
class _FaultCount:
    said_s: float
    more: int = 0  # since it was said


class RepeatedFaults:
    """The faults of one module's log, by what they are about. Any thread may call it; `clock` returns seconds."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._faults: dict[str, dict[str, _FaultCount]] = {}

    def note(self, subject: str, level: int, text: str, *, trace: bool = False) -> None:
        """Logs the fault, or counts it where the same words about this subject were logged within the last hour.

        `trace`: with the traceback of the exception that is being handled.
        """
        now_s = self._clock()
        with self._lock:
            faults = self._faults.setdefault(subject, {})
            before = faults.pop(text, None)
            if before is not None and now_s - before.said_s < SAID_AGAIN_S:
                before.more += 1
                faults[text] = before
                return
            faults[text] = _FaultCount(now_s)
            if len(faults) > TEXTS_MAX:
                del faults[next(iter(faults))]
        count = before.more + 1 if before is not None else 1
        often = f" ({count} times since this was last said)" if before is not None else ""
        fields = {"CANTEEN_SUBJECT": subject, "CANTEEN_COUNT": count}
        self._log.log(level, "%s: %s%s", subject, text, often, exc_info=trace, extra={FIELDS: fields})

    def end(self, subject: str, over: str = "") -> None:
        """Ends the faults of a subject; says how many of them were only counted, if any were.

        `over`: the words for the end, which is then said in any case.
        """
        with self._lock:
            faults = self._faults.pop(subject, {})
        more = sum(fault.more for fault in faults.values())
        if more or over:
            often = f"; it happened {more} more times" if more else ""
            fields = {"CANTEEN_SUBJECT": subject, "CANTEEN_COUNT": more}
            self._log.info("%s: %s%s", subject, over or "this is over", often, extra={FIELDS: fields})
