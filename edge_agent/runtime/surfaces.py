"""Everything that a person sees or hears: lights first, then the screen."""

from collections.abc import Sequence

from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.process.metrics import Counters
from edge_agent.runtime.devices import IndicatorLoop, choose_signal
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.screen.server import ScreenServer


class Surfaces:
    """Shows a feedback on every surface at once. Safe from any thread."""

    def __init__(
        self, indicators: Sequence[IndicatorLoop], screen: ScreenServer, guard: JournalGuard, counters: Counters
    ) -> None:
        self._indicators = indicators
        self._screen = screen
        self._guard = guard
        self._counters = counters

    def show(self, feedback: Feedback) -> None:
        """Shows this feedback now; never blocks."""
        if feedback.kind is FeedbackKind.NOT_RECORDED:
            self._guard.note_refusal("somebody was told that nothing was recorded")
        signal = choose_signal(feedback)
        for indicator in self._indicators:
            indicator.show(signal)
        self._screen.show(feedback)
        self._counters.feedback.labels(feedback.kind.value).inc()
