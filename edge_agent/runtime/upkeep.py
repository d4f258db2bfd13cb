"""Upkeep of the journal while nobody stands at the kiosk.

Damaged journals are brought over, the chain is verified, the WAL folded, old rows are removed.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from edge_agent.domain.moment import MomentSource
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.journal import CARRIED_AT_ONCE, Journal
from edge_agent.journal.setting_aside import list_unsalvaged, note_path
from edge_agent.journal.verify import ChainCheck, verify_journal
from edge_agent.process.memory import return_free_memory
from edge_agent.process.repeated_faults import RepeatedFaults
from edge_agent.process.supervision import Pulse

if TYPE_CHECKING:
    from edge_agent.journal.damage.salvage import SalvagedJournal

log = logging.getLogger(__name__)

VERIFY_EVERY_S = 24 * 3_600.0
FOLD_EVERY_S = 300.0
FOLD_UNSENT_EVERY_S = 30.0  # rows that are in the WAL alone, and not at the ledger, are the ones with most to lose
MARK_SYNC_EVERY_S = 5.0
PRUNE_EVERY_S = 3_600.0
PRUNE_ROWS_MAX = 2_000  # in one transaction, so that no scan waits behind a long one


class SalvageNote(msgspec.Struct, frozen=True):
    """The note beside a damaged journal that was brought over."""

    epoch: str  # empty: no row could be read
    rows: int  # unsent or recent
    carried: int  # of these, in the background
    holes: tuple[tuple[int, int], ...]


class JournalUpkeep:
    """Keeps the journal small and proves it whole. `on_break` is called with a check that found a broken link."""

    def __init__(
        self, journal: Journal, now: MomentSource, keep_days: int, on_break: Callable[[ChainCheck], None]
    ) -> None:
        self._faults = RepeatedFaults(log)
        self._journal = journal
        self._now = now
        self._keep = timedelta(days=keep_days)
        self._on_break = on_break
        self.last_check: ChainCheck | None = None  # the last one that went to the end

    def run(self, pulse: Pulse) -> None:
        """Does what is due, again and again, until the stop."""
        self._salvage(pulse)
        verify_due_ms = prune_due_ms = fold_due_ms = 0
        while not pulse.is_stopping():
            self._journal.sync_mark()
            mono_ms = self._now().mono_ms
            if mono_ms >= verify_due_ms:
                self._verify(pulse)
                verify_due_ms = mono_ms + int(VERIFY_EVERY_S * 1000)
            if mono_ms >= prune_due_ms and self._prune() == 0:
                prune_due_ms = mono_ms + int(PRUNE_EVERY_S * 1000)
            if mono_ms >= fold_due_ms:
                self._fold()
                unsent = self._journal.outbox.queue_depth() > 0
                fold_due_ms = mono_ms + int((FOLD_UNSENT_EVERY_S if unsent else FOLD_EVERY_S) * 1000)
            pulse.wait(MARK_SYNC_EVERY_S)

    def _salvage(self, pulse: Pulse) -> None:
        """Brings over what the journals that were set aside hold and nobody else has; names their holes."""
        for aside in list_unsalvaged(self._journal.path):
            moment = self._now()
            try:
                from edge_agent.journal.damage.salvage import read_journal  # seldom needed

                found = read_journal(aside, moment.utc if moment.is_trusted else None, beat=pulse.beat)
                self._carry(found, pulse)
            except (JournalUnwritable, OSError) as error:
                log.warning("%s is not brought over yet, the next start tries again: %s", aside, error)

    def _carry(self, found: "SalvagedJournal", pulse: Pulse) -> None:
        carried, epoch = 0, "" if found.epoch is None else found.epoch.id
        if found.epoch is not None:
            for start in range(0, len(found.rows), CARRIED_AT_ONCE):
                carried += self._journal.carry(found.epoch.id, found.rows[start : start + CARRIED_AT_ONCE])
                pulse.beat()
            for old_epoch, row in found.deferred:
                carried += self._journal.carry(old_epoch, [row])
            self._journal.name_lost(found.epoch.id, found.holes, found.path.name)
        elif found.lost is not None and found.lost.head.seq:
            self._journal.name_lost(found.lost.epoch, [(1, found.lost.head.seq)], found.path.name)
        self._journal.maintain()  # what the note vouches for must not be in the WAL alone
        note = SalvageNote(epoch, len(found.rows), carried, found.holes)
        note_path(found.path).write_bytes(msgspec.json.encode(note))
        level = logging.ERROR if found.holes or found.epoch is None else logging.INFO
        log.log(level, "%s: %d events brought over, %d holes", found.path.name, carried, len(found.holes))

    def _verify(self, pulse: Pulse) -> None:
        def stop() -> bool:
            pulse.beat()
            return pulse.is_stopping()

        check = verify_journal(self._journal.path, stop=stop)
        return_free_memory()  # of this walk; after the first one, of the whole start
        if not check.finished:
            return
        self.last_check = check
        if check.broken is None:
            log.info("the whole journal holds: %d rows in %d epochs", check.rows, check.epochs)
        else:
            broken = check.broken
            log.critical("the journal is broken at epoch %s row %d: %s", broken.epoch, broken.seq, broken.what)
            self._on_break(check)

    def _fold(self) -> None:
        try:
            if not self._journal.maintain().folded:
                log.debug("a reader is in the way of the WAL")
        except JournalUnwritable as error:
            self._faults.note("the journal is not tidied", logging.WARNING, str(error))
        else:
            self._faults.end("the journal is not tidied")

    def _prune(self) -> int:
        """Returns how many rows were removed. With a clock that is not trusted it removes none."""
        moment = self._now()
        if not moment.is_trusted:
            return 0
        try:
            removals = self._journal.prune(before=moment.utc - self._keep, rows_max=PRUNE_ROWS_MAX)
        except JournalUnwritable as error:
            self._faults.note("old rows are not removed", logging.WARNING, str(error))
            return 0
        self._faults.end("old rows are not removed")
        for removal in removals:
            log.info("removed %d acknowledged rows of epoch %s", removal.rows, removal.pruned_epoch)
        return sum(removal.rows for removal in removals)
