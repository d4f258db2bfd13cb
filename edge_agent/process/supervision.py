"""Threads that must live: started, watched, restarted with backoff, stopped in order.

The only `except Exception` of the agent stands here: whatever a part dies of is logged with its trace and the part is
started again. A part shows that it lives by beating; one that hangs, or that dies again and again, makes `faults`
speak, the watchdog is no longer fed, and systemd restarts the whole process.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

RESTARTS_S = (0.5, 1.0, 2.0, 5.0, 10.0)
DEATHS_MAX = 5  # within DEATHS_WINDOW_S; more, and the process is not healthy
DEATHS_WINDOW_S = 300.0


class Pulse:
    """What a part's body is handed: when to stop, how to wait, how to show that it lives."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._stop = threading.Event()
        self._clock = clock
        self._wake = threading.Event()
        self.beaten_at = clock()

    def stopping(self) -> bool:
        return self._stop.is_set()

    def beat(self) -> None:
        self.beaten_at = self._clock()

    def wake(self) -> None:
        """End a `wait` now; from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the part to end; from any thread."""
        self._stop.set()
        self._wake.set()

    def wait(self, seconds: float) -> None:
        """Sleep, still beating, until the time is over, `wake` is called or the process stops."""
        until = self._clock() + seconds
        woken = False
        while not self.stopping() and not woken and (left := until - self._clock()) > 0:
            self.beat()
            woken = self._wake.wait(min(left, 1.0))
        self._wake.clear()
        self.beat()


@dataclass(slots=True)
class Part:
    """One supervised thread. `beat_max_s`: a body that does not beat for longer hangs."""

    name: str
    body: Callable[[Pulse], None]
    pulse: Pulse
    beat_max_s: float
    thread: threading.Thread | None = None
    deaths: list[float] = field(default_factory=list)

    def wake(self) -> None:
        """Ends this part's wait now; from any thread."""
        self.pulse.wake()

    def stop(self) -> None:
        """Asks this part to end; from any thread."""
        self.pulse.stop()

    def fault(self, now: float) -> str:
        """Why this part does not live, or nothing."""
        recent = sum(now - died < DEATHS_WINDOW_S for died in self.deaths)
        if self.thread is None or not self.thread.is_alive():
            return f"{self.name} has ended"
        if recent > DEATHS_MAX:
            return f"{self.name} died {recent} times in {DEATHS_WINDOW_S:.0f} s"
        if now - self.pulse.beaten_at > self.beat_max_s:
            return f"{self.name} has not moved for {now - self.pulse.beaten_at:.0f} s"
        return ""


class Supervisor:
    """All parts of the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.parts: list[Part] = []

    def add(self, name: str, body: Callable[[Pulse], None], beat_max_s: float = 30.0) -> Part:
        """A part to be started with the rest. A body that returns before the stop counts as dead."""
        part = Part(name, body, Pulse(self._clock), beat_max_s)
        self.parts.append(part)
        return part

    def start(self) -> None:
        for part in self.parts:
            part.thread = threading.Thread(target=self._live, args=(part,), name=part.name, daemon=True)
            part.thread.start()

    def faults(self) -> list[str]:
        now = self._clock()
        return [fault for part in self.parts if (fault := part.fault(now))]

    def shut(self, parts: Iterable[Part] | None = None, timeout_s: float = 5.0) -> list[str]:
        """Ask these parts, or all, to end and wait for them; the names of those that did not."""
        ending = list(self.parts if parts is None else parts)
        for part in ending:
            part.pulse.stop()
        until = self._clock() + timeout_s
        stuck = []
        for part in ending:
            if part.thread is not None:
                part.thread.join(max(0.0, until - self._clock()))
                if part.thread.is_alive():
                    stuck.append(part.name)
        return stuck

    def _live(self, part: Part) -> None:
        while not part.pulse.stopping():
            part.pulse.beat()
            try:
                part.body(part.pulse)
            except Exception:
                log.exception("%s died and is started again", part.name)
            else:
                if part.pulse.stopping():
                    return
                log.error("%s ended by itself and is started again", part.name)
            part.deaths = [*part.deaths[-20:], self._clock()]
            part.pulse.wait(RESTARTS_S[min(len(part.deaths), len(RESTARTS_S)) - 1])
