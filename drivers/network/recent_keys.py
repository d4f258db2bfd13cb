"""The newest things that were taken already, so that what comes twice counts once."""

from collections import OrderedDict
from collections.abc import Hashable

RECENT_KEYS_MAX = 10_000  # more than a terminal sends at once


class RecentKeys:
    """Remembers `keys_max` keys; the oldest is forgotten first."""

    def __init__(self, keys_max: int = RECENT_KEYS_MAX) -> None:
        self._keys: OrderedDict[Hashable, None] = OrderedDict()
        self._keys_max = keys_max

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys

    def is_new(self, key: Hashable) -> bool:
        """Returns True the first time that a key comes, and remembers it."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._keys_max:
            self._keys.popitem(last=False)
        return True
