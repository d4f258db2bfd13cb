"""Connections on which nobody has shown a key yet: how long they may take, and how many there may be.

A web server waits as long as a client takes over its headers, and counts all connections alike: two thousand half
requests then keep every kiosk out. Here a header has its time, and of more strangers than fit the one that has
waited longest makes room. A connection on which a device has signed is no stranger any more.
"""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sync.ledger.door.limits import DoorLimits

REQUEST_HEAD_BYTES_MAX = 32 * 1024

_RESERVED_FILES = 200  # database, keys, templates
_IS_DEVICE = "is_device"  # in the request's state


class Lobby:
    """The strangers' connections, in the order in which they came."""

    def __init__(self, limits: DoorLimits) -> None:
        self.limits = limits
        self._strangers_max = min(limits.strangers_max, (_raise_file_limit() - _RESERVED_FILES) // 2)
        self._strangers: dict[TimedConnection, None] = {}

    def enter(self, connection: "TimedConnection") -> None:
        """Lets a stranger in; the one that waits longest goes where there are too many."""
        self._strangers[connection] = None
        if len(self._strangers) > self._strangers_max:
            oldest = next(iter(self._strangers))
            self.leave(oldest)
            oldest.transport.abort()

    def leave(self, connection: "TimedConnection") -> None:
        """Forgets a connection that has ended, or on which a device has signed."""
        self._strangers.pop(connection, None)

    def protocol(self) -> type["TimedConnection"]:
        """Returns the class of this lobby's connections, as uvicorn takes one."""
        return type("TimedConnection", (TimedConnection,), {"lobby": self})


class TimedConnection(HttpToolsProtocol):
    """An HTTP connection whose header, size of header and whole request have limits."""

    lobby: Lobby
    _timer: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_header = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._set_timer(self.lobby.limits.header_s)
        self.lobby.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        self.lobby.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_header:
            self._header_bytes += len(data)
            if self._header_bytes > REQUEST_HEAD_BYTES_MAX:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_header:  # the next request of a connection that is kept open
            self._in_header, self._header_bytes = True, 0
            self._set_timer(self.lobby.limits.header_s)

    def on_headers_complete(self) -> None:
        self._in_header = False
        self._set_timer(self.lobby.limits.answer_s)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self._set_timer(self.lobby.limits.answer_s if self.pipeline else None)
        if self.scope["state"].get(_IS_DEVICE):
            self.lobby.leave(self)
        super().on_response_complete()

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


def note_device(state: dict[str, object]) -> None:
    """Notes in a request's state that a device has signed it, so that its connection is no stranger's."""
    state[_IS_DEVICE] = True


def _raise_file_limit() -> int:
    """Lets this process have as many open files as it may, and returns that number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20
