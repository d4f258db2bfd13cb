"""The order of names and classes for people who read Kazakh or Russian: А Ә Б В Г Ғ Д …, numbers as numbers.

Code points would put Ә behind Я and the class 10 before the class 2.
"""

import re
from typing import Final

KAZAKH_LETTERS: Final = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя"
_PLACES: Final = {letter: place for place, letter in enumerate(KAZAKH_LETTERS)}
_PARTS = re.compile(r"\d+|[^\W\d_]")

OrderKey = tuple[tuple[int, int], ...]


def order_key(text: str) -> OrderKey:
    """Returns the key by which names or classes are sorted; signs and spaces count for nothing.

    Numbers come first, then the letters of the Kazakh alphabet, which has all the Russian ones, then all others.
    """
    return tuple(_order_part(part) for part in _PARTS.findall(text.casefold()))


def _order_part(part: str) -> tuple[int, int]:
    if part[0].isdecimal():
        return 0, int(part)
    place = _PLACES.get(part)
    return (1, place) if place is not None else (2, ord(part))
