"""A token bucket for the whole process, so that a city that returns at once is let in by turns.

A kiosk that is turned away learns when to come again. It adds a random wait, so that not all come at that second.
"""

import math
import threading
from collections.abc import Callable


class TokenBucket:
    """Admits `rate_per_s` requests a second, with a reserve of `burst`. Safe from any thread."""

    def __init__(self, rate_per_s: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._monotonic = monotonic
        self._tokens = float(burst)
        self._filled_s = monotonic()
        self._turned_away = 0  # since the bucket last had a token
        self._lock = threading.Lock()

    def admit(self) -> int:
        """Returns 0 when admitted, else whole seconds to wait; they grow with the number that was turned away."""
        with self._lock:
            now = self._monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._filled_s) * self._rate)
            self._filled_s = now
            if self._tokens >= 1:
                self._tokens -= 1
                self._turned_away = max(0, self._turned_away - 1)
                return 0
            self._turned_away += 1
            return min(900, math.ceil(self._turned_away / self._rate) + 1)
