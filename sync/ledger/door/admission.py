"""Token buckets: one for the whole ledger, so that a city that returns at once is let in by turns; one for each name.

A kiosk that is turned away learns when to come again. It adds a random wait, so that not all come at that second.
Strangers stand in no bucket with kiosks: however many knock, no kiosk waits for them.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

TURN_WAIT_MAX_S = 900
_NAMES_MAX = 10_000  # buckets that are remembered; one that is forgotten begins full


class TokenBucket:
    """Admits `rate_per_s` requests a second, with a reserve of `burst`. All calls come from the event loop."""

    def __init__(self, rate_per_s: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._monotonic = monotonic
        self._tokens = float(burst)
        self._filled_s = monotonic()
        self._turned_away = 0.0  # requests that are expected again; they pass at the bucket's rate

    def admit(self) -> int:
        """Returns 0 when admitted, else whole seconds to wait; they grow with the number that waits."""
        now = self._monotonic()
        fresh = (now - self._filled_s) * self._rate
        self._tokens = min(self._burst, self._tokens + fresh)
        self._turned_away = max(0.0, self._turned_away - fresh)
        self._filled_s = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        self._turned_away += 1
        return min(TURN_WAIT_MAX_S, math.ceil(self._turned_away / self._rate) + 1)


class NamedBuckets:
    """A bucket for each name: a device, or an address. The one that is longest unused is forgotten first."""

    def __init__(self, rate_per_s: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def admit(self, name: str) -> int:
        """Returns 0 when admitted, else whole seconds to wait."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket(self._rate, self._burst, self._monotonic)
            if len(self._buckets) > _NAMES_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return bucket.admit()
