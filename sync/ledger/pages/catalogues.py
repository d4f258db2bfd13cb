"""The texts of the pages, one catalogue a language, and the choice of a reader's language."""

from importlib.resources import files
from typing import Final

import msgspec

LANGUAGES: Final = {"kk": "Қазақша", "ru": "Русский"}  # a code, and what the language calls itself


def load_catalogues(package: str = "sync.ledger.pages") -> dict[str, dict[str, str]]:
    """Returns every text of a package's pages, by language and key."""
    folder = files(package).joinpath("catalogue")
    return {
        language: msgspec.json.decode(folder.joinpath(f"{language}.json").read_bytes(), type=dict[str, str])
        for language in LANGUAGES
    }


def choose_language(wanted: str, accepted: str) -> str:
    """Returns the wanted language where there is one, else the first of the browser's that there is, else Kazakh.

    `accepted` is an Accept-Language header.
    """
    if wanted in LANGUAGES:
        return wanted
    for part in accepted.split(","):
        language = part.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return next(iter(LANGUAGES))
