"""Short codes of people on printed lists, with a check digit: it finds a wrong digit, and two that changed places.

A code is drawn from the person's id, so that a list printed a month ago still fits. Two people whose six digits are
the same get nine. What is typed is people or faults, and never a guess.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

DIGITS: Final = 6
DIGITS_OF_ALIKE: Final = 9
GROUP_DIGITS: Final = 3  # between two hyphens on paper

# The table of H. Michael Damm's quasigroup of order 10 ("Total anti-symmetrische Quasigruppen", Marburg 2004).
_DAMM: Final = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TypedCodes:
    """The people whose codes were typed, in their order, and the codes that fit nobody."""

    people: tuple[str, ...]
    wrong: tuple[str, ...]


def check_digit(digits: str) -> str:
    """Returns the check digit of a row of digits."""
    state = 0
    for digit in digits:
        state = int(_DAMM[state][int(digit)])
    return str(state)


class PaperCodes:
    """The codes of everybody on one roster."""

    def __init__(self, people: Iterable[str]) -> None:
        ids = tuple(people)
        shorts = {person: _draw(person, DIGITS) for person in ids}
        counts = Counter(shorts.values())
        self._codes = {
            person: _with_check(short if counts[short] == 1 else _draw(person, DIGITS_OF_ALIKE))
            for person, short in shorts.items()
        }
        self._people = {code: person for person, code in self._codes.items()}

    def code(self, person: str) -> str:
        """Returns a person's code as it is printed: `482-915-3`."""
        code = self._codes[person]
        return "-".join(code[start : start + GROUP_DIGITS] for start in range(0, len(code), GROUP_DIGITS))

    def read(self, text: str) -> TypedCodes:
        """Returns whom the codes in a text mean. Spaces, commas and line ends part codes; hyphens count for nothing."""
        people: dict[str, None] = {}
        wrong = []
        for word in text.replace(",", " ").replace(";", " ").split():
            person = self._people.get(word.replace("-", "").replace("–", ""))
            if person is None:
                wrong.append(word)
            else:
                people[person] = None
        return TypedCodes(tuple(people), tuple(wrong))


def _draw(person: str, digits: int) -> str:
    number = int.from_bytes(sha256(b"canteen paper " + person.encode()).digest(), "big")
    return f"{number % 10**digits:0{digits}d}"


def _with_check(digits: str) -> str:
    return digits + check_digit(digits)
