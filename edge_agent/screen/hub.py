"""The streams of server-sent events: each client gets the newest state, and never a queue of old states.

A client that reads slowly misses the states in between, and needs no more memory than a quick one. A client that comes
back with Last-Event-ID gets the newest state as its first event: each state replaces the one before, so there is
nothing to catch up on. All of this runs in the server's event loop and nowhere else.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

HEARTBEAT_S = 5.0
CLIENTS_MAX = 12


class EventHub:
    """Wakes the open streams when the state changes. `heartbeat` returns the body of a heartbeat event."""

    def __init__(
        self, heartbeat: Callable[[], bytes], heartbeat_s: float = HEARTBEAT_S, clients_max: int = CLIENTS_MAX
    ) -> None:
        self._heartbeat = heartbeat
        self._heartbeat_s = heartbeat_s
        self._clients_max = clients_max
        self._wakes: set[asyncio.Event] = set()
        self._closed = False

    @property
    def client_count(self) -> int:
        """The number of open streams."""
        return len(self._wakes)

    @property
    def is_full(self) -> bool:
        """True when no further stream may open."""
        return len(self._wakes) >= self._clients_max

    def wake_all(self) -> None:
        """Makes every stream send the newest state."""
        for wake in self._wakes:
            wake.set()

    def close(self) -> None:
        """Ends every stream, so that the server can stop."""
        self._closed = True
        self.wake_all()

    async def stream(self, event_id: Callable[[], str], state: Callable[[], bytes]) -> AsyncGenerator[bytes, None]:
        """Yields events until the client goes or the hub closes: first the state, then states and heartbeats."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            # When the stream breaks, the page connects again after one second.
            yield b"retry: 1000\n\n" + self._heartbeat_frame()
            while not self._closed:
                wake.clear()
                yield _encode_event("state", state(), event_id())
                while not self._closed and not await _wait_for_wake(wake, self._heartbeat_s):
                    yield self._heartbeat_frame()
        finally:
            self._wakes.discard(wake)

    def _heartbeat_frame(self) -> bytes:
        # The comment keeps proxies awake. The event shows the page that the kiosk lives: a page cannot see comments.
        return b": beat\n" + _encode_event("beat", self._heartbeat())


async def _wait_for_wake(wake: asyncio.Event, wait_s: float) -> bool:
    try:
        await asyncio.wait_for(wake.wait(), wait_s)
    except TimeoutError:
        return False
    return True


def _encode_event(event: str, body: bytes, event_id: str = "") -> bytes:
    """Returns one event in SSE form. `body` is JSON on one line."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event}\ndata: ".encode() + body + b"\n\n"
