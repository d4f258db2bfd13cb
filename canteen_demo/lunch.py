"""The lunch break: the children of the plan come one after the other to each kiosk, and wait for the light.

A child without an answer tries again, as a real child does. The proof compares the answers with the journals.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from canteen_demo.clock import FastClock
from canteen_demo.kiosk import SIGNAL_TIMEOUT_S, DemoKiosk
from canteen_demo.plan import Means, PlannedVisit
from drivers.base import Signal

CARD_TRIES_MAX = 40
RETRY_S = 0.25
PALM_SIGNAL_TIMEOUT_S = 10.0  # on a busy machine


@dataclass(slots=True)
class Tally:
    """The signals that the children of one kiosk have got."""

    presentations: int = 0  # of cards and palms, to a reader that was present
    signals: Counter[Signal] = field(default_factory=Counter)
    dark: int = 0  # presentations without a signal
    abandoned: int = 0  # children who gave up
    noted: set[str] = field(default_factory=set)  # pupils whom a light has greeted or noted
    palms: Counter[str] = field(default_factory=Counter)  # by pupil, how often the palm was recognised
    late_s: float = 0.0  # how far the queue is behind the plan, in simulated seconds

    @property
    def signal_count(self) -> int:
        """The number of presentations with a signal."""
        return self.signals.total()


class ChildrenQueue:
    """The children before one kiosk, in a thread."""

    def __init__(self, kiosk: DemoKiosk, visits: Iterable[PlannedVisit], clock: FastClock) -> None:
        self.kiosk = kiosk
        self.tally = Tally()
        self._visits = list(visits)
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name=f"queue {kiosk.name}", daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Lets the children come, at their times in the plan."""
        self._thread.start()

    def abandon(self) -> None:
        """Ends the queue before its time."""
        self._ended.set()
        self._thread.join()

    @property
    def is_done(self) -> bool:
        """True when every child has come, or the queue was abandoned."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        for visit in self._visits:
            wait_s = (visit.planned_s - self._clock.seconds()) / self._clock.speed
            if wait_s > 0 and self._ended.wait(wait_s):
                return
            self.tally.late_s = max(0.0, self._clock.seconds() - visit.planned_s)
            self._serve(visit)
            if self._ended.is_set():
                return

    def _serve(self, visit: PlannedVisit) -> None:
        for _ in range(CARD_TRIES_MAX):
            signal = self._try(visit)
            if signal is not None:
                self.tally.signals[signal] += 1
                if visit.pupil is not None and signal in {Signal.WELCOME, Signal.GOODBYE, Signal.NOTED}:
                    self.tally.noted.add(visit.pupil.id)
                    self.tally.palms[visit.pupil.id] += visit.means is Means.PALM
                return
            if self._ended.is_set():
                return
            time.sleep(RETRY_S)
        self.tally.abandoned += 1

    def _try(self, visit: PlannedVisit) -> Signal | None:
        kiosk = self.kiosk
        if not kiosk.is_alive:
            return None
        within_s = SIGNAL_TIMEOUT_S
        match visit.means:
            case Means.TERMINAL:
                assert visit.pupil is not None
                presented, signals = kiosk.match_palm(visit.pupil.terminal), 1
            case Means.PALM:
                assert visit.pupil is not None
                presented, signals, within_s = kiosk.show_palm(visit.pupil.id), 1, PALM_SIGNAL_TIMEOUT_S
            case Means.CARD:
                assert visit.pupil is not None
                presented, signals = kiosk.present_card(visit.pupil.card_hex), 1
            case Means.STRANGER:
                # The first frame of an unknown card only asks for a second one.
                presented, signals = kiosk.present_card(visit.card_hex, frames=2), 2
        if not presented:
            return None
        self.tally.presentations += 1
        signal = kiosk.wait_signal(signals, within_s)
        self.tally.dark += signal is None
        return signal
