"""Phrases in three languages: each template has a translation with the same blanks, and no other is kept."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.cli.phrases import choose_language, list_blanks, phrase, read_translations, say

CLI = Path(__file__).parents[3] / "edge_agent" / "cli"
TRANSLATED = ("kk", "ru")


def templates() -> Iterator[str]:
    """Yields the template of every call of `phrase` in the command line's code."""
    for path in CLI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "phrase":
                template = node.args[0]
                assert isinstance(template, ast.Constant), f"{path}:{node.lineno}: a template is a literal"
                yield str(template.value)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_template_is_translated_with_its_blanks(language: str) -> None:
    translations = read_translations(language)
    assert set(translations) == set(templates())
    for template, translation in translations.items():
        assert list_blanks(template) == list_blanks(translation), template


def test_a_phrase_is_its_english_text_and_is_said_with_its_blanks_in_another_language() -> None:
    text = phrase("Recorded: row {seq} from {reader}", seq=7, reader=phrase("look"))
    assert text == "Recorded: row 7 from look"
    assert say(text, "en") == text
    assert say(text, "ru") == "Записано: строка 7, считыватель внимание"
    assert say("an error out of a library", "kk") == "an error out of a library"


def test_the_language_is_the_wanted_one_else_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("EDGE_AGENT_LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", "kk_KZ.UTF-8")
    assert choose_language("ru") == "ru"
    assert choose_language() == "kk"
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert choose_language() == "en"
