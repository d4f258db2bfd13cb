"""The streams of server-sent events: each client gets the newest state, never a queue of old ones.

A client that reads slowly misses what lay between; memory does not grow with its slowness. A client that comes back
with Last-Event-ID gets the state of now as its first event, whatever it has seen: states replace one another, so
there is nothing to catch up on. Lives in the server's event loop and nowhere else.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

HEARTBEAT_S = 5.0
CLIENTS_MAX = 12


class EventHub:
    """`state` gives the name, the id and the body of the newest event; `beat` the body of a heartbeat."""

    def __init__(self, heartbeat: Callable[[], bytes], heartbeat_s: float = HEARTBEAT_S) -> None:
        self._beat = heartbeat
        self._beat_s = heartbeat_s
        self._wakes: set[asyncio.Event] = set()
        self._closed = False

    @property
    def client_count(self) -> int:
        return len(self._wakes)

    @property
    def is_full(self) -> bool:
        return len(self._wakes) >= CLIENTS_MAX

    def wake_all(self) -> None:
        for wake in self._wakes:
            wake.set()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        self.wake_all()

    async def stream(self, event_id: Callable[[], str], state: Callable[[], bytes]) -> AsyncGenerator[bytes, None]:
        """Events until the client goes or the hub closes: state, then state or heartbeat as it comes."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            # The page asks again after one second when the stream breaks.
            yield b"retry: 1000\n\n" + self._beat_frame()
            while not self._closed:
                wake.clear()
                yield _frame("state", state(), event_id())
                while not self._closed and not await _wait_for_wake(wake, self._beat_s):
                    yield self._beat_frame()
        finally:
            self._wakes.discard(wake)

    def _beat_frame(self) -> bytes:
        # The comment keeps intermediaries awake; the event tells the page that the kiosk lives: pages see no comments.
        return b": beat\n" + _frame("beat", self._beat())


async def _wait_for_wake(wake: asyncio.Event, wait_s: float) -> bool:
    try:
        await asyncio.wait_for(wake.wait(), wait_s)
    except TimeoutError:
        return False
    return True


def _frame(event: str, body: bytes, event_id: str = "") -> bytes:
    """`body` is JSON on one line."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event}\ndata: ".encode() + body + b"\n\n"
