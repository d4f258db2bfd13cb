"""Every command of the ledger either changes nothing or is in the log."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import typer
from typer.testing import CliRunner, Result

from edge_agent.cli.ledger import app
from edge_agent.cli.ledger.privileged import CHANGING, SHOWING
from sync.ledger.registry.privileged_acts import list_acts
from sync.ledger.server import LedgerServer


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yields every command of the ledger that does something, by the name in the tables."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from walk(below, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(walk(typer.main.get_command(app)))


def test_every_command_stands_in_one_table() -> None:
    assert CHANGING.keys() & SHOWING == set()
    assert CHANGING.keys() | SHOWING == COMMANDS.keys() | {"roster import"}


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() & CHANGING.keys()))
def test_what_the_log_names_are_parameters(name: str) -> None:
    named = CHANGING[name].subject + ((CHANGING[name].only_with,) if CHANGING[name].only_with else ())
    parameters = {parameter.name for parameter in COMMANDS[name].params}
    assert set(named) - {"number"} <= parameters
    assert not {"password", "key", "key_file", "reason", "text"} & set(named), "no secret and no free text is logged"


def call(server: LedgerServer, *words: str) -> Result:
    there = {"COLUMNS": "250", "LEDGER_DATABASE_URL": server.database_url}
    return CliRunner().invoke(app, list(words), env=there)


def test_a_change_and_its_row_come_together(
    server: LedgerServer, db: psycopg.Connection, school: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "aigul")
    assert call(server, "enrol-code", school, "--name", "left door").exit_code == 0
    (code,) = json.loads(call(server, "codes", school, "--json").stdout)
    assert call(server, "--by", "Dana", "codes", school, "--withdraw", code["name"]).exit_code == 0
    assert call(server, "codes", school, "--withdraw", code["name"][::-1]).exit_code != 0, "refused, and not logged"
    assert call(server, "webhook", "retire", school, "none").exit_code != 0
    assert call(server, "slip", school, "p1", "--by", "Aizhan", "--revoke").exit_code == 0
    rows = [(row.done_by, row.act, row.subject) for row in list_acts(db, school, 10)]
    assert rows == [
        ("Aizhan", "slip", "p1 revoke"),
        ("Dana", "codes", code["name"]),
        ("aigul", "enrol-code", "left door"),
    ]
    shown = call(server, "log", school).stdout
    assert "Dana" in shown
    assert [row["act"] for row in json.loads(call(server, "log", "--limit", "1", "--json").stdout)] == ["slip"]


def test_a_kiosks_id_names_its_school(server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    device = f"{school}-00112233"
    db.execute("INSERT INTO device (school, device, name) VALUES (%s, %s, '')", (school, device))
    assert call(server, "suspend", device).exit_code == 0
    assert call(server, "suspend", device, "--lift").exit_code == 0
    assert [row.subject for row in list_acts(db, school, 10)] == [f"{device} lift", device]


@pytest.mark.parametrize("change", ["UPDATE privileged_act SET done_by = 'nobody'", "DELETE FROM privileged_act"])
def test_no_row_is_changed_or_taken_out(change: str, server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    assert call(server, "school", school, "new name").exit_code == 0
    with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
        db.execute(change.encode())
