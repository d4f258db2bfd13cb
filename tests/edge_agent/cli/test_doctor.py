"""The command `edge-agent doctor`."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli import doctor
from edge_agent.cli.checks.finding import (
    FOLLOW_MESSAGE,
    ExaminedKiosk,
    Finding,
    FindingState,
    error_finding,
    good,
)
from edge_agent.cli.main import build
from edge_agent.errors import RequestRefused
from tests.edge_agent.cli.checks.kiosk import kiosk
from tests.edge_agent.cli.control_peer import serve_status
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


def parts(result: Result, state: FindingState) -> set[str]:
    return {finding["part"] for finding in json.loads(result.stdout) if finding["state"] == state.value}


def test_without_a_daemon_every_other_check_runs(config: Path) -> None:
    result = run(config, "--json")
    assert result.exit_code == 1
    assert "daemon" in parts(result, FindingState.FAILURE)
    assert {finding["part"] for finding in json.loads(result.stdout)} >= PARTS


def test_wrong_settings_do_not_stop_the_doctor(config: Path) -> None:
    config.write_text('[kiosk]\nlanguage = "tlh"\n[jurnal]\n')
    result = run(config, "--json")
    assert result.exit_code == 1
    assert [finding["part"] for finding in json.loads(result.stdout)].count("settings") == 2
    assert {finding["part"] for finding in json.loads(result.stdout)} >= PARTS


def test_every_line_has_its_state_and_its_next_step(config: Path) -> None:
    result = run(config)
    assert result.exit_code == 1
    assert "fails  daemon: does not run" in result.stdout
    assert "→ systemctl start edge-agent" in result.stdout


@pytest.mark.parametrize("status", [{}, {"recording": "perhaps"}], ids=["empty", "of another version"])
def test_a_daemon_that_answers_something_else(config: Path, tmp_path: Path, status: dict[str, str]) -> None:
    with serve_status(tmp_path / "run", status):
        assert "daemon" in parts(run(config, "--json"), FindingState.FAILURE)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PermissionError(13, "no", "/x"), FindingState.ATTENTION),
        (OSError(5, "broken"), FindingState.FAILURE),
        (sqlite3.DatabaseError("malformed"), FindingState.FAILURE),
        (RequestRefused("it is so", "do that"), FindingState.FAILURE),
    ],
)
def test_a_check_that_breaks_off_is_a_finding_and_the_next_check_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, state: FindingState
) -> None:
    def break_off(_: ExaminedKiosk) -> Iterator[Finding]:
        yield good("first", "checked")
        raise error

    def succeed(_: ExaminedKiosk) -> Iterator[Finding]:
        yield good("second", "checked")

    monkeypatch.setattr(doctor, "CHECKS", (("first", break_off), ("second", succeed)))
    findings = list(doctor.examine(kiosk(tmp_path)))
    assert [(finding.part, finding.state) for finding in findings] == [
        ("first", FindingState.GOOD),
        ("first", state),
        ("second", FindingState.GOOD),
    ]
    assert findings[1].next_step


def test_an_error_brings_its_own_next_step() -> None:
    finding = error_finding("part", RequestRefused("it is so", "do that"))
    assert (finding.detail, finding.next_step) == ("it is so", "do that")
    assert error_finding("part", RequestRefused("it is so")).next_step == FOLLOW_MESSAGE


def test_the_report_on_a_real_daemon(tmp_path: Path) -> None:
    """The doctor understands the daemon's whole status, a lost reader fails, and no key is in the report."""
    with Daemon(tmp_path, serial_reader("door", "em4100", tmp_path / "door")) as daemon:
        daemon.launch()
        daemon.until(lambda status: bool(status["readers"]))
        report = edge_agent("doctor", "--config", str(daemon.config), "--json", check=False)
        assert daemon.stop() == 0
    findings = {finding["part"]: finding for finding in json.loads(report.stdout)}
    assert report.returncode == 1
    assert findings["daemon"]["state"] == "ok", findings["daemon"]
    assert (findings["journal"]["state"], findings["recording"]["state"]) == ("ok", "ok")
    assert (findings["device door"]["state"], findings["device light"]["state"]) == ("fails", "ok")
    assert findings["roster"]["state"] == "fails"
    secret = (daemon.state_dir / "device.key").read_text().splitlines()[1]
    assert secret not in report.stdout + report.stderr
    after = edge_agent("doctor", "--config", str(daemon.config), "--json", check=False)
    findings = {finding["part"]: finding for finding in json.loads(after.stdout)}
    assert (findings["daemon"]["state"], findings["journal"]["state"]) == ("fails", "ok")
    assert {path.stat().st_uid for path in daemon.state_dir.iterdir()} == {os.getuid()}
