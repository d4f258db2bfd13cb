"""The package's script on purging, run by a real shell below a folder that stands for the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.journal.export import verify_export
from tests.edge_agent.journal.samples import build_entry, open_journal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A kiosk with three rows, a key, settings and a secret; the program is this checkout."""
    state = tmp_path / "var/lib/edge-agent"
    for folder in (state, tmp_path / "opt/edge-agent/current", tmp_path / "etc/edge-agent", tmp_path / "etc/credstore"):
        folder.mkdir(parents=True)
    (tmp_path / "opt/edge-agent/current/site").symlink_to(ROOT)
    (state / "device.key").write_text("secret")
    (tmp_path / "etc/edge-agent/agent.toml").write_text("")
    (tmp_path / "etc/credstore/edge-agent.palm-key").write_text("secret")
    (tmp_path / "etc/credstore/another").write_text("not ours")
    with open_journal(state / "journal.db") as journal:
        journal.append_all([build_entry(number) for number in range(1, 4)])
    return tmp_path


def run_script(machine: Path, action: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {**os.environ, "DPKG_ROOT": str(machine), "PATH": path}
    script = str(ROOT / "packaging/kiosk/postrm")
    return subprocess.run(["sh", script, action], env=environment, capture_output=True, text=True, check=False)


def files(machine: Path) -> set[str]:
    return {
        str(path.relative_to(machine)) for path in machine.rglob("*") if path.is_file() and "site" not in path.parts
    }


def test_a_purge_destroys_nothing_while_rows_are_not_at_the_ledger(machine: Path) -> None:
    done = run_script(machine, "purge")
    assert done.returncode == 1
    assert "rows are not at the ledger" in done.stderr
    assert {
        "var/lib/edge-agent/journal.db",
        "var/lib/edge-agent/device.key",
        "etc/credstore/edge-agent.palm-key",
    } <= files(machine)


def test_a_purge_keeps_the_rows_and_nothing_else(machine: Path) -> None:
    with open_journal(machine / "var/lib/edge-agent/journal.db") as journal:
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
    done = run_script(machine, "purge")
    assert done.returncode == 0, done.stderr
    archives = list((machine / "var/lib/edge-agent-archive").iterdir())
    assert len(archives) == 1
    assert verify_export(archives[0]).broken is None
    assert files(machine) == {str(archives[0].relative_to(machine)), "etc/credstore/another"}


def test_a_purge_destroys_no_journal_that_was_set_aside(machine: Path) -> None:
    state = machine / "var/lib/edge-agent"
    with open_journal(state / "journal.db") as journal:
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
    (state / "journal.db.damaged-20261120T040000Z").write_bytes(b"rows")
    before = files(machine)
    done = run_script(machine, "purge")
    assert done.returncode == 1
    assert "edge-agent journal salvage" in done.stderr
    assert files(machine) == before


def test_removing_keeps_everything(machine: Path) -> None:
    before = files(machine)
    assert run_script(machine, "remove").returncode == 0
    assert files(machine) == before
