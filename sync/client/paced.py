"""The skeleton of the clients of a ledger: when the next request is due, and what an error makes of it.

A client neither sleeps nor loops. `step` does at most one request and says when the next one is due. Whoever calls too
early is answered how long to wait: the waits hold even if every scan wakes the uplink.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import ClassVar, Final

from sync.client.policy import CAP_S, Backoff
from sync.errors import SyncAlarm, SyncError, Unreachable


class SyncOutcome(StrEnum):
    """The result of one step."""

    WAITING = "waiting"  # called before the next step was due; nothing was done
    UNREACHABLE = "unreachable"
    STOPPED = "stopped"  # a person must act; it is tried again rarely
    SENT = "sent"
    # Events
    IDLE = "idle"  # nothing to send
    ALIGNED = "aligned"  # the ledger has said where it stands
    NARROWED = "narrowed"  # a batch was refused; a smaller one or another form comes next
    NEW_EPOCH = "new-epoch"
    # The roster, and the palms of the school's other kiosks
    PAGE = "page"  # one more of several
    APPLIED = "applied"  # a newer roster is in force
    RECEIVED = "taken"  # a page of palms
    CURRENT = "current"  # the ledger has nothing newer
    BEHIND = "behind"  # the roster here is older than the palms


# After these the failures before are forgotten. A ledger that only aligns, narrows or begins has not yet done its work.
_SUCCESSES: Final = frozenset(
    {
        SyncOutcome.SENT,
        SyncOutcome.IDLE,
        SyncOutcome.APPLIED,
        SyncOutcome.RECEIVED,
        SyncOutcome.CURRENT,
        SyncOutcome.BEHIND,
    }
)


@dataclass(frozen=True, slots=True)
class SyncStep:
    """The result of one call of `PacedClient.step`, and when the next one is due."""

    outcome: SyncOutcome
    due_s: float  # seconds until the next step is due; 0: now
    why: str
    alarm: SyncAlarm = SyncAlarm.NONE
    accepted: int = 0  # events that a receipt covers since this step
    ledger_offset_s: float | None = None  # the ledger's clock minus ours, good to half the request's duration


NOT_TRIED: Final = SyncStep(SyncOutcome.WAITING, 0.0, "not tried yet")


@dataclass(frozen=True, slots=True)
class Pace:
    """Clocks, random source and longest wait, shared by the clients of one ledger."""

    clock: Callable[[], datetime]  # aware wall time
    monotonic: Callable[[], float]  # seconds
    random_source: Random
    retry_max_s: float = CAP_S


class PacedClient(ABC):
    """One kind of request to the ledger, made again and again at its own pace. Stepped from one thread."""

    name: ClassVar[str]  # for the log

    def __init__(self, pace: Pace, interval_s: float) -> None:
        self.last = NOT_TRIED  # the last step that was due
        self._pace = pace
        self._interval_s = interval_s
        self._backoff = Backoff(pace.random_source, cap_s=pace.retry_max_s)
        self._due_s = pace.monotonic()

    def hurry(self) -> None:
        """Makes the next step due now: a person asks, or the ledger is known to have something newer."""
        self._due_s = self._pace.monotonic()

    def step(self) -> SyncStep:
        """Does at most one request. Errors of the kiosk's stores pass through; those of the wire become a step."""
        wait_s = self._due_s - self._pace.monotonic()
        if wait_s > 0 and not self._may_go_early():
            return SyncStep(SyncOutcome.WAITING, wait_s, self.last.why, self.last.alarm)
        self.last = self._attempt()
        self._due_s = self._pace.monotonic() + self.last.due_s
        return self.last

    def _attempt(self) -> SyncStep:
        try:
            step = self._request()
        except SyncError as error:
            outcome = SyncOutcome.UNREACHABLE if isinstance(error, Unreachable) else SyncOutcome.STOPPED
            return SyncStep(outcome, self._backoff.wait_s_after(error), str(error), error.alarm)
        if step.outcome in _SUCCESSES:
            self._backoff.succeeded()
        return step

    @abstractmethod
    def _request(self) -> SyncStep:
        """Does one request and returns what came of it. Raises `SyncError` where nothing came of it."""

    def _may_go_early(self) -> bool:
        """Returns True where new work ends the wait."""
        return False

    def _spread_interval_s(self) -> float:
        """Returns the interval, a tenth up or down, so that a city's kiosks do not ask in step."""
        return self._interval_s * self._pace.random_source.uniform(0.9, 1.1)
