"""Reasons in people's own words, which stay in events and signed files for ever: they may name nobody. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from sync.contract.roster import Person

_WORDS: Final = re.compile(r"[^\W\d_]+")
_NAME_LETTERS_MIN: Final = 3  # a shorter one is as often a word of the language
_STEM_LETTERS_MIN: Final = 4  # from which on a name is found with its endings, too
_ENDING_LETTERS_MAX: Final = 3
_VOWELS: Final = "аеёиоуыэюяәіөүұaeiouy"


def names_somebody(text: str, people: Iterable[Person]) -> bool:
    """Returns True where a word of the text is a name of one of these people, in any case: `Алиевой`, `Айгүлдің`."""
    words = _split(text)
    names = {word for person in people for word in _split(f"{person.given_name} {person.family_name}")}
    return any(_is_form(word, name) for word in words for name in names)


def _split(text: str) -> set[str]:
    return set(_WORDS.findall(text.casefold()))


def _is_form(word: str, name: str) -> bool:
    if len(name) < _NAME_LETTERS_MIN:
        return False
    stem = name.rstrip(_VOWELS)
    stem = stem if len(stem) >= _STEM_LETTERS_MIN else name
    return word == name or (
        len(stem) >= _STEM_LETTERS_MIN and word.startswith(stem) and len(word) - len(stem) <= _ENDING_LETTERS_MAX
    )
