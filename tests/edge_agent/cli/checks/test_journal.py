"""Checks of the journal while no daemon runs."""

import os
import sqlite3
from pathlib import Path

import pytest

from edge_agent.cli.checks.finding import FindingState
from edge_agent.cli.checks.journal import check_journal
from tests.edge_agent.cli.checks.kiosk import kiosk, states
from tests.edge_agent.journal.samples import build_entry, open_journal


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    """A journal of three entries that was closed."""
    folder = tmp_path / "state"
    folder.mkdir()
    with_rows = open_journal(folder / "journal.db")
    for number in range(3):
        with_rows.append(build_entry(number, f"p{number}"))
    with_rows.close()
    return folder / "journal.db"


def test_there_is_no_journal_yet(tmp_path: Path) -> None:
    assert states(check_journal(kiosk(tmp_path))) == [FindingState.ATTENTION]


def test_a_sound_journal_stays_unchanged(tmp_path: Path, journal_path: Path) -> None:
    before = journal_path.read_bytes()
    [finding] = check_journal(kiosk(tmp_path))
    assert (finding.state, "row 3 " in finding.detail, "3 not acknowledged" in finding.detail) == (
        FindingState.GOOD,
        True,
        True,
    )
    assert journal_path.read_bytes() == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_root_leaves_no_file_of_its_own(tmp_path: Path, journal_path: Path) -> None:
    for path in (journal_path.parent, *journal_path.parent.iterdir()):
        os.chown(path, 4711, 4711)
    assert states(check_journal(kiosk(tmp_path))) == [FindingState.GOOD]
    assert {path.stat().st_uid for path in journal_path.parent.iterdir()} == {4711}


@pytest.mark.parametrize(
    "damage",
    ["UPDATE event SET payload = x'7b7d' WHERE seq = 2", "DELETE FROM event WHERE seq = 3", "DROP TABLE epoch"],
)
def test_a_damaged_journal(tmp_path: Path, journal_path: Path, damage: str) -> None:
    connection = sqlite3.connect(journal_path)
    for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert states(check_journal(kiosk(tmp_path))) == [FindingState.FAILURE]


def test_a_file_that_is_no_database(tmp_path: Path, journal_path: Path) -> None:
    journal_path.write_bytes(b"\xff" * 8_192)
    assert states(check_journal(kiosk(tmp_path))) == [FindingState.FAILURE]
