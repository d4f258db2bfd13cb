"""The thread that talks to the ledger: the journal up, the roster down, palms both ways, a sign of life; in turn."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from edge_agent.domain.health import LedgerState
from edge_agent.identity import DeviceIdentity, Registration
from edge_agent.journal.errors import JournalUnwritable, RosterMismatch
from edge_agent.journal.journal import Journal
from edge_agent.journal.marks import LEDGER_INCARNATION
from edge_agent.process.repeated_faults import RepeatedFaults
from edge_agent.process.supervision import Part, Pulse
from edge_agent.runtime.ledger_log import LedgerLog
from edge_agent.settings.tables import LedgerSettings
from edge_agent.version import VERSION
from sync.client.batches import BatchSender
from sync.client.channel import LedgerChannel
from sync.client.code_uses import CodeUsePull
from sync.client.heartbeat import AgentReport, HeartbeatSender
from sync.client.log_watch import EvidenceStore, LogWatch
from sync.client.paced import NOT_TRIED, Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.palms import PalmRelay
from sync.client.pinned_key import PinnedKey
from sync.client.ports import CodeUseStore, PalmStore, ReplacementCardStore, RosterStore
from sync.client.replacement_cards import CARDS_INTERVAL_S, ReplacementCardRelay
from sync.client.roster import RosterPull
from sync.errors import SyncAlarm

log = logging.getLogger(__name__)

STORE_RETRY_S: Final = 30.0  # after the journal did not take a roster or a palm
REACHED: Final = frozenset(
    {SyncOutcome.SENT, SyncOutcome.IDLE, SyncOutcome.ALIGNED, SyncOutcome.NARROWED, SyncOutcome.NEW_EPOCH}
)


@dataclass(slots=True)
class LedgerContact:
    """The last contact with the ledger: written by the uplink's thread alone, read by others."""

    step: SyncStep = NOT_TRIED  # of the journal's events
    pull: SyncStep = NOT_TRIED  # of the roster
    watch: SyncStep = NOT_TRIED  # of the ledger's log
    sent: int = 0  # events acknowledged since the start
    twin_heard: str = ""  # UTC: when the ledger heard another kiosk with this identity; empty: there is none

    @property
    def concern(self) -> SyncStep:
        """Returns the step that people should hear of: the events', unless only the log raises an alarm."""
        calm = self.step.alarm is SyncAlarm.NONE and self.watch.alarm is SyncAlarm.SPLIT_LOG
        return self.watch if calm else self.step

    def state(self) -> LedgerState:
        """Returns how the ledger can be reached."""
        if self.step.outcome is SyncOutcome.STOPPED:
            return LedgerState.REFUSED
        return LedgerState.REACHABLE if self.step.outcome in REACHED else LedgerState.UNREACHABLE


class SchoolStore(RosterStore, CodeUseStore, Protocol):
    """The store of the ledger's word on the whole school: its roster, and the codes that were used."""


class Uplink:
    """The clients of one ledger, stepped in turn. `contact` is where the rest of the agent reads how it goes."""

    def __init__(
        self,
        identity: DeviceIdentity,
        registration: Registration,
        journal: Journal,
        settings: LedgerSettings,
        *,
        contact: LedgerContact,
        wall: Callable[[], datetime],
        agent_report: Callable[[], AgentReport],
        roster: SchoolStore,
        random_source: random.Random,
        evidence: EvidenceStore,
        store_server_key: Callable[[bytes], None],
        cards: ReplacementCardStore | None = None,
        palms: PalmStore | None = None,
    ) -> None:
        from sync.client.http import HttpxTransport  # for a kiosk that has a ledger: httpx is 3 MiB

        self._contact = contact
        self._faults = RepeatedFaults(log)
        self._log = LedgerLog()
        self._is_closed = False
        self._journal = journal
        self._http = HttpxTransport(
            registration.ledger, ca_file=settings.ca_file, timeout_s=settings.timeout_s, clock=wall
        )
        server_key = PinnedKey(bytes.fromhex(registration.server_key), self._http, store_server_key)
        channel = LedgerChannel(self._http, identity.key, identity.device, wall, server_key)
        pace = Pace(wall, time.monotonic, random_source, settings.retry_max_s)
        self._batches = BatchSender(
            journal.outbox,
            channel,
            server_key,
            pace,
            agent=VERSION,
            roster_version=journal.roster.version,
            interval_s=settings.heartbeat_s,
        )
        self._roster = RosterPull(roster, channel, registration.school, pace, interval_s=settings.roster_interval_s)
        self._heartbeat = HeartbeatSender(journal.outbox, channel, agent_report, pace, interval_s=settings.heartbeat_s)
        self._watch = LogWatch(journal.outbox, channel, registration.school, server_key, evidence, pace)
        self._code_uses = CodeUsePull(roster, channel, registration.school, pace)
        self._cards: ReplacementCardRelay | None = None
        if cards is not None:
            interval_s = min(CARDS_INTERVAL_S, settings.roster_interval_s)
            self._cards = ReplacementCardRelay(cards, channel, registration.school, pace, interval_s=interval_s)
        self._palms: PalmRelay | None = None
        if palms is not None:
            self._palms = PalmRelay(palms, channel, registration.school, pace, interval_s=settings.roster_interval_s)
        clients: tuple[PacedClient | None, ...] = (
            self._batches, self._roster, self._heartbeat, self._watch, self._palms, self._code_uses,
            self._cards,
        )  # fmt: skip
        self._clients = [client for client in clients if client is not None]
        self._fetched_incarnation = ""  # of the ledger, for which the whole roster was asked for
        self._requested_roster = 0  # the version that a heartbeat has last made the roster's pull hurry for

    def hurry(self) -> None:
        """Makes everything due now, because a person asks for it; the thread must be woken, too."""
        self._batches.hurry()
        self._roster.hurry()
        if self._cards is not None:
            self._cards.hurry()
        self.hurry_palms()

    def hurry_palms(self) -> None:
        """Makes the palms due now, because one was made known or taken back here; the thread must be woken, too."""
        if self._palms is not None:
            self._palms.hurry()

    def run(self, pulse: Pulse) -> None:
        while not pulse.is_stopping():
            pulse.wait(min([self._advance(client) for client in self._clients]))

    def close(self) -> None:
        """Ends a request under way at once. Any thread may call it."""
        self._is_closed = True
        self._http.close()

    def _advance(self, client: PacedClient) -> float:
        """Steps one client and does what follows from it. Returns the seconds until its next step is due."""
        try:
            step = client.step()
        except RosterMismatch as error:
            self._faults.note(client.name, logging.WARNING, str(error))
            self._roster.fetch_whole()
            return STORE_RETRY_S
        except JournalUnwritable as error:
            return self._wait_for_journal(client, error)
        if not self._is_closed:  # a request that our own end cuts off says nothing of the ledger
            self._log.note(client.name, step)
        self._contact.step, self._contact.pull = self._batches.last, self._roster.last
        self._contact.watch = self._watch.last
        self._note_twin(self._heartbeat.twin_heard)
        self._contact.sent += step.accepted
        if step.outcome is SyncOutcome.BEHIND:
            self._roster.hurry()
        try:
            due_s = self._follow_step(client, step)
        except JournalUnwritable as error:
            return self._wait_for_journal(client, error)
        self._faults.end(client.name)
        return due_s

    def _note_twin(self, heard: str) -> None:
        """Tells the agent of another kiosk with this identity, and the log when one appears and when it is gone."""
        if bool(heard) != bool(self._contact.twin_heard):
            step = "find it, and register one of the two anew" if heard else "it was not heard for an hour"
            presence = "is heard" if heard else "is gone"
            log.warning("another kiosk with this kiosk's identity %s: %s", presence, step)
        self._contact.twin_heard = heard

    def _wait_for_journal(self, client: PacedClient, error: JournalUnwritable) -> float:
        """Returns when to try again. A full disk must not end the thread, and with it the process and its memory."""
        self._faults.note(client.name, logging.WARNING, str(error))
        return STORE_RETRY_S

    def _follow_step(self, client: PacedClient, step: SyncStep) -> float:
        if step.outcome is SyncOutcome.APPLIED and self._fetched_incarnation:
            self._journal.marks.write({LEDGER_INCARNATION: self._fetched_incarnation})
        if client is self._roster and step.outcome is SyncOutcome.APPLIED:
            self.hurry_palms()  # those of people whose consent the ledger has by it
        if client is self._heartbeat and step.outcome is SyncOutcome.SENT:
            return 0.0 if self._follow_heartbeat() else step.due_s
        return step.due_s

    def _follow_heartbeat(self) -> bool:
        """Does what follows from the reply to a heartbeat; returns True where something is due now."""
        if self._heartbeat.differs:
            self._batches.realign()
        restored = self._is_ledger_restored()
        if restored:
            log.warning("the ledger was restored from a backup: the whole roster is fetched")
            self._roster.fetch_whole()
        elif self._is_roster_outdated():
            self._roster.hurry()
        else:
            return self._heartbeat.differs
        return True

    def _is_ledger_restored(self) -> bool:
        """Returns True once for each incarnation of the ledger that follows on another one."""
        incarnation = self._heartbeat.incarnation
        known = self._journal.marks.read(LEDGER_INCARNATION)
        if incarnation in {"", known, self._fetched_incarnation}:
            return False
        self._fetched_incarnation = incarnation
        if known is None:
            self._journal.marks.write({LEDGER_INCARNATION: incarnation})
        return known is not None

    def _is_roster_outdated(self) -> bool:
        """Returns True once for each version that a heartbeat's reply names and that is not in force."""
        newest = self._heartbeat.newest_roster
        if newest <= max(self._journal.roster.version(), self._requested_roster):
            return False
        self._requested_roster = newest
        return True


class UplinkHandle:
    """How the rest of the agent reaches the uplink; without a ledger each call does nothing."""

    def __init__(self, uplink: Uplink | None = None, thread: Part | None = None) -> None:
        self._uplink = uplink
        self._thread = thread

    def wake(self) -> None:
        """Lets the uplink look now whether there is something to send."""
        if self._thread is not None:
            self._thread.wake()

    def hurry(self) -> None:
        """Sends and fetches now, without waiting for the next attempt."""
        if self._uplink is not None:
            self._uplink.hurry()
        self.wake()

    def hurry_palms(self) -> None:
        """Brings a palm that was made known or taken back here to the school's other kiosks soon."""
        if self._uplink is not None:
            self._uplink.hurry_palms()
        self.wake()

    def close(self) -> None:
        """Ends a request under way at once; from any thread."""
        if self._uplink is not None:
            self._uplink.close()
