"""The lines of the log about the ledger: it is lost, it is reached again, an alarm, a new epoch. The rest is routine.

A kiosk makes some thousand requests a day. One that went well, and one that had nothing to send, is no line; the
counts are in the heartbeat and at `/metrics`. The clients share one line to one ledger, so that its loss is one line
for all of them.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from edge_agent.process.journald import FIELDS
from edge_agent.process.repeated_faults import RepeatedFaults
from sync.client.paced import SyncOutcome, SyncStep
from sync.errors import SyncAlarm

log = logging.getLogger(__name__)

LEDGER: Final = "line to the ledger"
_ABOUT_LEDGER: Final = {FIELDS: {"CANTEEN_SUBJECT": LEDGER}}
_UNASKED: Final = frozenset({SyncOutcome.WAITING, SyncOutcome.IDLE})  # steps without a request
_ROUTINE: Final = frozenset({SyncOutcome.SENT, SyncOutcome.PAGE, SyncOutcome.CURRENT, SyncOutcome.RECEIVED})


class LedgerLog:
    """Writes the lines about one ledger. `clock` returns seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._faults = RepeatedFaults(log, clock)
        self._failing: set[str] = set()  # clients that have not reached the ledger at their last try
        self._lost_s: float | None = None  # when the first of them failed
        self._is_tried = False

    def note(self, client: str, step: SyncStep) -> None:
        """Writes what is worth a line in this step of a client; nothing for most steps."""
        if step.outcome in _UNASKED:
            return
        is_first, self._is_tried = not self._is_tried, True
        if step.outcome in {SyncOutcome.UNREACHABLE, SyncOutcome.STOPPED}:
            self._note_loss(client, step)
            return
        self._note_contact(client, is_first=is_first)
        if step.alarm is not SyncAlarm.NONE:
            self._faults.note(client, logging.ERROR, step.why)
            return
        self._faults.end(client)
        if step.outcome is SyncOutcome.NEW_EPOCH:
            log.info("%s: a new epoch: %s", LEDGER, step.why, extra=_ABOUT_LEDGER)
        elif step.outcome not in _ROUTINE:
            log.debug("%s: %s: %s", client, step.outcome, step.why)

    def _note_loss(self, client: str, step: SyncStep) -> None:
        """A line of a school is often gone, and rows wait: nobody must come. A ledger that says no needs somebody."""
        if self._lost_s is None:
            self._lost_s = self._clock()
        self._failing.add(client)
        level = logging.WARNING if step.alarm is SyncAlarm.NONE else logging.ERROR
        self._faults.note(LEDGER, level, step.why)

    def _note_contact(self, client: str, *, is_first: bool) -> None:
        self._failing.discard(client)
        if self._failing:
            return
        if self._lost_s is not None:
            self._faults.end(LEDGER, over=f"reached again after {round(self._clock() - self._lost_s)} s")
            self._lost_s = None
        elif is_first:
            log.info("%s: reached", LEDGER, extra=_ABOUT_LEDGER)
