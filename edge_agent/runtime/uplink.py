"""The thread that talks to the ledger: the journal up, the roster down, palms both ways, a sign of life; in turn."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from edge_agent.domain.health import LedgerState
from edge_agent.identity import Identity, Registration
from edge_agent.journal.errors import JournalUnwritable, RosterMismatch
from edge_agent.journal.journal import Journal
from edge_agent.process.supervision import Part, Pulse
from edge_agent.settings import LedgerSettings
from edge_agent.version import VERSION
from sync.client.channel import Channel
from sync.client.client import Alarm, Outcome, Step, SyncClient
from sync.client.heartbeat import Condition, HeartbeatSender
from sync.client.http import Http
from sync.client.palms import PalmRelay, RelayOutcome
from sync.client.ports import PalmStore, RosterStore
from sync.client.roster import Pull, PullOutcome, RosterPull

log = logging.getLogger(__name__)

MISMATCH_S = 30.0
NEVER_S = 3_600.0
NOT_SENT = Step(Outcome.WAITING, 0.0, "not tried yet")
NOT_PULLED = Pull(PullOutcome.WAITING, 0.0, "not tried yet")
REACHED = frozenset({Outcome.SENT, Outcome.IDLE, Outcome.ALIGNED, Outcome.NARROWED, Outcome.NEW_EPOCH})


@dataclass(slots=True)
class LedgerContact:
    """The last contact with the ledger: written by the uplink's thread alone, read by others."""

    step: Step = NOT_SENT
    pull: Pull = NOT_PULLED
    sent: int = 0  # events acknowledged since the start

    def state(self) -> LedgerState:
        """Returns how the ledger can be reached."""
        if self.step.outcome is Outcome.STOPPED:
            return LedgerState.REFUSED
        return LedgerState.REACHABLE if self.step.outcome in REACHED else LedgerState.UNREACHABLE


class Uplink:
    """Steps through what is due to the ledger. `contact` is where the rest of the agent reads how it goes."""

    def __init__(
        self,
        identity: Identity,
        registration: Registration,
        journal: Journal,
        settings: LedgerSettings,
        *,
        contact: LedgerContact,
        wall: Callable[[], datetime],
        condition: Callable[[], Condition],
        roster: RosterStore,
        dice: random.Random,
        palms: PalmStore | None = None,
    ) -> None:
        self._contact = contact
        self._http = Http(registration.ledger, ca_file=settings.ca_file, timeout_s=settings.timeout_s, clock=wall)
        channel = Channel(self._http, identity.key, identity.device, wall)
        self._client = SyncClient(
            journal,
            channel,
            bytes.fromhex(registration.server_key),
            clock=wall,
            monotonic=time.monotonic,
            dice=dice,
            agent=VERSION,
            roster=journal.roster_version,
            idle_s=settings.heartbeat_s,
            retry_max_s=settings.retry_max_s,
        )
        self._pull = RosterPull(
            roster,
            channel,
            registration.school,
            clock=wall,
            monotonic=time.monotonic,
            dice=dice,
            interval_s=settings.roster_interval_s,
            retry_max_s=settings.retry_max_s,
        )
        self._heart = HeartbeatSender(
            journal,
            channel,
            condition,
            clock=wall,
            monotonic=time.monotonic,
            dice=dice,
            interval_s=settings.heartbeat_s,
            retry_max_s=settings.retry_max_s,
        )
        self._relay: PalmRelay | None = None
        if palms is not None:
            self._relay = PalmRelay(
                palms,
                channel,
                registration.school,
                monotonic=time.monotonic,
                dice=dice,
                interval_s=settings.roster_interval_s,
                retry_max_s=settings.retry_max_s,
            )
        self._relayed = RelayOutcome.WAITING
        self._roster_wanted = 0

    def hurry(self) -> None:
        """Makes everything due now, because a person asks for it; the thread must be woken, too."""
        self._client.hurry()
        self._pull.hurry()
        self.hurry_palms()

    def hurry_palms(self) -> None:
        """Makes the palms due now, because one was made known or taken back here; the thread must be woken, too."""
        if self._relay is not None:
            self._relay.hurry()

    def body(self, pulse: Pulse) -> None:
        while not pulse.stopping():
            pulse.wait(min(self._send(), self._fetch(), self._beat(), self._relay_palms()))

    def close(self) -> None:
        """From any thread: a request under way ends at once."""
        self._http.close()

    def _send(self) -> float:
        step = self._client.step()
        self._contact.sent += step.accepted
        last = self._contact.step
        if step.outcome is not Outcome.WAITING:
            if (step.outcome, step.alarm) != (last.outcome, last.alarm):
                level = logging.WARNING if step.alarm is not Alarm.NONE else logging.INFO
                log.log(level, "ledger: %s: %s", step.outcome, step.why)
            self._contact.step = step
        return step.due_s

    def _fetch(self) -> float:
        try:
            pull = self._pull.step()
        except RosterMismatch as error:
            log.warning("roster: %s", error)
            self._pull.whole()
            return MISMATCH_S
        if pull.outcome is not PullOutcome.WAITING:
            if pull.outcome is not self._contact.pull.outcome and pull.outcome is not PullOutcome.PAGE:
                log.info("roster: %s: %s", pull.outcome, pull.why)
            self._contact.pull = pull
        return pull.due_s

    def _relay_palms(self) -> float:
        if self._relay is None:
            return NEVER_S
        try:
            relay = self._relay.step()
        except JournalUnwritable as error:
            log.warning("palms: %s", error)
            return MISMATCH_S
        if relay.outcome is RelayOutcome.BEHIND:
            self._pull.hurry()
        if relay.outcome is not RelayOutcome.WAITING:
            if relay.outcome is not self._relayed and relay.outcome is not RelayOutcome.CURRENT:
                log.info("palms: %s: %s", relay.outcome, relay.why)
            self._relayed = relay.outcome
        return relay.due_s

    def _beat(self) -> float:
        beat = self._heart.step()
        if beat.sent and beat.roster > max(self._contact.pull.version, self._roster_wanted):
            self._roster_wanted = beat.roster
            self._pull.hurry()
            return 0.0
        return beat.due_s


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
