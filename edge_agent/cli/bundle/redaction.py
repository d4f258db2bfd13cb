"""Masks what is private in texts: names, card numbers and secrets of one kiosk, and all that looks like a number. Pure.

A number is masked by its form, whether the roster knows it or not: six digits and more, eight hex digits and more,
pairs of hex digits in a row, and facility with number. Times, versions and USB ids are shorter and stay.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

NUMBER, NAME, SECRET = "‹number›", "‹name›", "‹secret›"
NAME_CHARS_MIN = 2  # Ли and Ан are family names
SECRET_CHARS_MIN = 4  # the shortest PIN

_LOGIN = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_NUMBERS = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"(?:[0-9A-Fa-f]{2}[ :-]){3,}[0-9A-Fa-f]{2}"  # 01 0A 1B 2C
    r"|\d{1,3},\d{3,5}"  # 100,19382
    r"|(?=[A-Fa-f]*\d)[0-9A-Fa-f]{8,}"
    r"|\d{6,}"
    r")(?![0-9A-Za-z])"
)


@dataclass(frozen=True, slots=True)
class PrivateWords:
    """The words that must not leave this kiosk: people's names, word by word, card numbers and codes, and secrets."""

    names: frozenset[str]
    numbers: frozenset[str]
    secrets: frozenset[str]

    @classmethod
    def collect(cls, names: Iterable[str], numbers: Iterable[str], secrets: Iterable[str]) -> "PrivateWords":
        """Returns them with names cut into words, and without what is too short to name anybody."""
        words = (word for name in names for word in re.findall(r"[^\W\d_]+", name))
        return cls(
            frozenset(word for word in words if len(word) >= NAME_CHARS_MIN),
            frozenset(number for number in numbers if len(number) >= SECRET_CHARS_MIN),
            frozenset(secret for secret in secrets if len(secret) >= SECRET_CHARS_MIN),
        )


class PrivateMask:
    """Masks in texts what is private on one kiosk."""

    def __init__(self, private: PrivateWords) -> None:
        self._masks = [
            (_pattern(private.secrets), SECRET),
            (_pattern(private.numbers), NUMBER),
            (_pattern(private.names), NAME),
        ]

    def redact(self, text: str) -> str:
        """Returns the text with everything private masked."""
        text = _LOGIN.sub(SECRET, text)
        for pattern, mask in self._masks:
            if pattern is not None:
                text = pattern.sub(mask, text)
        return _NUMBERS.sub(NUMBER, text)

    def find_private(self, text: str) -> bool:
        """Returns True where something private of this kiosk is left in a text."""
        return any(pattern is not None and pattern.search(text) for pattern, _ in self._masks)


def _pattern(words: frozenset[str]) -> re.Pattern[str] | None:
    """Returns what matches each of the words where it stands alone; None without words."""
    if not words:
        return None
    either = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])", re.IGNORECASE)
