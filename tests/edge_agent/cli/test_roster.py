"""The `edge-agent roster` commands, with a ledger and with a kiosk alone."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vectors import find_vector

SAMPLES = find_vector("canteen/oneroster12")


def edge_agent(*words: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-P", "-c", "from edge_agent.cli.main import main; main()"]
    return subprocess.run([*program, *words], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def kiosk(tmp_path: Path) -> Path:
    config = tmp_path / "agent.toml"
    folders = f'state_dir = "{tmp_path}/state"\nrun_dir = "{tmp_path}/run"\n'
    config.write_text(f'[kiosk]\nschool = "sch-0151"\n{folders}')
    return config


@pytest.fixture
def folder() -> Iterator[Path]:
    temporary = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    temporary.chmod(0o755)  # the ledger's PostgreSQL runs as another user when this is root
    yield temporary
    shutil.rmtree(temporary)


def test_a_stick_brings_a_roster_into_a_kiosk_without_a_network(kiosk: Path) -> None:
    local = ("--local", "--config", str(kiosk), "--json")
    foreseen = json.loads(edge_agent("roster", "diff", str(SAMPLES / "bulk"), *local).stdout)
    imported = json.loads(edge_agent("roster", "import", str(SAMPLES / "bulk"), *local).stdout)
    assert imported["added"] == foreseen["added"]
    assert {f"person u-{number}" for number in range(1, 7)} <= set(imported["added"])
    again = json.loads(edge_agent("roster", "import", str(SAMPLES / "bulk"), *local).stdout)
    assert (again["added"], again["changed"], again["removed"]) == ([], [], [])
    found = json.loads(edge_agent("roster", "find", "қас", "--config", str(kiosk), "--json").stdout)
    assert [row["name"].split()[0] for row in found] == ["Қасымова"]
    assert json.loads(edge_agent("roster", "find", "nobody", "--config", str(kiosk), "--json").stdout) == []


def test_an_export_with_faults_changes_nothing_and_every_fault_is_named(kiosk: Path, tmp_path: Path) -> None:
    broken = tmp_path / "export"
    shutil.copytree(SAMPLES / "bulk", broken)
    users = broken / "users.csv"
    users.chmod(0o600)
    users.write_text(users.read_text("utf-8-sig").replace("true", "perhaps").replace("Қасымова", ""), "utf-8")
    local = ("--local", "--config", str(kiosk))
    refused = edge_agent("roster", "import", str(broken), *local)
    assert refused.returncode == 1
    assert "users.csv" in refused.stderr
    assert "perhaps" in refused.stderr
    assert "line 2" in refused.stderr
    untouched = json.loads(edge_agent("roster", "diff", str(SAMPLES / "bulk"), *local, "--json").stdout)
    assert untouched["removed"] == []
    assert untouched["changed"] == []


def test_an_import_into_the_ledger_succeeds_whole_or_changes_nothing(folder: Path) -> None:
    folder_options = ("--data", str(folder / "ledger"))
    assert edge_agent("ledger", "school", "sch-0151", "№ 151", *folder_options).returncode == 0
    imported = json.loads(edge_agent("roster", "import", str(SAMPLES / "bulk"), "--json", *folder_options).stdout)
    assert len(imported["added"]) == 8
    refused = edge_agent("roster", "import", str(SAMPLES / "delta"), *folder_options)
    assert refused.returncode == 1
    assert "2 of 6 pupils would vanish" in refused.stderr
    foreseen = json.loads(edge_agent("roster", "diff", str(SAMPLES / "delta"), "--json", *folder_options).stdout)
    assert sum(name.startswith("person ") for name in foreseen["removed"]) == 2
