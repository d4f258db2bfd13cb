"""How many events the next batch may hold, learnt from what the ledger refused."""

from typing import Final

from sync.contract.batch import EVENTS_MAX

_RELENT_AFTER: Final = 64  # batches; then a size that was once too large is tried again


class BatchSpan:
    """Holds two things: a ceiling, halved by each 413; and the hunt for one refused event by halving its run.

    In the hunt, `_suspect` is the end of the shortest run known to hold a refused event. What is accepted moves the
    run's start, what is refused moves its end, so the event is alone after ten questions at most.
    """

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._events_max = events_max
        self._ceiling = events_max
        self._suspect = 0
        self._accepted_batches = 0  # since the ceiling last moved

    def events_after(self, seq: int) -> int:
        """Returns how many events the batch behind event `seq` may hold."""
        if self._suspect > seq:
            return min(self._ceiling, max(1, (self._suspect - seq) // 2))
        return self._ceiling

    def note_refused(self, through: int) -> None:
        """Notes that the run just sent, up to event `through`, holds one that the ledger does not take."""
        self._suspect = through

    def note_too_large(self, events: int) -> None:
        """Notes that so many events were too many at once."""
        self._ceiling = max(1, events // 2)
        self._accepted_batches = 0

    def note_accepted(self, through: int) -> None:
        """Notes that a batch was accepted up to event `through`."""
        if through >= self._suspect:
            self._suspect = 0
        self._accepted_batches += 1
        if self._accepted_batches >= _RELENT_AFTER:
            self._accepted_batches = 0
            self._ceiling = min(self._events_max, 2 * self._ceiling)

    def forget_suspect(self) -> None:
        """Forgets the suspect run, since the numbers begin again."""
        self._suspect = 0
