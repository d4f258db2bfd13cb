"""A flag that asks the process to end. A signal's handler may set it.

A handler must not call `threading.Event.set`. It runs in the middle of the main thread, which mostly waits for that
very event and may hold the lock that `set` takes: the thread would wait for itself until systemd kills it.
`SimpleQueue.put` is made to be called from handlers.
"""

import queue
from contextlib import suppress


class ShutdownFlag:
    """A flag that any thread or handler sets, and that one thread waits for. It stays set."""

    def __init__(self) -> None:
        self._wake_ups: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_set = False

    def set(self) -> None:
        """Asks the process to end."""
        self._is_set = True
        self._wake_ups.put(None)

    def is_set(self) -> bool:
        """Returns True once somebody has asked the process to end."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Waits until the flag is set, `timeout_s` seconds at most. Returns True when it is set."""
        if not self._is_set:
            with suppress(queue.Empty):
                self._wake_ups.get(timeout=timeout_s)
        return self._is_set
