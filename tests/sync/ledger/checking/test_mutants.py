"""Each rule of the catalogue is one that a wrong ledger fails, and the real one does not."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from importlib import import_module
from pathlib import Path

import psycopg
import pytest

from sync.contract.roster import Consent, Person
from sync.ledger.checking import conformance
from sync.ledger.checking.conformance import RULES, CheckResult, check_ledger
from sync.ledger.checking.door_rules import DOOR_RULES
from sync.ledger.checking.rules import ConformanceRule
from sync.ledger.database import connect_ledger
from sync.ledger.door.listening import HttpServerThread, ListeningAddress
from sync.ledger.registry import rosters, schools
from sync.ledger.requests import LedgerContext
from sync.ledger.server import LedgerKeys, LedgerOptions, LedgerServer, load_keys, open_caught_up_pool, utc_now
from sync.ledger.service import build_application
from tests.sync.ledger.checking.mutants import MUTANTS
from tests.sync.ledger.checking.wrong_ledger import LedgerMutant, WrongLedger
from tests.sync.ledger.kiosk import OPEN_DOOR

# A limit ends half a request long before this; where there is none, nothing comes however long one waits.
PATIENT_S, IMPATIENT_S = 60.0, 1.0
TIMED = {rule.name for rule in DOOR_RULES if "waited for" in rule.name}


class MutableServer:
    """The real ledger on a socket of its own, which can become any mutant."""

    def __init__(self, database_url: str, held: LedgerKeys) -> None:
        limits = replace(OPEN_DOOR, header_s=1.0, body_s=1.0)
        self._pool = open_caught_up_pool(database_url, 4, held)
        context = LedgerContext(held.receipts, utc_now, held.logs)
        self.app = WrongLedger(build_application(context, self._pool, limits), held.receipts)
        self.http = HttpServerThread(self.app, ListeningAddress(), "wrong-ledger", limits)

    def stop(self) -> None:
        self.http.stop()
        self._pool.close(timeout=10)


@pytest.fixture(scope="module")
def mutable(server: LedgerServer, open_folder: Path) -> Iterator[MutableServer]:
    options = LedgerOptions(folder=open_folder / "ledger", port=0)
    with connect_ledger(server.database_url) as connection:
        held = load_keys(connection, options)
    running = MutableServer(server.database_url, held)
    yield running
    running.stop()


@pytest.fixture
def codes(db: psycopg.Connection, school: str) -> tuple[str, str]:
    """Two codes of a school where somebody has agreed to palms."""
    rosters.apply_changes(db, school, [
        Person(id="u1", given_name="Арман", family_name="Әлиев"),
        Consent(id="k1", person="u1", given_at="2026-09-01T00:00:00Z"),
    ])  # fmt: skip
    first, second = (schools.issue_code(db, school, "left door", datetime.now(UTC)) for _ in range(2))
    return first, second


def failed(results: Sequence[CheckResult]) -> set[str]:
    """The names of the rules that failed, each of which says what was expected, what came, and what to change."""
    breaches = [result for result in results if not result.ok]
    for breach in breaches:
        (rule,) = (rule for rule in RULES if rule.name == breach.name)
        assert re.search(r"expected .*came ", breach.detail, re.DOTALL), breach.detail
        assert breach.detail.endswith(f"{rule.must} Change: {rule.change}")
    return {breach.name for breach in breaches}


def become(mutant: LedgerMutant, mutable: MutableServer, monkeypatch: pytest.MonkeyPatch) -> None:
    mutable.app.become(mutant)
    for dotted, wrong in mutant.replaced.items():
        monkeypatch.setattr(dotted, wrong(find_function(dotted)))


def find_function(dotted: str) -> object:
    names = dotted.split(".")
    for length in range(len(names) - 1, 0, -1):
        try:
            module = import_module(".".join(names[:length]))
        except ModuleNotFoundError:
            continue
        return reduce(getattr, names[length:], module)
    raise AssertionError(dotted)


def fail_rules(rules: Sequence[ConformanceRule], name: str, mutable: MutableServer, codes: tuple[str, str]) -> set[str]:
    """The rules that the ledger fails as it is. A timed rule that must fail is given less time than the others."""
    url = mutable.http.url
    if name not in TIMED:
        patience_s = PATIENT_S if set(rules) <= set(DOOR_RULES) else 0.0
        return failed(check_ledger(url, codes[0], patience_s=patience_s, rules=rules))
    own = [rule for rule in rules if rule.name == name]
    others = [rule for rule in rules if rule.name != name]
    return failed((
        *check_ledger(url, codes[0], patience_s=PATIENT_S, rules=others),
        *check_ledger(url, codes[1], patience_s=IMPATIENT_S, rules=own),
    ))  # fmt: skip


def test_every_rule_has_a_mutant_and_says_what_to_do() -> None:
    assert [rule.name for rule in RULES] == list(dict.fromkeys(rule.name for rule in RULES)), "no name twice"
    assert set(MUTANTS) == {rule.name for rule in RULES}
    for rule in RULES:
        assert rule.must.startswith("A ledger"), rule.name
        assert " must " in rule.must, rule.name
        assert rule.must.endswith("."), rule.name
        assert rule.change.endswith("."), rule.name


def test_the_real_ledger_passes_every_rule(mutable: MutableServer, codes: tuple[str, str]) -> None:
    mutable.app.become(LedgerMutant())
    results = check_ledger(mutable.http.url, codes[0], patience_s=PATIENT_S)
    assert [(result.name, result.detail) for result in results if not result.ok] == []
    assert [result.name for result in results if result.detail.startswith("not tried")] == []


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_ledger_fails_its_rule(
    name: str, mutable: MutableServer, codes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the rules of the same part; those of all parts are in the long run."""
    (part,) = (part for part in conformance.PARTS if name in {rule.name for rule in part})
    mutant = MUTANTS[name]
    become(mutant, mutable, monkeypatch)
    found = fail_rules(part, name, mutable, codes)
    assert found == {name, *mutant.follows} & {rule.name for rule in part}


@pytest.mark.soak
@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_ledger_fails_no_other_rule(
    name: str, mutable: MutableServer, codes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[name]
    become(mutant, mutable, monkeypatch)
    assert fail_rules(RULES, name, mutable, codes) == {name, *mutant.follows}
