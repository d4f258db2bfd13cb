"""When to try again. Pure arithmetic over dice; nobody here waits.

A ledger that says when (Retry-After) is obeyed: never earlier, and spread a little later, for it says the same to all.
Otherwise decorrelated jitter: a random time up to three times the one before, until it is up to 15 minutes. The roof is
put on the range and not on the result, as is often done: with the roof on the result, two thirds of a city's kiosks
would wait exactly 15 minutes, and those that once met would meet again and again.
"""

from random import Random
from typing import Final

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_base

BASE_S: Final = 2.0
CAP_S: Final = 900.0
RETRY_AFTER_MAX_S: Final = 3_600.0  # what a ledger may ask for at most; a slip of the pen must not silence a school


class DecorrelatedJitter(wait_base):
    """tenacity's wait for it: the one before is the state's `upcoming_sleep`."""

    def __init__(self, dice: Random, base_s: float = BASE_S, cap_s: float = CAP_S) -> None:
        self._dice = dice
        self._base_s = min(base_s, cap_s)
        self._cap_s = cap_s

    def __call__(self, retry_state: RetryCallState) -> float:
        before = max(retry_state.upcoming_sleep, self._base_s)
        return self._dice.uniform(self._base_s, min(self._cap_s, 3 * before))


class Backoff:
    """The waits of one caller: longer from failure to failure, forgotten at the first success."""

    def __init__(self, dice: Random, base_s: float = BASE_S, cap_s: float = CAP_S) -> None:
        self._dice = dice
        self._cap_s = cap_s
        self._retrying = Retrying(wait=DecorrelatedJitter(dice, base_s, cap_s))
        self._state = self._fresh()

    @property
    def failures(self) -> int:
        """How many in a row."""
        return self._state.attempt_number - 1

    def succeeded(self) -> None:
        if self.failures:
            self._state = self._fresh()

    def failed(self, retry_after_s: float | None = None) -> float:
        """Seconds to wait after this failure."""
        wait_s = self._state.upcoming_sleep = self._retrying.wait(self._state)
        self._state.prepare_for_next_attempt()
        if retry_after_s is None:
            return wait_s
        asked_s = min(max(retry_after_s, 0.0), RETRY_AFTER_MAX_S)
        return asked_s + self._dice.uniform(0, max(asked_s / 4, BASE_S))

    def stopped(self) -> float:
        """Seconds to wait after something that only a person can put right."""
        self._state.prepare_for_next_attempt()
        return self._dice.uniform(self._cap_s / 2, self._cap_s)

    def _fresh(self) -> RetryCallState:
        return RetryCallState(self._retrying, None, (), {})
