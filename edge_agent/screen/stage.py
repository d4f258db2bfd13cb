"""The stage: the board that the station's thread changes and the server's thread shows."""

import threading
from collections.abc import Callable

import msgspec

from edge_agent.domain.feedback import Feedback
from edge_agent.domain.health import HealthLine, KioskHealth, judge_health
from edge_agent.screen.state import Language, ScreenBoard


class ScreenStage:
    """Holds the board. Any thread may use it: a board is frozen, and a lock guards its replacement.

    `monotonic` returns seconds.
    """

    def __init__(self, language: Language, monotonic: Callable[[], float]) -> None:
        self._board = ScreenBoard(language=language)
        self._lock = threading.Lock()
        self._monotonic = monotonic

    def show(self, feedback: Feedback) -> None:
        """Shows this feedback on both pages."""
        with self._lock:
            self._board = self._board.with_feedback(feedback, self._now_ms())

    def set_health(self, health: KioskHealth) -> bool:
        """Replaces the kiosk's health. Returns True when it differs from the health before."""
        with self._lock:
            changed = health != self._board.health
            self._board = self._board.with_health(health)
        return changed

    def encode_child_view(self) -> bytes:
        """Returns the child's view in JSON."""
        return msgspec.json.encode(self._board.child_view(self._now_ms()))

    def encode_staff_view(self, *, named: bool, in_hall: bool) -> bytes:
        """Returns the staff's view in JSON, with names only if `named`, and as children may see it if `in_hall`."""
        view = self._board.staff_view(self._now_ms())
        if in_hall:
            view = view.for_hall()
        return msgspec.json.encode(view if named else view.without_names())

    def health_lines(self) -> tuple[HealthLine, ...]:
        return judge_health(self._board.health)

    def seconds_until_change(self) -> float | None:
        """Returns the seconds until time alone changes a view, or None if only an event can."""
        now_ms = self._now_ms()
        due_ms = self._board.next_change_ms(now_ms)
        return None if due_ms is None else (due_ms - now_ms) / 1000

    def _now_ms(self) -> int:
        return int(self._monotonic() * 1000)
