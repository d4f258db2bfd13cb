"""The commands of slips, contests, erasure and webhooks, as a school's office calls them."""

import argparse
import json
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.ledger import app
from sync.ledger.billing import payers
from sync.ledger.family.codes import enter_code
from sync.ledger.judgement import contests
from sync.ledger.server import LedgerServer
from sync.proof.verify_meal import read_keys
from tests.sync.ledger.family.conftest import DAY, NOW, settle
from tests.sync.ledger.kiosk import Kiosk


class Office:
    """The command line over the test's ledger."""

    def __init__(self, server: LedgerServer, folder: Path) -> None:
        self._database = ["--data", str(folder), "--database-url", server.database_url]

    def call(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, *self._database])

    def call_well(self, *words: str) -> str:
        result = self.call(*words)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output


@pytest.fixture
def office(server: LedgerServer, open_folder: Path) -> Office:
    return Office(server, open_folder / "ledger")


def test_a_slip_has_a_code_and_both_keys_and_is_taken_back(
    db: psycopg.Connection, lunch: Kiosk, office: Office, tmp_path: Path
) -> None:
    witness = "witness.example+41c2d13f+BLN1hguaVIT2Qj+HfLoUkoDCLhtzr8Dv5zd7OhSh0ZID"
    slip = json.loads(office.call_well("slip", lunch.school, "p1", "--witness-key", witness, "--json"))
    assert slip["ledger_key"].startswith(f"canteen.local/{lunch.school}/claims+")
    assert slip["witness_key"] == witness
    assert enter_code(db, slip["code"], "phone", NOW) is not None
    for language, title in (("kk", "Балаңыздың тамақтануы"), ("ru", "Питание вашего ребёнка"), ("en", "Your child's")):
        printed = tmp_path / f"{language}.txt"
        words = ("slip", lunch.school, "p1", "--witness-key", witness, "--language", language)
        printed.write_text(office.call_well(*words), "utf-8")
        assert title in printed.read_text("utf-8")
        keys = read_keys(argparse.Namespace(slip=str(printed), ledger=None, witness=None))
        assert [key.name for key in keys] == [slip["ledger_key"].partition("+")[0], "witness.example"]
    assert "Куәгердің кілті: әзірге жоқ" in office.call_well("slip", lunch.school, "p1")
    assert "5 codes are taken back" in office.call_well("slip", lunch.school, "p1", "--revoke")
    assert enter_code(db, slip["code"], "phone", NOW) is None
    assert office.call("slip", lunch.school, "nobody").exit_code != 0
    assert office.call("slip", lunch.school, "p1", "--witness-key", witness[:-1]).exit_code != 0


def test_a_contest_is_listed_and_answered_and_a_person_erased(
    db: psycopg.Connection, lunch: Kiosk, office: Office, tmp_path: Path
) -> None:
    school, key = lunch.school, tmp_path / "dana.pem"
    office.call_well(
        "officer", "add", "dana", "--school", school, "--name", "Д", "--role", "school", "--new-key", str(key)
    )
    name = contests.contest_absence(db, school, "p1", DAY, "lunch", "Была", NOW)
    [listed] = json.loads(office.call_well("contest", "list", school, "--month", "2026-11", "--json"))
    assert (listed["contest"], listed["kind"], listed["note"]) == (name, "not_shown", "Была")
    answer = ("contest", "answer", school, name, "--reason", "Да", "--key", str(key))
    assert office.call(*answer, "--outcome", "perhaps").exit_code != 0
    named = ("contest", "answer", school, name, "--reason", "Айгерім келді", "--key", str(key), "--outcome", "upheld")
    assert "name of the roster" in str(office.call(*named).exception)
    assert "answered by Д" in office.call_well(*answer, "--outcome", "upheld")
    assert json.loads(office.call_well("contest", "list", school, "--json")) == []
    [answered] = json.loads(office.call_well("contest", "list", school, "--all", "--json"))
    assert answered["answer"] == "upheld"
    settle(db, lunch)
    for numbers in ([("1" * 64, "p1")], [("2" * 64, "p1"), ("3" * 64, "p2")]):
        payers.replace_numbers(db, school, numbers)
    payers.confirm_names(db, school, {("ана", "5а"): "p1"}, by="o", now=NOW)
    assert "1 rows of statements, 1 notes of contests and 0 categories are erased" in office.call_well(
        "erase", school, "p1"
    )
    assert office.call("erase", school, "nobody").exit_code != 0
    matcher = payers.read_matcher(db, school, b"")
    assert (matcher.numbers, matcher.confirmed) == ({"3" * 64: ("p2",)}, {})


def test_webhooks_are_added_listed_and_retired(lunch: Kiosk, office: Office) -> None:
    url = "https://app.example/visits"
    assert office.call("webhook", "add", lunch.school, url, "--webhook-host", "other.example").exit_code != 0
    name = office.call_well("webhook", "add", lunch.school, url, "--webhook-host", "app.example").partition(":")[0]
    [row] = json.loads(office.call_well("webhook", "list", lunch.school, "--json"))
    assert (row["webhook"], row["url"], row["waiting"]) == (name, url, 0)
    office.call_well("webhook", "retire", lunch.school, name)
    assert json.loads(office.call_well("webhook", "list", lunch.school, "--json")) == []
