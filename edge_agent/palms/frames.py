"""Pictures on their way from the cameras. Of each reader only the newest is kept, so that nobody is judged by an old
one.
"""

import threading
from dataclasses import dataclass

from drivers.readings import PalmFrame
from edge_agent.domain.moment import Moment


@dataclass(frozen=True, slots=True)
class NewestFrame:
    frame: PalmFrame
    moment: Moment  # at which it came


class NewestFrames:
    """One place for a picture per reader. A picture that is still there when the next one comes is dropped, and
    counted.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, NewestFrame] = {}
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, frame: PalmFrame, moment: Moment) -> None:
        """Puts a frame into its reader's place. It never blocks for longer than a look into a table."""
        with self._changed:
            # Taken out and put in again: who has waited longest is served first, and no reader starves another.
            self.dropped += self._waiting.pop(frame.reader, None) is not None
            self._waiting[frame.reader] = NewestFrame(frame, moment)
            self._changed.notify()

    def get(self, wait_s: float) -> NewestFrame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, wait_s)
            for reader in self._waiting:
                return self._waiting.pop(reader)
            return None
