"""The thread that talks to the ledger: the journal up, the roster down, palms both ways, a sign of life; in turn."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from edge_agent.identity import Identity, Registration
from edge_agent.journal.errors import JournalUnwritable, RosterMismatch
from edge_agent.journal.journal import Journal
from edge_agent.process.supervision import Pulse
from edge_agent.screen.health import LedgerState
from edge_agent.settings import LedgerSettings
from sync.client.channel import Channel
from sync.client.client import Alarm, Outcome, Step, SyncClient
from sync.client.heartbeat import Condition, HeartbeatSender
from sync.client.http import Http
from sync.client.palms import PalmRelay, RelayOutcome
from sync.client.ports import PalmStore
from sync.client.roster import Pull, PullOutcome, RosterPull
from sync.contract.roster import Page

log = logging.getLogger(__name__)

MISMATCH_S = 30.0
NEVER_S = 3_600.0
REACHED = frozenset({Outcome.SENT, Outcome.IDLE, Outcome.ALIGNED, Outcome.NARROWED, Outcome.NEW_EPOCH})


class NewRoster(Protocol):
    """Brings the pages of a newer roster into force."""

    def __call__(self, pages: Sequence[Page], confirmed_at: datetime) -> None: ...


class _RosterDesk:
    """`sync.client.ports.RosterStore` over the journal; a newer roster also reaches the station."""

    def __init__(self, journal: Journal, new_roster: NewRoster, confirmed: Callable[[datetime], None]) -> None:
        self._journal = journal
        self._new_roster = new_roster
        self._confirmed = confirmed

    def roster_version(self) -> int:
        return self._journal.roster_version()

    def apply_roster(self, pages: Sequence[Page], confirmed_at: datetime) -> None:
        self._new_roster(pages, confirmed_at)

    def confirm_roster(self, confirmed_at: datetime) -> None:
        self._journal.confirm_roster(confirmed_at)
        self._confirmed(confirmed_at)


class Uplink:
    def __init__(
        self,
        identity: Identity,
        registration: Registration,
        journal: Journal,
        settings: LedgerSettings,
        *,
        wall: Callable[[], datetime],
        condition: Callable[[], Condition],
        new_roster: NewRoster,
        roster_confirmed: Callable[[datetime], None],
        dice: random.Random,
        palms: PalmStore | None = None,
    ) -> None:
        self._http = Http(registration.ledger, ca_file=settings.ca_file, timeout_s=settings.timeout_s, clock=wall)
        channel = Channel(self._http, identity.key, identity.device, wall)
        self._client = SyncClient(
            journal,
            channel,
            bytes.fromhex(registration.server_key),
            clock=wall,
            monotonic=time.monotonic,
            dice=dice,
            agent=condition().agent,
            roster=journal.roster_version,
            idle_s=settings.heartbeat_s,
            retry_max_s=settings.retry_max_s,
        )
        self._pull = RosterPull(
            _RosterDesk(journal, new_roster, roster_confirmed),
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
        self.last = Step(Outcome.WAITING, 0.0, "not tried yet")
        self.last_pull = Pull(PullOutcome.WAITING, 0.0, "not tried yet")
        self.sent = 0  # events acknowledged since the start

    def hurry(self) -> None:
        """A person asks for it now. Wake the thread, too."""
        self._client.hurry()
        self._pull.hurry()
        self.hurry_palms()

    def hurry_palms(self) -> None:
        """A palm was made known or taken back here. Wake the thread, too."""
        if self._relay is not None:
            self._relay.hurry()

    def state(self) -> LedgerState:
        if self.last.outcome is Outcome.STOPPED:
            return LedgerState.REFUSED
        return LedgerState.REACHABLE if self.last.outcome in REACHED else LedgerState.UNREACHABLE

    def body(self, pulse: Pulse) -> None:
        while not pulse.stopping():
            pulse.wait(min(self._send(), self._fetch(), self._beat(), self._relay_palms()))

    def close(self) -> None:
        """From any thread: a request under way ends at once."""
        self._http.close()

    def _send(self) -> float:
        step = self._client.step()
        self.sent += step.accepted
        if step.outcome is not Outcome.WAITING:
            if (step.outcome, step.alarm) != (self.last.outcome, self.last.alarm):
                level = logging.WARNING if step.alarm is not Alarm.NONE else logging.INFO
                log.log(level, "ledger: %s: %s", step.outcome, step.why)
            self.last = step
        return step.due_s

    def _fetch(self) -> float:
        try:
            pull = self._pull.step()
        except RosterMismatch as error:
            log.warning("roster: %s", error)
            self._pull.whole()
            return MISMATCH_S
        if pull.outcome is not PullOutcome.WAITING:
            if pull.outcome is not self.last_pull.outcome and pull.outcome is not PullOutcome.PAGE:
                log.info("roster: %s: %s", pull.outcome, pull.why)
            self.last_pull = pull
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
        if beat.sent and beat.roster > max(self.last_pull.version, self._roster_wanted):
            self._roster_wanted = beat.roster
            self._pull.hurry()
            return 0.0
        return beat.due_s
