"""Phrases in three languages: each template has a translation with the same blanks, and no other is kept."""

import io
import re
from pathlib import Path

import pytest

from edge_agent.cli.doctor import collect_findings
from edge_agent.cli.phrases import choose_language, list_blanks, phrase, read_translations, say
from edge_agent.cli.setup.dialogue import Dialogue
from edge_agent.errors import RequestRefused
from tests.edge_agent.cli.checks.kiosk import write_file
from tests.edge_agent.cli.phrase_sources import read_lower_texts, read_obstacles, read_parts, read_phrases

TRANSLATED = ("kk", "ru")


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_template_is_translated_with_its_blanks(language: str) -> None:
    translations = read_translations(language)
    necessary = read_phrases() | read_parts() | read_obstacles()
    assert necessary - set(translations) == set()
    assert set(translations) - necessary - read_lower_texts() == set(), "nobody says it any more"
    for template, translation in translations.items():
        assert list_blanks(template) == list_blanks(translation), template


def test_every_finding_of_a_bare_kiosk_is_said_in_kazakh_and_russian(tmp_path: Path) -> None:
    """What stays in Latin letters is a command, a path or a name: no English sentence is left."""
    config = write_file(tmp_path, "agent.toml", f'[kiosk]\nstate_dir = "{tmp_path}/s"\nrun_dir = "{tmp_path}/r"\n')
    findings = collect_findings(config)
    for language in TRANSLATED:
        said = [say(text, language) for finding in findings for text in (finding.part, finding.next_step) if text]
        assert not [text for text in said if re.search(r"\b(the|is|not|and|of|it)\b", text)]


def test_a_text_of_another_room_is_recognised_by_its_words() -> None:
    assert say("kernel module ch341 is not loaded", "ru") == "модуль ядра ch341 не загружен"
    assert say("replug it, then look at `dmesg`; if it says brltty: update the older one", "ru").endswith(
        "если там brltty: обновите то, что старее"
    )
    assert say("kernel module ch341 is not loaded", "en") == "kernel module ch341 is not loaded"


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


@pytest.mark.parametrize(("language", "words"), [("kk", "y (иә) немесе n (жоқ)"), ("ru", "y (да) или n (нет)")])
def test_an_answer_that_is_none_is_asked_for_again_in_the_same_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str, words: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("maybe\ny\nblue\ndoor\n"))
    dialogue = Dialogue(language, is_asking=True)
    assert dialogue.confirm(phrase("Is this a reader for the children?"))
    assert dialogue.choose(phrase("Its time zone"), ("door", "desk")) == "door"
    told = capsys.readouterr().out
    assert words in told
    assert "Please" not in told


def test_the_red_line_of_the_setup_is_in_its_language(capsys: pytest.CaptureFixture[str]) -> None:
    Dialogue("ru", is_asking=False).tell_error(RequestRefused(phrase("no reader was found or named"), "tell its maker"))
    assert "считыватель не найден и не указан; сообщите разработчику" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "/etc/x.toml: log.level: found 'loud'; accepted: 'INFO'",
            "/etc/x.toml: log.level: найдено 'loud'; допустимо: 'INFO'",
        ),
        (
            "/dev/x is not there: check that the reader is plugged in and has power",
            "/dev/x нет: проверьте, что считыватель подключён и есть питание",
        ),
        ("'x' does not begin with https://", "'x' не начинается с https://"),
    ],
)
def test_what_lower_rooms_say_is_said_in_russian(text: str, said: str) -> None:
    assert say(text, "ru") == said
