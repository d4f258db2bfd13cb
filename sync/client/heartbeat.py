"""Tells the ledger regularly how this kiosk is: queue, versions, health. Small, so that it arrives when little does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import Outbox
from sync.contract import wire
from sync.contract.wire import HeadText, Heartbeat, HeartbeatReply, PartHealth
from sync.errors import RequestRejected, Unreachable

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


class HeartbeatSender(PacedClient):
    """Sends heartbeats. `newest_roster` is the newest version that the ledger has named, 0 before the first reply."""

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

    def _request(self) -> SyncStep:
        path = wire.heartbeats_path(self._outbox.device)
        try:
            reply = self._channel.post(HeartbeatReply, path, wire.to_json(self._compose()))
        except RequestRejected as error:
            # A later heartbeat says other things, so it is tried at the pace of a bad line.
            raise Unreachable(str(error)) from error
        self.newest_roster = reply.roster
        return SyncStep(SyncOutcome.SENT, self._spread_interval_s(), "the ledger knows how this kiosk is")

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
        )
