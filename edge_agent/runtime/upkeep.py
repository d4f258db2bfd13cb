"""What is done when nobody stands at the kiosk: the whole chain checked, the WAL folded, old rows removed."""

import logging
from collections.abc import Callable
from datetime import timedelta

from edge_agent.domain.moment import MomentSource
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.journal.verify import ChainCheck, verify_journal
from edge_agent.process.supervision import Pulse

log = logging.getLogger(__name__)

VERIFY_EVERY_S = 24 * 3_600.0
FOLD_EVERY_S = 300.0
PRUNE_EVERY_S = 3_600.0
PRUNE_ROWS_MAX = 2_000  # in one transaction, so that no scan waits behind a long one


class Upkeep:
    def __init__(
        self, journal: Journal, now: MomentSource, keep_days: int, broken: Callable[[ChainCheck], None]
    ) -> None:
        self._journal = journal
        self._now = now
        self._keep = timedelta(days=keep_days)
        self._broken = broken
        self.verdict: ChainCheck | None = None  # of the last whole check

    def body(self, pulse: Pulse) -> None:
        verify_at_ms = prune_at_ms = 0
        while not pulse.is_stopping():
            mono_ms = self._now().mono_ms
            if mono_ms >= verify_at_ms:
                self._verify(pulse)
                verify_at_ms = mono_ms + int(VERIFY_EVERY_S * 1000)
            if mono_ms >= prune_at_ms and self._prune() == 0:
                prune_at_ms = mono_ms + int(PRUNE_EVERY_S * 1000)
            self._fold()
            pulse.wait(FOLD_EVERY_S)

    def _verify(self, pulse: Pulse) -> None:
        def stop() -> bool:
            pulse.beat()
            return pulse.is_stopping()

        verdict = verify_journal(self._journal.path, stop=stop)
        if not verdict.finished:
            return
        self.verdict = verdict
        if verdict.broken is None:
            log.info("the whole journal holds: %d rows in %d epochs", verdict.rows, verdict.epochs)
        else:
            broken = verdict.broken
            log.critical("the journal is broken at epoch %s row %d: %s", broken.epoch, broken.seq, broken.what)
            self._broken(verdict)

    def _fold(self) -> None:
        try:
            if not self._journal.maintain().folded:
                log.debug("a reader is in the way of the WAL")
        except JournalUnwritable as error:
            log.warning("%s", error)

    def _prune(self) -> int:
        """Rows removed. A clock that nobody vouches for removes nothing."""
        moment = self._now()
        if not moment.is_trusted:
            return 0
        try:
            told = self._journal.prune(before=moment.utc - self._keep, rows_max=PRUNE_ROWS_MAX)
        except JournalUnwritable as error:
            log.warning("%s", error)
            return 0
        for event in told:
            log.info("removed %d acknowledged rows of epoch %s", event.rows, event.pruned_epoch)
        return sum(event.rows for event in told)
