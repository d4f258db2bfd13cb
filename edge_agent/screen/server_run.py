"""One run of the screen's server: a thread with its event loop, in which the tablets' door lives as well."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette

from edge_agent.screen.hub import EventHub
from edge_agent.screen.serving import build_config

if TYPE_CHECKING:
    from edge_agent.screen.tablets.door import TabletDoor

PULSE_S = 1.0
PULSE_AGE_MAX_S = 10.0
STOP_S = 5.0
SCREEN_CONNECTIONS_MAX = 32


class ServerRun:
    """One run of the server, from `start` to `stop`: a thread and its event loop."""

    def __init__(
        self,
        run: str,
        hubs: tuple[EventHub, ...],
        listener: socket.socket,
        seconds_until_change: Callable[[], float | None],
    ) -> None:
        self._run_id = run
        self._hubs = hubs
        self._listener = listener
        self._seconds_until_change = seconds_until_change
        self._changes = 0
        self._waking = False
        self._timer: asyncio.TimerHandle | None = None
        self._pulse_s = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._server: uvicorn.Server | None = None
        self._door: TabletDoor | None = None
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def start(self, application: Starlette, door: "TabletDoor | None") -> None:
        self._door = door
        self._server = uvicorn.Server(build_config(application, SCREEN_CONNECTIONS_MAX))
        self._thread.start()

    def stop(self) -> None:
        self._call(self._close)
        self._thread.join(STOP_S)

    def is_alive(self) -> bool:
        return self._thread.is_alive() and time.monotonic() - self._pulse_s < PULSE_AGE_MAX_S

    def wake(self) -> None:
        """Makes the event loop send the newest state soon. Calls before it is sent are one call."""
        if not self._waking:
            self._waking = True
            self._call(self._changed)

    def event_id(self) -> str:
        return f"{self._run_id}-{self._changes}"

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The loop is closed: the server has ended. `is_alive` returns False, and the runtime starts another server.
            return

    def _changed(self) -> None:
        """Sends the newest state, and sets a timer for the moment when time alone changes it."""
        self._waking = False  # before the state is read: a change from here on wakes the loop again
        self._changes += 1
        for hub in self._hubs:
            hub.wake_all()
        if self._timer is not None:
            self._timer.cancel()
        due_s = self._seconds_until_change()
        self._timer = None if due_s is None else self._loop.call_later(due_s, self._changed)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        assert self._server is not None
        self._pulse()
        self._changed()
        door = asyncio.create_task(self._door.run()) if self._door is not None else None
        await self._server.serve(sockets=[self._listener])
        if door is not None:
            door.cancel()
            await asyncio.wait([door])

    def _pulse(self) -> None:
        self._pulse_s = time.monotonic()
        self._loop.call_later(PULSE_S, self._pulse)

    def _close(self) -> None:
        for hub in self._hubs:
            hub.close()
        if self._server is not None:
            self._server.should_exit = True
