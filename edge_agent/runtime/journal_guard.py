"""The agent's own events, and the end of a journal that turns out damaged in the middle of the day."""

import logging
from collections.abc import Callable, Sequence

from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.errors import JournalDamaged, JournalError, JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import AppendedEvent
from edge_agent.journal.verify import ChainBreak, ChainCheck
from edge_agent.process.repeated_faults import RepeatedFaults
from edge_agent.process.shutdown import ShutdownFlag
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.opening import JournalOpener
from sync.contract.chain import Epoch
from sync.contract.event import Event, PersonId

log = logging.getLogger(__name__)

OWN_EVENT = "an event of the agent's own is not recorded"


class JournalGuard:
    """Knows whether the journal can be written, appends the agent's own events, and condemns a damaged journal.

    `recording` and `condemned` may be read from any thread. An outage lasts from the first refusal until `end_outage`.
    """

    def __init__(self, journal: Journal, opener: JournalOpener, shutdown: ShutdownFlag, now: MomentSource) -> None:
        self._journal = journal
        self._opener = opener
        self._shutdown = shutdown
        self._now = now
        self._faults = RepeatedFaults(log)
        self.recording = True
        self.refused_at: Moment | None = None  # the first time in this outage
        self.condemned = False

    def append(self, event: Event) -> None:
        """Appends an event of the agent's own. A disk that refuses it is logged; the scans before have shown it."""
        try:
            self._journal.append(event)
        except JournalDamaged as error:
            self.condemn(str(error))
        except JournalError as error:
            self.note_refusal(str(error))
            self._faults.note(OWN_EVENT, logging.ERROR, str(error))

    def note_refusal(self, why: str) -> None:
        """Begins an outage, unless one lasts already. Any thread may call it."""
        if self.recording:
            self.refused_at = self._now()
            self.recording = False
            log.error("the journal cannot be written, scans wait in memory: %s", why)

    def end_outage(self) -> None:
        """Ends the outage: the journal has taken everything that waited for it."""
        self.refused_at = None
        self._faults.end(OWN_EVENT)
        self.recording = not self.condemned
        log.info("the journal can be written again, and nothing waits for it")

    def condemn(self, why: str) -> None:
        """Marks the journal, so that the next start sets it aside, and ends the process."""
        log.critical("the journal cannot go on: %s", why)
        self.recording = False
        self.condemned = True
        self._opener.condemn(why)
        self._shutdown.set()

    def condemn_if_unsent(self, verdict: ChainCheck) -> None:
        """Condemns the journal where the ledger lacks the broken row: such a row would stop the queue for ever.

        A broken row that the ledger has is safe there, and the kiosk goes on.
        """
        broken = verdict.broken
        if broken is not None and self._is_unsent(broken):
            self.condemn(f"epoch {broken.epoch} row {broken.seq}: {broken.what}")

    def protect(self, run: Callable[[Pulse], None]) -> Callable[[Pulse], None]:
        """Returns a `run` that condemns a damaged journal instead of dying of it, because a restart would not help."""

        def protected(pulse: Pulse) -> None:
            try:
                run(pulse)
            except JournalDamaged as error:
                self.condemn(str(error))
                pulse.stop()

        return protected

    def _is_unsent(self, broken: ChainBreak) -> bool:
        epoch, acknowledged = self._journal.outbox.epoch, self._journal.outbox.acknowledged()
        return not broken.epoch or (broken.epoch == epoch and broken.seq > acknowledged.seq)


class WatchedJournal:
    """The journal as the station uses it: each refusal is noted by the guard."""

    def __init__(self, journal: Journal, guard: JournalGuard) -> None:
        self._journal = journal
        self._guard = guard

    def append(self, event: Event) -> AppendedEvent:
        """Appends as `Journal.append`."""
        return self.append_all((event,))[0]

    def append_all(self, events: Sequence[Event]) -> Sequence[AppendedEvent]:
        """Appends as `Journal.append_all`."""
        try:
            return self._journal.append_all(events)
        except JournalUnwritable as error:
            self._guard.note_refusal(str(error))
            raise

    def earlier_sightings(self, person: PersonId, since: str) -> Sequence[EarlierSighting]:
        """Returns what `Journal.earlier_sightings` returns."""
        try:
            return self._journal.earlier_sightings(person, since)
        except JournalUnwritable as error:
            self._guard.note_refusal(str(error))
            raise

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        """Returns what `Journal.sighting` returns."""
        return self._journal.sighting(epoch, seq)
