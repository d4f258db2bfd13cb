"""A search for people that forgives how their names are typed.

A name and what is typed are brought to one spelling, the *skeleton*: Kazakh letters fold to their Russian neighbours
(ә to а, қ to к), ё to е, Latin letters become those sounds (`sh` and `ш`, `q` and `қ`), and a doubled letter is one.
Where Latin letters may stand for several sounds there are several skeletons. Text that was typed in the wrong layout of
the keyboard is read in the other one too. Each word of the text must begin a word of the name, or stand inside it where
it has three letters or more.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from edge_agent.domain.name_order import OrderKey, order_key
from sync.contract.roster import Person

INSIDE_LETTERS_MIN = 3  # so many letters may also stand inside a word
SPELLINGS_MAX = 64  # of one word in Latin letters
WORD_LETTERS_MAX = 40

_CYRILLIC: Final = str.maketrans(
    dict(zip("аәбвгғдеёэзиійыкқлмнңоөпрстуұүфхһц", "aabvggdeeeziiiikklmnnooprstuuufhhc", strict=True))
    | {"ж": "j", "ч": "č", "ш": "š", "щ": "š", "ъ": "", "ь": "", "ю": "iu", "я": "ia"}
)
# Of several letters first: the longest fits first, and each may also be read letter by letter.
_LATIN: Final[dict[str, tuple[str, ...]]] = {
    "shch": ("š",), "sch": ("š",), "dzh": ("j",), "sh": ("š",), "zh": ("j",), "dj": ("j",), "kh": ("h",), "gh": ("g",),
    "ch": ("č",), "ts": ("c",), "tz": ("c",), "ng": ("n",), "yo": ("e",), "jo": ("e",), "ye": ("e",), "je": ("e",),
    "s": ("s", "š"), "c": ("k", "s", "c", "č"), "j": ("j", "i"), "q": ("k",), "w": ("u", "v"), "x": ("h", "ks"),
    "y": ("i",), "ı": ("i",), "ş": ("š",), "š": ("š",), "ç": ("č",), "č": ("č",), "ž": ("j",), "ý": ("u",),
}  # fmt: skip
_KEYS: Final = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"
_RUSSIAN: Final = "йцукенгшщзхъфывапролджэячсмитьбюё"
_SHIFTED: Final = str.maketrans('{}:"<>~', "[];',.`")
_RUSSIAN_KEYS: Final = str.maketrans(_KEYS, _RUSSIAN)
_KAZAKH_KEYS: Final = str.maketrans(_KEYS + "234589" + "0-=", _RUSSIAN + "әіңғүұ" + "қөһ")
_LATIN_KEYS: Final = str.maketrans(_RUSSIAN, _KEYS)
# A number and the one letter behind it are a class, however they are written: 3 «Б», 3Б, 3 б.
_WORDS = re.compile(r"(?P<number>\d+)(?:[^\w]*(?P<letter>[^\W\d_])(?![^\W\d_]))?|(?P<word>[^\W\d_]+)")
_DOUBLED = re.compile(r"([^\W\d_])\1+")
_LATIN_LETTER = re.compile(r"[a-zıçşžčšñğýáóúäöü]")


def find_people(text: str, people: Iterable[Person]) -> tuple[Person, ...]:
    """Returns everybody whose names or class fit every word of `text`; nobody for a text without letters or digits.

    Those who fit it as it was typed come first, then those of other readings, each in the order of their names.
    """
    readings = list(read_text(text))
    if not readings:
        return ()
    ranked: list[tuple[int, OrderKey, OrderKey, str, Person]] = []
    for person in people:
        name = f"{person.family_name} {person.given_name}"
        rank = _rank(readings, _spell_words(f"{name} {person.group}"))
        if rank is not None:
            ranked.append((rank, order_key(name), order_key(person.group), person.id, person))
    return tuple(person for *_, person in sorted(ranked, key=lambda row: row[:4]))


def read_text(text: str) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yields the readings of a text, the most likely first: for each word its skeletons.

    The first is the text as it stands, the others as if the keyboard had been in another layout.
    """
    plain = unicodedata.normalize("NFC", text).casefold()
    keys = plain.translate(_SHIFTED)
    swapped = [keys.translate(_RUSSIAN_KEYS), keys.translate(_KAZAKH_KEYS)]
    if not _LATIN_LETTER.search(plain):
        latin = plain.translate(_LATIN_KEYS)
        meant = len(_LATIN_LETTER.findall(latin)) == sum(map(str.isalpha, plain))  # no letter would become a sign
        swapped = [latin, swapped[1]] if meant else swapped[1:]
    seen: set[tuple[tuple[str, ...], ...]] = set()
    for reading in (plain, *swapped):
        words = tuple(_spell_words(reading))
        if words and words not in seen:
            seen.add(words)
            yield words


@lru_cache(maxsize=512)
def _spell(word: str) -> tuple[str, ...]:
    """Returns the skeletons of one word of letters."""
    if not _LATIN_LETTER.search(word):
        return (_DOUBLED.sub(r"\1", word.translate(_CYRILLIC)),)
    found = dict.fromkeys(_DOUBLED.sub(r"\1", spelling) for spelling in _spell_latin(word[:WORD_LETTERS_MAX]))
    return tuple(found)


def _spell_latin(word: str) -> list[str]:
    """Returns the ways to read a word with Latin letters, at most `SPELLINGS_MAX`, those of the longest signs first."""
    ends: list[list[str]] = [[] for _ in word] + [[""]]  # by place: the readings of the rest
    for place in range(len(word) - 1, -1, -1):
        for length in range(min(4, len(word) - place), 0, -1):
            sign = word[place : place + length]
            sounds = _LATIN.get(sign) or ((_bare_letter(sign),) if length == 1 else ())
            ends[place] += [sound + rest for sound in sounds for rest in ends[place + length]]
        ends[place] = ends[place][:SPELLINGS_MAX]
    return ends[0]


def _bare_letter(letter: str) -> str:
    """Returns the sound of a single letter: a Latin one without its marks, or a Cyrillic one of a mixed word."""
    cyrillic = letter.translate(_CYRILLIC)
    return cyrillic if cyrillic != letter else unicodedata.normalize("NFD", letter)[0]


def _spell_words(text: str) -> list[tuple[str, ...]]:
    """Returns the skeletons of each word; those of a class begin with its number."""
    words = []
    for match in _WORDS.finditer(text.casefold()):
        number, letters = match["number"] or "", match["letter"] or match["word"] or ""
        spellings = tuple(number + spelling for spelling in _spell(letters)) if letters else (number,)
        words.append(tuple(filter(None, spellings)))
    return [word for word in words if word]


def _rank(readings: Sequence[tuple[tuple[str, ...], ...]], words: Sequence[tuple[str, ...]]) -> int | None:
    """Returns how far the best reading lies from what was typed; None where none fits."""
    for place, reading in enumerate(readings):
        if all(_begins(typed, words) for typed in reading):
            return 2 * place
        if all(_begins(typed, words) or _is_inside(typed, words) for typed in reading):
            return 2 * place + 1
    return None


def _begins(typed: Sequence[str], words: Sequence[tuple[str, ...]]) -> bool:
    return any(_is_beginning(part, spelling) for part in typed for word in words for spelling in word)


def _is_beginning(part: str, spelling: str) -> bool:
    """Returns True where the part begins the word; a number is whole: 1 begins 1б, and not 11б."""
    rest = spelling[len(part) :]
    return spelling.startswith(part) and not (part[-1].isdecimal() and rest[:1].isdecimal())


def _is_inside(typed: Sequence[str], words: Sequence[tuple[str, ...]]) -> bool:
    long = [part for part in typed if len(part) >= INSIDE_LETTERS_MIN]
    return any(part in spelling for part in long for word in words for spelling in word)
