"""Phrases: texts for technicians that know how they are said in Kazakh and Russian.

The English text in the code is the key, as with gettext: `phrase("{number} events wait", number=3)` is the English
string, and keeps template and blanks for `say`. A catalogue holds one translation for each template. A text that is no
phrase, such as an error out of a library, is said as it is.
"""

import os
import string
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

LANGUAGES = ("kk", "ru", "en")
_LANGUAGE_VARIABLES = ("EDGE_AGENT_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


class Phrase(str):
    """An English text with the template that it was made of, and what stands in the template's blanks."""

    __slots__ = ("blanks", "template")
    template: str
    blanks: Mapping[str, object]

    def __new__(cls, template: str, blanks: Mapping[str, object]) -> "Phrase":
        made = super().__new__(cls, template.format_map(blanks) if blanks else template)
        made.template, made.blanks = template, blanks
        return made


def phrase(template: str, **blanks: object) -> Phrase:
    """Returns the phrase of this English template; a blank may be a phrase itself."""
    return Phrase(template, blanks)


def say(text: str, language: str) -> str:
    """Returns a text in this language: `kk`, `ru` or `en`. What has no translation stays as it is."""
    if not isinstance(text, Phrase) or language == "en":
        return text
    blanks = {name: say(blank, language) if isinstance(blank, str) else blank for name, blank in text.blanks.items()}
    template = read_translations(language).get(text.template, text.template)
    return template.format_map(blanks) if blanks else template


@cache
def read_translations(language: str) -> dict[str, str]:
    """Returns the translations of all templates into Kazakh or Russian."""
    body = files("edge_agent.cli").joinpath("translations", f"{language}.json").read_bytes()
    return msgspec.json.decode(body, type=dict[str, str])


def list_blanks(template: str) -> set[str]:
    """Returns the names of a template's blanks."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def choose_language(wanted: str = "") -> str:
    """Returns the wanted language, else the one of the environment, as other programs take it; else English."""
    for text in (wanted, *(os.environ.get(variable, "") for variable in _LANGUAGE_VARIABLES)):
        if text[:2] in LANGUAGES:
            return text[:2]
    return "en"
