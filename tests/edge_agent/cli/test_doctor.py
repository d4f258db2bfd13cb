"""`edge-agent doctor`, as support asks for it."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli import doctor
from edge_agent.cli.checks.finding import Finding, Kiosk, State, ok
from edge_agent.cli.main import build
from edge_agent.errors import RequestRefused
from tests.edge_agent.cli.answering import answering
from tests.edge_agent.cli.checks.given import kiosk
from tests.system.daemon import Daemon, edge_agent, serial_reader

PARTS = {"settings", "daemon", "version", "device key", "registered", "sqlite", "clock", "time zones", "plugged in"}


def run(config: Path, *more: str) -> Result:
    return CliRunner().invoke(build("doctor"), ["doctor", "--config", str(config), *more])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(f'[kiosk]\nstate_dir = "{tmp_path}/state"\nrun_dir = "{tmp_path}/run"\n')
    (tmp_path / "run").mkdir()
    return path


def parts(result: Result, state: State) -> set[str]:
    return {each["part"] for each in json.loads(result.stdout) if each["state"] == state.value}


def test_without_a_daemon_everything_else_is_looked_at(config: Path) -> None:
    result = run(config, "--json")
    assert result.exit_code == 1
    assert "daemon" in parts(result, State.FAILS)
    assert {each["part"] for each in json.loads(result.stdout)} >= PARTS


def test_wrong_settings_do_not_stop_it(config: Path) -> None:
    config.write_text('[kiosk]\nlanguage = "tlh"\n[jurnal]\n')
    result = run(config, "--json")
    assert result.exit_code == 1
    assert [each["part"] for each in json.loads(result.stdout)].count("settings") == 2
    assert {each["part"] for each in json.loads(result.stdout)} >= PARTS


def test_every_line_has_its_state_and_what_to_do(config: Path) -> None:
    result = run(config)
    assert result.exit_code == 1
    assert "fails  daemon: does not run" in result.stdout
    assert "→ systemctl start edge-agent" in result.stdout


@pytest.mark.parametrize("status", [{}, {"recording": "perhaps"}], ids=["empty", "of another version"])
def test_a_daemon_that_answers_something_else(config: Path, tmp_path: Path, status: dict[str, str]) -> None:
    with answering(tmp_path / "run", status):
        assert "daemon" in parts(run(config, "--json"), State.FAILS)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PermissionError(13, "no", "/x"), State.LOOK),
        (OSError(5, "broken"), State.FAILS),
        (sqlite3.DatabaseError("malformed"), State.FAILS),
        (RequestRefused("it is so; do that"), State.FAILS),
    ],
)
def test_a_check_that_cannot_end_is_told_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, state: State
) -> None:
    def breaks(_: Kiosk) -> Iterator[Finding]:
        yield ok("first", "seen")
        raise error

    def goes_on(_: Kiosk) -> Iterator[Finding]:
        yield ok("second", "seen")

    monkeypatch.setattr(doctor, "CHECKS", (("first", breaks), ("second", goes_on)))
    found = list(doctor.examine(kiosk(tmp_path)))
    assert [(each.part, each.state) for each in found] == [
        ("first", State.OK),
        ("first", state),
        ("second", State.OK),
    ]
    assert found[1].next_step


def test_a_real_daemon_is_heard(tmp_path: Path) -> None:
    """Every word that the daemon says is understood, a lost reader fails, and no key is in the report."""
    with Daemon(tmp_path, serial_reader("door", "em4100", tmp_path / "door")) as daemon:
        daemon.launch()
        daemon.until(lambda status: bool(status["readers"]))
        said = edge_agent("doctor", "--config", str(daemon.config), "--json", check=False)
        assert daemon.stop() == 0
    found = {each["part"]: each for each in json.loads(said.stdout)}
    assert said.returncode == 1
    assert found["daemon"]["state"] == "ok", found["daemon"]
    assert (found["journal"]["state"], found["recording"]["state"]) == ("ok", "ok")
    assert (found["device door"]["state"], found["device light"]["state"]) == ("fails", "ok")
    assert found["roster"]["state"] == "fails"
    secret = (daemon.state_dir / "device.key").read_text().splitlines()[1]
    assert secret not in said.stdout + said.stderr
    after = edge_agent("doctor", "--config", str(daemon.config), "--json", check=False)
    found = {each["part"]: each for each in json.loads(after.stdout)}
    assert (found["daemon"]["state"], found["journal"]["state"]) == ("fails", "ok")
    assert {path.stat().st_uid for path in daemon.state_dir.iterdir()} == {os.getuid()}
