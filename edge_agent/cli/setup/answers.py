"""The answers to the questions of `edge-agent setup`, as a file has them. What is empty there, is left for later."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.errors import SettingsWrong


class _AnswerTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file. A key that it does not know is a fault."""


class ReaderAnswer(_AnswerTable, frozen=True, kw_only=True):
    """One reader or camera. `port` of a camera is its source."""

    name: str
    driver: str
    port: str = ""
    direction: Literal["both", "in", "out"] = "both"
    card: str = ""  # the number on a card that will be held to it; empty: this reader is not calibrated


class LedgerAnswer(_AnswerTable, frozen=True, kw_only=True):
    """The ledger of this kiosk, and the one-time code for it."""

    url: str
    code: str
    ca_file: Path | None = None


class SetupAnswers(_AnswerTable, frozen=True, kw_only=True):
    """All answers. `stick` is the folder of a roster for a kiosk that has no network yet; `school` belongs to it."""

    language: str = ""  # of the questions, and of the screen when nobody stands before it
    name: str = ""
    timezone: str = ""
    readers: tuple[ReaderAnswer, ...] = ()
    ledger: LedgerAnswer | None = None
    school: str = ""
    stick: Path | None = None
    head: str = ""
    test_scan_s: float = 30.0  # how long to wait for the card of the test scan


def read_answers(path: Path) -> SetupAnswers:
    """Returns the answers in this TOML file. Raises `SettingsWrong`, naming what is wrong in it."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), SetupAnswers)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise SettingsWrong(f"{path}: {error}", "correct it; docs/technician.md has an example") from error
