"""The wish that this process end, which may come from a signal's handler.

`threading.Event` may not be set there: the handler runs in the middle of whatever the main thread does, which is mostly
to wait for that very event, and then may hold the lock that `set` takes: the thread waits for itself, until systemd
kills it. `SimpleQueue.put` is made to be called from handlers.
"""

import queue
from contextlib import suppress


class Ending:
    """Set by anybody, waited for by one thread."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_set = False

    def set(self) -> None:
        self._is_set = True
        self._asked.put(None)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Whether it is set, now or within that time."""
        if not self._is_set:
            with suppress(queue.Empty):
                self._asked.get(timeout=timeout_s)
        return self._is_set
