"""Every refusal that a page can meet has its text in both languages, with the same values in it."""

import ast
import importlib
import inspect
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.errors import SyncError, Wording
from sync.ledger.billing.signatures import SignatureRefused
from sync.ledger.errors import LedgerError
from sync.ledger.pages.catalogues import load_catalogues
from sync.ledger.pages.rendering import PageWords
from sync.money.errors import ActRefused, MoneyError
from sync.money.protocol import SheetSide, SheetState
from tests.measure_names import ROOT

PAGES = ("sync.ledger.pages.app", "sync.ledger.family.app")
CATALOGUES = {package: load_catalogues(package) for package in ("sync.ledger.pages", "sync.ledger.family")}
# What only commands and kiosks call, though its module serves the pages as well.
COMMANDS_ONLY = {
    "sync.ledger.billing.payers": {"replace_numbers"},
    "sync.ledger.billing.sheet_signers": {"add_signer", "retire_signer"},
    "sync.ledger.family.codes": {"issue_family_code"},
    "sync.ledger.judgement.contests": {"answer_contest"},
    "sync.ledger.judgement.reversals": {
        "add_officer",
        "retire_officer",
        "find_officer",
        "store_reversal",
        "_check_payer",
    },
    "sync.ledger.pages.accounts": {"parse_role", "add_account", "close_account"},
    "sync.ledger.recovery.acts": {"replay_acts", "write_acts", "read_acts", "__init__"},
    "sync.ledger.registry.schools": {"add_school", "issue_code", "set_status"},
    "sync.ledger.registry.rosters": {"apply_changes"},
    "sync.ledger.registry.surrogates": {"find_surrogate"},
}


def list_modules() -> dict[str, Path]:
    """Returns every module of ours that the pages load, by name."""
    waiting, present = list(PAGES), {}
    while waiting:
        name = waiting.pop()
        path = ROOT.joinpath(*name.split("."))
        file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        if name in present or not file.exists():
            continue
        present[name] = file
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sync."):
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return present


MODULES = list_modules()


def find_refusals() -> Iterator[tuple[str, str, ast.Raise]]:
    """Yields module, function and statement of everything that raises what a page shows as a refusal."""
    for name, file in MODULES.items():
        module = importlib.import_module(name)
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Raise)
                    and isinstance(node.exc, ast.Call)
                    and isinstance(node.exc.func, ast.Name)
                ):
                    raised = getattr(module, node.exc.func.id, None)
                    if inspect.isclass(raised) and issubclass(raised, MoneyError | LedgerError):
                        yield name, function.name, node


def find_wordings() -> Iterator[tuple[str, str, set[str]]]:
    """Yields file, key and names of the values of every wording that is made anywhere."""
    for file in sorted(ROOT.joinpath("sync").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Wording":
                key = node.args[0]
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield file.name, key.value, {keyword.arg or "" for keyword in node.keywords}


def has_wording(module: str, raised: ast.Raise) -> bool:
    assert isinstance(raised.exc, ast.Call)
    assert isinstance(raised.exc.func, ast.Name)
    kind = getattr(importlib.import_module(module), raised.exc.func.id)
    return kind.default_wording is not None or len(raised.exc.args) == 3  # reason, next step, wording


def test_every_refusal_that_a_page_can_meet_has_a_wording() -> None:
    refusals = list(find_refusals())
    assert {"sync.money.protocol", "sync.ledger.billing.signatures"} <= {module for module, _, _ in refusals}
    silent = {
        f"{module}.{function}, line {raised.lineno}"
        for module, function, raised in refusals
        if function not in COMMANDS_ONLY.get(module, set()) and not has_wording(module, raised)
    }
    assert silent == set()


def test_each_wording_is_in_both_languages_with_the_same_values() -> None:
    wordings = list(find_wordings())
    assert len(wordings) > 40
    for module, key, values in wordings:
        package = "sync.ledger.family" if key.startswith("contest.") else "sync.ledger.pages"
        for language, texts in CATALOGUES[package].items():
            fields = {field for _, field, _, _ in string.Formatter().parse(texts[key]) if field is not None}
            assert fields <= values, (module, key, language)
    for texts in CATALOGUES["sync.ledger.pages"].values():
        used = {key for _, key, _ in wordings} | {"refused.title", "refused.other"}
        assert {key for key in texts if key.startswith(("refusal.", "obstacle."))} <= used
        assert {f"side.{side}" for side in SheetSide} | {f"state.{state}" for state in SheetState} <= texts.keys()


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_a_refusal_names_sides_and_obstacles_in_the_readers_words(language: str) -> None:
    words = PageWords(language, CATALOGUES["sync.ledger.pages"][language])
    days = Wording("obstacle.open_days", days="2025-11-03", count=1)
    several = ActRefused("", "", Wording("refusal.obstacles", obstacles=(days, Wording("obstacle.changed", version=2))))
    assert words.say(days) in words.refuse(several)
    assert words("obstacle.changed", version=2) in words.refuse(several)
    missing = Wording("refusal.not_agreed", state=SheetState.PROPOSED, missing=(SheetSide.SCHOOL, SheetSide.CATERER))
    assert f"{words('side.school')}, {words('side.caterer')}" in words.say(missing)
    assert words("state.proposed") in words.say(missing)


def test_what_has_no_wording_is_not_shown_as_it_is() -> None:
    words = PageWords("ru", CATALOGUES["sync.ledger.pages"]["ru"])
    assert words.refuse(SyncError("a word of ours")) == words("refused.other")
    assert SignatureRefused("x").wording is None
