"""Who may come in now: a token bucket for the whole process, so that a city that returns at once is let in by turns.

A refused kiosk is told when to come again. It adds its own dice, so that all of them do not come at that second.
"""

import math
import threading
from collections.abc import Callable


class Bucket:
    """At most `rate_per_s` requests a second, with a reserve of `burst`. May be asked from any thread."""

    def __init__(self, rate_per_s: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._monotonic = monotonic
        self._tokens = float(burst)
        self._at = monotonic()
        self._turned_away = 0  # since the bucket last had a token
        self._lock = threading.Lock()

    def take(self) -> int:
        """0 when admitted, else whole seconds after which to come again; they grow with the number turned away."""
        with self._lock:
            now = self._monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens >= 1:
                self._tokens -= 1
                self._turned_away = max(0, self._turned_away - 1)
                return 0
            self._turned_away += 1
            return min(900, math.ceil(self._turned_away / self._rate) + 1)
