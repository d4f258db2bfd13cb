"""Threads that must live: started, watched, restarted with backoff, stopped in order.

The `except Exception` of the agent stands here, and around calls into drivers (`runtime.guarded`). Whatever a part
dies of is logged with its trace, and the part is started again. A part shows by its pulse that it lives. A part that
hangs, or that dies again and again, becomes a
fault: then the watchdog is not fed, and systemd restarts the whole process.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edge_agent.process.repeated_faults import RepeatedFaults

log = logging.getLogger(__name__)

RESTARTS_S = (0.5, 1.0, 2.0, 5.0, 10.0)
DEATHS_MAX = 5  # within DEATHS_WINDOW_S; more, and the process is not healthy
DEATHS_WINDOW_S = 300.0
DEATHS_REMEMBERED = 20
BEAT_MAX_S = 30.0
PART_STOP_TIMEOUT_S = 5.0


class Pulse:
    """A part's means to wait, to see that it must stop, and to show that it lives."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._stop = threading.Event()
        self._clock = clock
        self._wake = threading.Event()
        self.last_beat_s = clock()

    def is_stopping(self) -> bool:
        """Returns True once the part must end."""
        return self._stop.is_set()

    def beat(self) -> None:
        """Shows that the part lives."""
        self.last_beat_s = self._clock()

    def wake(self) -> None:
        """Ends a `wait` now; from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Asks the part to end; from any thread."""
        self._stop.set()
        self._wake.set()

    def wait(self, seconds: float) -> None:
        """Sleeps, still beating, until the time is over, `wake` is called or the part must stop."""
        until = self._clock() + seconds
        is_awake = False
        while not self.is_stopping() and not is_awake and (remaining_s := until - self._clock()) > 0:
            self.beat()
            is_awake = self._wake.wait(min(remaining_s, 1.0))
        self._wake.clear()
        self.beat()


@dataclass(slots=True)
class Part:
    """One supervised thread. A part that does not beat for longer than `beat_max_s` hangs."""

    name: str
    run: Callable[[Pulse], None]
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

    def find_fault(self, now_s: float) -> str:
        """Returns why this part is not well; empty: it lives."""
        recent = sum(now_s - death_s < DEATHS_WINDOW_S for death_s in self.deaths)
        if self.thread is None or not self.thread.is_alive():
            return f"{self.name} has ended"
        if recent > DEATHS_MAX:
            return f"{self.name} died {recent} times in {DEATHS_WINDOW_S:.0f} s"
        if now_s - self.pulse.last_beat_s > self.beat_max_s:
            return f"{self.name} has not moved for {now_s - self.pulse.last_beat_s:.0f} s"
        return ""


class Supervisor:
    """All parts of the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._faults = RepeatedFaults(log, clock)
        self.parts: list[Part] = []

    def add(self, name: str, run: Callable[[Pulse], None], beat_max_s: float = BEAT_MAX_S) -> Part:
        """Returns a new part, to be started with the others. A `run` that returns before the stop counts as dead."""
        part = Part(name, run, Pulse(self._clock), beat_max_s)
        self.parts.append(part)
        return part

    def start(self) -> None:
        """Starts the thread of each part, in the order in which they were added."""
        for part in self.parts:
            part.thread = threading.Thread(target=self._keep_alive, args=(part,), name=part.name, daemon=True)
            part.thread.start()

    def find_faults(self) -> list[str]:
        """Returns why parts are not well; empty: all live."""
        now_s = self._clock()
        return [fault for part in self.parts if (fault := part.find_fault(now_s))]

    def stop(self, parts: Iterable[Part] | None = None, timeout_s: float = PART_STOP_TIMEOUT_S) -> list[str]:
        """Asks these parts, or all of them, to end and waits for them. Returns the names of those that did not end."""
        stopping = list(self.parts if parts is None else parts)
        for part in stopping:
            part.stop()
        until = self._clock() + timeout_s
        stuck = []
        for part in stopping:
            if part.thread is not None:
                part.thread.join(max(0.0, until - self._clock()))
                if part.thread.is_alive():
                    stuck.append(part.name)
        return stuck

    def _keep_alive(self, part: Part) -> None:
        while not part.pulse.is_stopping():
            part.pulse.beat()
            try:
                part.run(part.pulse)
            except Exception as error:  # noqa: BLE001  whatever it is, it is logged
                died = f"it died and is started again: {type(error).__name__}: {error}"
                self._faults.note(part.name, logging.ERROR, died, trace=True)
            else:
                if part.pulse.is_stopping():
                    return
                self._faults.note(part.name, logging.ERROR, "it ended by itself and is started again")
            part.deaths = [*part.deaths[-DEATHS_REMEMBERED:], self._clock()]
            part.pulse.wait(RESTARTS_S[min(len(part.deaths), len(RESTARTS_S)) - 1])
