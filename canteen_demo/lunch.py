"""The break itself: children come as planned, one after the other at each kiosk, and wait for the light.

A child that gets no answer comes again, as a living one would; what was answered is what the proof is held against.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from canteen_demo.clock import FastClock
from canteen_demo.kiosk import ANSWER_S, Kiosk
from canteen_demo.plan import Means, PlannedVisit
from drivers.base import Signal

CARD_TRIES_MAX = 40
AGAIN_S = 0.25
PALM_ANSWER_S = 10.0  # on a machine that is busy with everything else


@dataclass(slots=True)
class Tally:
    """The signals that the children of one kiosk have seen."""

    made: int = 0  # times that somebody held something to a reader that was there
    answered: Counter[Signal] = field(default_factory=Counter)
    unanswered: int = 0
    given_up: int = 0
    fed: set[str] = field(default_factory=set)  # pupils whom a light has told that they are noted
    palms: Counter[str] = field(default_factory=Counter)  # how often each was greeted by the palm
    late_s: float = 0.0  # how far behind the plan the queue is, simulated

    @property
    def answers(self) -> int:
        return self.answered.total()


class Queue:
    """The children before one kiosk."""

    def __init__(self, kiosk: Kiosk, visits: Iterable[PlannedVisit], clock: FastClock) -> None:
        self.kiosk = kiosk
        self.tally = Tally()
        self._visits = list(visits)
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name=f"queue {kiosk.name}", daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def abandon(self) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        for visit in self._visits:
            wait_s = (visit.at_s - self._clock.seconds()) / self._clock.speed
            if wait_s > 0 and self._ended.wait(wait_s):
                return
            self.tally.late_s = max(0.0, self._clock.seconds() - visit.at_s)
            self._come(visit)
            if self._ended.is_set():
                return

    def _come(self, visit: PlannedVisit) -> None:
        for _ in range(CARD_TRIES_MAX):
            signal = self._try(visit)
            if signal is not None:
                self.tally.answered[signal] += 1
                if visit.pupil is not None and signal in {Signal.WELCOME, Signal.GOODBYE, Signal.NOTED}:
                    self.tally.fed.add(visit.pupil.id)
                    self.tally.palms[visit.pupil.id] += visit.means is Means.PALM
                return
            if self._ended.is_set():
                return
            time.sleep(AGAIN_S)
        self.tally.given_up += 1

    def _try(self, visit: PlannedVisit) -> Signal | None:
        kiosk = self.kiosk
        if not kiosk.alive:
            return None
        within_s = ANSWER_S
        match visit.means:
            case Means.TERMINAL:
                assert visit.pupil is not None
                there, signals = kiosk.palm(visit.pupil.terminal), 1
            case Means.PALM:
                assert visit.pupil is not None
                there, signals, within_s = kiosk.show_palm(visit.pupil.id), 1, PALM_ANSWER_S
            case Means.CARD:
                assert visit.pupil is not None
                there, signals = kiosk.card(visit.pupil.card_hex), 1
            case Means.STRANGER:
                # The first frame of a card that nobody knows only asks for a second one.
                there, signals = kiosk.card(visit.card_hex, frames=2), 2
        if not there:
            return None
        self.tally.made += 1
        signal = kiosk.answer(signals, within_s)
        self.tally.unanswered += signal is None
        return signal
