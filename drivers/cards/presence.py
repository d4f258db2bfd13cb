"""Tells a card that is put down from one that is still there.

A held card repeats its frame, and at the edge of the field it flickers: for half a second after its last frame it is
the same presentation. Each number has its own, so that a phantom frame in between does not end a card's.
"""

from drivers.readings import Uid

CARDS_MAX = 16  # at once in half a second; only noise gets there


class HeldCards:
    def __init__(self, hold_ms: int) -> None:
        self._hold_ns = hold_ms * 1_000_000
        self._recent: dict[Uid | str, tuple[int, int]] = {}  # last seen at, frames so far; oldest sighting first

    def frames(self, uid: Uid | str, now_ns: int) -> int:
        """Returns how many frames of this card its presentation has had, this one included.

        `uid`: its number, or the text that stood in its memory.
        """
        last_ns, count = self._recent.pop(uid, (now_ns, 0))
        if now_ns - last_ns > self._hold_ns:
            count = 0
        self._recent[uid] = (now_ns, count + 1)
        if len(self._recent) > CARDS_MAX:
            del self._recent[next(iter(self._recent))]
        return count + 1

    def clear(self) -> None:
        """Forgets every card: the field is empty, and the next frame begins a new presentation."""
        self._recent.clear()
