"""Phrases: texts for technicians that know how they are said in Kazakh and Russian.

The English text in the code is the key, as with gettext: `phrase("{number} events wait", number=3)` is the English
string, and keeps template and blanks for `say`. A catalogue holds one translation for each template.

A text that is no phrase comes from a lower room or over the daemon's socket. It is recognised by the templates: whole,
else by the words between a template's blanks. What no template fits, such as a library's error, is said as it is.
"""

import os
import re
import string
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from edge_agent.cli.exit_codes import CommandError

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
    if language == "en":
        return str(text)
    if not isinstance(text, Phrase):
        text = recognise(text, language)
    blanks = {name: say(blank, language) if isinstance(blank, str) else blank for name, blank in text.blanks.items()}
    template = read_translations(language).get(text.template, text.template)
    return template.format_map(blanks) if blanks else template


def say_error(error: CommandError, language: str) -> str:
    """Returns an error in this language: its reason, and its next step where it has one of its own."""
    texts = (say(text, language) for text in (error.reason, error.next_step) if text)
    return "; ".join(texts) or str(error)


def recognise(text: str, language: str) -> Phrase:
    """Returns the phrase that an English text was made of: of all templates that fit, the one with most words."""
    if text not in read_translations(language):
        for template, pattern in _read_patterns(language):
            if (found := pattern.fullmatch(text)) is not None:
                return Phrase(template, found.groupdict())
    return Phrase(text, {})


@cache
def _read_patterns(language: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Returns every template that has blanks and words, with what it matches; the one with most words first."""
    patterns = {}
    for template in read_translations(language):
        pieces, words, seen = "", 0, set[str]()
        for literal, name, _, _ in string.Formatter().parse(template):
            words += sum(character.isalpha() for character in literal)
            pieces += re.escape(literal)
            if name is not None:
                pieces += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
                seen.add(name)
        if seen and words:
            patterns[template] = (words, re.compile(pieces, re.DOTALL))
    ordered = sorted(patterns.items(), key=lambda item: -item[1][0])
    return tuple((template, pattern) for template, (_, pattern) in ordered)


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
