"""The newest things that were taken already, so that what comes twice counts once.

A thing is taken once its reader is read again: till then its device has no answer, and sends it anew to a reader that
was closed meanwhile, because nobody could take it.
"""

from collections import OrderedDict
from collections.abc import Hashable

RECENT_KEYS_MAX = 10_000  # more than a terminal sends at once


class RecentKeys:
    """Remembers `keys_max` keys; the oldest is forgotten first."""

    def __init__(self, keys_max: int = RECENT_KEYS_MAX) -> None:
        self._keys: OrderedDict[Hashable, None] = OrderedDict()
        self._given: set[Hashable] = set()  # since the last `confirm`
        self._keys_max = keys_max

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys

    def is_new(self, key: Hashable) -> bool:
        """Returns True the first time that a key comes, and remembers it."""
        if key in self._keys:
            return False
        self._keys[key] = None
        self._given.add(key)
        if len(self._keys) > self._keys_max:
            oldest, _ = self._keys.popitem(last=False)
            self._given.discard(oldest)
        return True

    def confirm(self) -> None:
        """Notes that everything until now was taken."""
        self._given.clear()

    def forget_given(self) -> None:
        """Forgets what was given and not confirmed: it will come again, and then it is new."""
        for key in self._given:
            del self._keys[key]
        self._given.clear()
