"""Whom a payer's line means: by the keyed hash of the payer's number, else by a name and class that somebody confirmed.

The ledger holds no payer's number (which is mostly the national one), only its HMAC under a key that stays outside.
Whatever fits nobody, or several, cannot be matched: it is listed and never guessed.
"""

import hashlib
import hmac
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sync.money.payer_file import PayerChild

NATIONAL_DIGITS = 12

NameKey = tuple[str, str]  # folded name, folded class

# A Kazakh name is often typed with Russian letters.
# And a class or a name with Latin letters that look like ours: `5A`, `Kим`.
_FOLDED = str.maketrans("әғқңөұүһіёaeopcxkmhtbyi", "агкноуухиеаеорсхкмнтвуи")
_WORDS = re.compile(r"[^\W\d_]+")
_GROUP = re.compile(r"[^\W_]+")
_GROUP_WORDS = frozenset({"класс", "класы", "кл", "сынып", "сыныбы", "сыныпы"})
_FRACTION = re.compile(r"[.,]0+$")  # a number that went through a table of quantities: 101015000010.0
_SCIENTIFIC = re.compile(r"(\d)[.,](\d+)e\+?(\d{1,2})", re.IGNORECASE)


class MatchFault(StrEnum):
    """The reason why a line cannot be matched."""

    NOBODY = "nobody"  # neither number nor name and class fit anybody
    SEVERAL = "several"
    NOT_CONFIRMED = "not_confirmed"  # one person fits by name and class, and nobody has confirmed it


@dataclass(frozen=True, slots=True)
class RosterName:
    """A person's name and class, as the roster has them."""

    person: str
    name: str
    group: str


@dataclass(frozen=True, slots=True)
class MatchedChild:
    """The result for one child of a payer's file: a person, or the reason and the candidates."""

    person: str = ""
    fault: MatchFault | None = None
    candidates: tuple[str, ...] = ()


@dataclass(slots=True)
class ChildMatcher:
    """Everything by which a payer's children are found.

    `numbers`: hash → people. `confirmed`: name and class (`name_key`) → the person whom somebody confirmed.
    """

    names: Collection[RosterName]
    numbers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)
    confirmed: Mapping[NameKey, str] = field(default_factory=dict)
    _by_group: dict[str, list[tuple[frozenset[str], str]]] = field(init=False)

    def __post_init__(self) -> None:
        self._by_group = defaultdict(list)
        for entry in self.names:
            self._by_group[fold_group(entry.group)].append((frozenset(_fold_words(entry.name)), entry.person))

    def match(self, child: PayerChild) -> MatchedChild:
        """Returns the person whom a payer's line means, or why nobody can be named."""
        people = self.find_people(child)
        if len(people) == 1:
            return MatchedChild(people[0])
        if people:
            return MatchedChild(fault=MatchFault.SEVERAL, candidates=people)
        confirmed = self.confirmed.get(name_key(child))
        if confirmed is not None and child.name:
            return MatchedChild(confirmed)
        candidates = self._find_candidates(child)
        if len(candidates) == 1:
            return MatchedChild(fault=MatchFault.NOT_CONFIRMED, candidates=candidates)
        fault = MatchFault.SEVERAL if candidates else MatchFault.NOBODY
        return MatchedChild(fault=fault, candidates=candidates)

    def find_people(self, child: PayerChild) -> tuple[str, ...]:
        """Returns the people whom the child's number names: one where all is well, several where it stands twice."""
        if child.people or not child.number or not self.key:
            return child.people
        return tuple(sorted({
            person
            for number in _spell_number(child.number)
            for person in self.numbers.get(hash_number(number, self.key), ())
        }))  # fmt: skip

    def propose_names(self, children: Iterable[PayerChild]) -> dict[NameKey, str]:
        """Returns the names and classes that fit exactly one person, for somebody to confirm."""
        proposed = {}
        for child in children:
            match = self.match(child)
            if match.fault is MatchFault.NOT_CONFIRMED:
                proposed[name_key(child)] = match.candidates[0]
        return proposed

    def _find_candidates(self, child: PayerChild) -> tuple[str, ...]:
        """Returns the people of the class whose every name stands in the line: a father's name more does not matter.

        Where nobody's does, those whose names do as far as the line has no more than their first letters: `Ким А.`
        """
        words = frozenset(_fold_words(child.name))
        classmates = [(names, person) for names, person in self._by_group.get(fold_group(child.group), ()) if names]
        whole = [person for names, person in classmates if names <= words]
        initials = {word for word in words if len(word) == 1}
        short = [
            person for names, person in classmates
            if names & words and all(name[0] in initials for name in names - words)
        ]  # fmt: skip
        return tuple(sorted(whole or short))


def _spell_number(number: str) -> tuple[str, ...]:
    """Returns a number as it stands and, where a spreadsheet took it for a quantity, with the zeros that it has lost.

    The national number has 12 digits; of a child born from 2000 to 2009 it begins with a zero.
    """
    whole = _FRACTION.sub("", number)
    scientific = _SCIENTIFIC.fullmatch(whole.strip())
    if scientific:
        if len(scientific[2]) != int(scientific[3]):
            return ()  # 1,01015E+11 has lost its last digits, and many children have what is left
        whole = scientific[1] + scientific[2]
    plain = "".join(letter for letter in whole if letter.isalnum())
    lost = plain.isdecimal() and len(plain) < NATIONAL_DIGITS
    return (whole, plain.zfill(NATIONAL_DIGITS)) if lost else (whole,)


def hash_number(number: str, key: bytes) -> str:
    """Returns the keyed hash of a payer's number, in hex: HMAC-SHA256 over its letters and digits, upper case."""
    plain = "".join(letter for letter in number.upper() if letter.isalnum())
    return hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()


def name_key(child: PayerChild) -> NameKey:
    """Returns the name and class under which a confirmation is kept: folded, words in the order of the alphabet."""
    return " ".join(sorted(_fold_words(child.name))), fold_group(child.group)


def fold_group(group: str) -> str:
    """Returns a class without marks: `5 «А»`, `5-А`, `5а класс` and, with a Latin letter, `5A` are one."""
    parts = (part for part in _GROUP.findall(group.casefold()) if part not in _GROUP_WORDS)
    return "".join(parts).lstrip("0").translate(_FOLDED)


def _fold_words(name: str) -> list[str]:
    return _WORDS.findall(unicodedata.normalize("NFC", name).casefold().translate(_FOLDED))
