"""Tell the ledger regularly how this kiosk is: queue, versions, health. Small, so that it arrives when little does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random

from sync.client.channel import Channel
from sync.client.policy import CAP_S, Backoff
from sync.client.ports import Outbox
from sync.contract import wire
from sync.contract.wire import HeadText, Health, Heartbeat, HeartbeatReply
from sync.errors import Rejected, SyncError, Unreachable

HEALTH_MAX = 32  # parts that one heartbeat tells of


@dataclass(frozen=True, slots=True)
class Condition:
    """What the runtime knows of itself."""

    agent: str  # version
    roster: int  # version in force
    boot: str  # the kernel's boot id
    clock: str  # an `event.Clock`
    health: tuple[Health, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    sent: bool
    due_s: float
    why: str
    roster: int = 0  # the newest version at the ledger: above ours, `RosterPull.hurry`


class HeartbeatSender:
    def __init__(
        self,
        outbox: Outbox,
        channel: Channel,
        condition: Callable[[], Condition],
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        dice: Random,
        interval_s: float = 60.0,
        retry_max_s: float = CAP_S,
    ) -> None:
        self._outbox = outbox
        self._channel = channel
        self._condition = condition
        self._clock = clock
        self._monotonic = monotonic
        self._dice = dice
        self._interval_s = interval_s
        self._backoff = Backoff(dice, cap_s=retry_max_s)
        self._instance = f"{dice.getrandbits(64):016x}"
        self._next_at = monotonic()

    def step(self) -> Beat:
        """Send one if it is due. Errors of the outbox pass through."""
        wait_s = self._next_at - self._monotonic()
        if wait_s > 0:
            return Beat(False, wait_s, "not due yet")
        beat = self._attempt()
        self._next_at = self._monotonic() + beat.due_s
        return beat

    def _attempt(self) -> Beat:
        path = wire.heartbeats_path(self._outbox.device)
        try:
            reply = self._channel.post(HeartbeatReply, path, wire.to_json(self._compose()))
        except Unreachable as error:
            return Beat(False, self._backoff.failed(error.retry_after_s), str(error))
        except Rejected as error:
            return Beat(False, self._backoff.failed(), str(error))
        except SyncError as error:
            return Beat(False, self._backoff.stopped(), str(error))
        self._backoff.succeeded()
        return Beat(True, self._interval_s * self._dice.uniform(0.9, 1.1), "the ledger knows", reply.roster)

    def _compose(self) -> Heartbeat:
        condition = self._condition()
        return Heartbeat(
            epoch=self._outbox.epoch,
            head=HeadText.of(self._outbox.head),
            acknowledged=self._outbox.acknowledged().seq,
            queue=self._outbox.queue_depth(),
            agent=condition.agent,
            roster=condition.roster,
            boot=condition.boot,
            instance=self._instance,
            at=wire.time_text(self._clock()),
            clock=condition.clock,
            health=condition.health[:HEALTH_MAX],
        )
