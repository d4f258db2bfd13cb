"""When to try again after a failure. Nobody here waits.

A ledger that says when (Retry-After) is obeyed: never earlier, and spread a little later, for it says the same to all.
Otherwise decorrelated jitter: a random time up to three times the wait before, until that is 15 minutes. The cap is
put on the range and not on the result, as is often done: with the cap on the result, two thirds of a city's kiosks
would wait exactly 15 minutes, and those that once met would meet again and again.
"""

from collections.abc import Generator
from random import Random
from typing import Final

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_base

from sync.errors import SyncError, Unreachable

BASE_S: Final = 2.0
CAP_S: Final = 900.0
RETRY_AFTER_MAX_S: Final = 3_600.0  # what a ledger may ask for at most; a slip of the pen must not silence a school


class DecorrelatedJitter:
    """Random waits that grow: each up to three times the one before, until that is the cap."""

    def __init__(self, random_source: Random, cap_s: float = CAP_S) -> None:
        self._random_source = random_source
        self._base_s = min(BASE_S, cap_s)
        self._cap_s = cap_s
        self._wait_s = self._base_s

    def draw_s(self) -> float:
        """Returns the seconds to wait after one more failure."""
        self._wait_s = self._random_source.uniform(self._base_s, min(self._cap_s, 3 * self._wait_s))
        return self._wait_s

    def reset(self) -> None:
        """Makes the next wait a short one again."""
        self._wait_s = self._base_s


class WaitByError(wait_base):
    """Tenacity's wait strategy for the errors of the wire; it returns seconds.

    Unreachable with Retry-After: that, and up to a quarter more. Unreachable without: decorrelated jitter. Any other
    error needs a person: it is tried again rarely.
    """

    def __init__(self, random_source: Random, cap_s: float) -> None:
        self._random_source = random_source
        self._cap_s = cap_s
        self._jitter = DecorrelatedJitter(random_source, cap_s)

    def __call__(self, retry_state: RetryCallState) -> float:
        if retry_state.attempt_number == 1:
            self._jitter.reset()
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if not isinstance(error, Unreachable):
            return self._random_source.uniform(self._cap_s / 2, self._cap_s)
        jitter_s = self._jitter.draw_s()
        if error.retry_after_s is None:
            return jitter_s
        requested_s = min(max(error.retry_after_s, 0.0), RETRY_AFTER_MAX_S)
        return requested_s + self._random_source.uniform(0, max(requested_s / 4, BASE_S))


class Backoff:
    """The waits of one client: longer from failure to failure, forgotten at the first success.

    Tenacity's loop is run one attempt at a time. Its sleep only notes how long to wait, since whoever steps a client
    also does other work. All calls come from one thread.
    """

    def __init__(self, random_source: Random, cap_s: float = CAP_S) -> None:
        self._retrying = Retrying(wait=WaitByError(random_source, cap_s), sleep=self._note_wait)
        self._wait_s = 0.0
        self._waits = self._generate_waits()
        self.failures = 0  # in a row

    def succeeded(self) -> None:
        """Forgets the failures."""
        if self.failures:
            self._waits = self._generate_waits()
            self.failures = 0

    def wait_s_after(self, error: SyncError) -> float:
        """Returns the seconds to wait after an attempt that ended with `error`."""
        if not self.failures:
            next(self._waits)  # up to the point where it takes an error
        self.failures += 1
        return self._waits.send(error)

    def _generate_waits(self) -> Generator[float, SyncError, None]:
        for attempt in self._retrying:
            error = yield self._wait_s
            with attempt:  # tenacity keeps what is raised here, and asks the wait strategy about it
                raise error

    def _note_wait(self, seconds: float) -> None:
        self._wait_s = seconds
