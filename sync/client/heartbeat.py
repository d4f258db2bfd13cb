"""Tells the ledger regularly how this kiosk is: queue, versions, health. Small, so that it arrives when little does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import Outbox
from sync.contract import wire
from sync.contract.wire import HeadText, Heartbeat, HeartbeatReply, PartHealth, UpdateReport
from sync.errors import RequestRejected, SyncAlarm, Unreachable

HEALTH_MAX: Final = 32  # parts that one heartbeat tells of
HEARTBEAT_INTERVAL_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class AgentReport:
    """The agent's own part of a heartbeat."""

    agent: str  # version
    roster: int  # version in force
    boot: str  # the kernel's boot id
    clock: str  # an `event.ClockQuality`
    health: tuple[PartHealth, ...] = ()
    roster_age_s: int = -1  # since the ledger confirmed the roster; -1: there is none
    scanned: datetime | None = None  # when somebody was last at a reader
    update: UpdateReport | None = None


class HeartbeatSender(PacedClient):
    """Sends heartbeats, and compares heads with the ledger, so that a kiosk with nothing to send finds out, too.

    `newest_roster` is the newest version that the ledger has named, 0 before the first reply; `incarnation` is the
    ledger's, empty before it has named one.
    """

    name = "heartbeat"

    def __init__(
        self,
        outbox: Outbox,
        channel: LedgerChannel,
        agent_report: Callable[[], AgentReport],
        pace: Pace,
        *,
        interval_s: float = HEARTBEAT_INTERVAL_S,
    ) -> None:
        super().__init__(pace, interval_s)
        self._outbox = outbox
        self._channel = channel
        self._agent_report = agent_report
        self._instance = f"{pace.random_source.getrandbits(64):016x}"
        self.newest_roster = 0
        self.incarnation = ""
        self.differs = False  # by the last reply the ledger lacks something that it had signed for
        self.twin_heard = ""  # by the last reply: when another kiosk with this identity was heard; empty: there is none

    def _request(self) -> SyncStep:
        path = wire.heartbeats_path(self._outbox.device)
        beat = self._compose()
        try:
            reply = self._channel.post(HeartbeatReply, path, wire.to_json(beat))
        except RequestRejected as error:
            # A later heartbeat says other things, so it is tried at the pace of a bad line.
            raise Unreachable(str(error)) from error
        self.newest_roster = reply.roster
        why = "the ledger knows how this kiosk is"
        if self._channel.last_was_signed:
            self.incarnation = reply.incarnation
            self.twin_heard = reply.twin
            self.differs = self._is_behind(reply)
            if beat.epoch == self._outbox.epoch and reply.heard > self._outbox.head.seq:
                why = f"the ledger has heard of event {reply.heard}, this disk ends at {self._outbox.head.seq}"
                self._outbox.declare_lost(reply.heard)
                return SyncStep(SyncOutcome.NEW_EPOCH, 0.0, f"{why}: rows are lost", SyncAlarm.FORK)
        return SyncStep(SyncOutcome.SENT, self._spread_interval_s(), why)

    def _is_behind(self, reply: HeartbeatReply) -> bool:
        """Returns True where the ledger stands before the last event that it has signed for."""
        acknowledged = self._outbox.acknowledged()
        if reply.epoch == self._outbox.epoch:
            return reply.accepted_through < acknowledged.seq
        return acknowledged.seq > 0

    def _compose(self) -> Heartbeat:
        report = self._agent_report()
        return Heartbeat(
            epoch=self._outbox.epoch,
            head=HeadText.from_head(self._outbox.head),
            acknowledged=self._outbox.acknowledged().seq,
            queue=self._outbox.queue_depth(),
            agent=report.agent,
            roster=report.roster,
            boot=report.boot,
            instance=self._instance,
            at=wire.time_text(self._pace.clock()),
            clock=report.clock,
            health=report.health[:HEALTH_MAX],
            roster_age_s=report.roster_age_s,
            scanned=wire.time_text(report.scanned) if report.scanned is not None else "",
            update=report.update,
        )
