"""How many events the next batch may hold, learnt from what the ledger refused."""

from sync.contract.batch import EVENTS_MAX

_RELENT_AFTER = 64  # batches; then a size that was once too large is tried again


class Span:
    """Two things at once: a ceiling, halved by each 413; and the hunt for one refused event by halving its run.

    In the hunt, `suspect` is the end of the shortest run known to hold a refused event. What is accepted moves the
    run's start, what is refused moves its end, so the event is alone after ten questions at most.
    """

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._events_max = events_max
        self._ceiling = events_max
        self._suspect = 0
        self._good = 0

    def events(self, after: int) -> int:
        if self._suspect > after:
            return min(self._ceiling, max(1, (self._suspect - after) // 2))
        return self._ceiling

    def refused(self, through: int) -> None:
        """The run that was just sent, up to `through`, holds an event that the ledger does not take."""
        self._suspect = through

    def too_large(self, count: int) -> None:
        self._ceiling = max(1, count // 2)
        self._good = 0

    def accepted(self, through: int) -> None:
        if through >= self._suspect:
            self._suspect = 0
        self._good += 1
        if self._good >= _RELENT_AFTER:
            self._good = 0
            self._ceiling = min(self._events_max, 2 * self._ceiling)

    def forget(self) -> None:
        """The numbers begin anew: no run of them is suspect."""
        self._suspect = 0
