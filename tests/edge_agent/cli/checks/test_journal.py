"""The journal's end, looked at while no daemon runs."""

import os
import sqlite3
from pathlib import Path

import pytest

from edge_agent.cli.checks.finding import State
from edge_agent.cli.checks.journal import journal
from tests.edge_agent.cli.checks.given import kiosk, states
from tests.edge_agent.journal.given import entry, opened


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A journal of three entries that was closed."""
    folder = tmp_path / "state"
    folder.mkdir()
    with_rows = opened(folder / "journal.db")
    for number in range(3):
        with_rows.append(entry(number, f"p{number}"))
    with_rows.close()
    return folder / "journal.db"


def test_none_yet(tmp_path: Path) -> None:
    assert states(journal(kiosk(tmp_path))) == [State.LOOK]


def test_a_whole_one_is_left_as_it_is(tmp_path: Path, kept: Path) -> None:
    before = kept.read_bytes()
    [found] = journal(kiosk(tmp_path))
    assert (found.state, "row 3 " in found.detail, "3 not acknowledged" in found.detail) == (State.OK, True, True)
    assert kept.read_bytes() == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_root_leaves_nothing_there_that_the_agent_could_not_open(tmp_path: Path, kept: Path) -> None:
    for path in (kept.parent, *kept.parent.iterdir()):
        os.chown(path, 4711, 4711)
    assert states(journal(kiosk(tmp_path))) == [State.OK]
    assert {path.stat().st_uid for path in kept.parent.iterdir()} == {4711}


@pytest.mark.parametrize(
    "damage",
    ["UPDATE event SET payload = x'7b7d' WHERE seq = 2", "DELETE FROM event WHERE seq = 3", "DROP TABLE epoch"],
)
def test_a_damaged_one(tmp_path: Path, kept: Path, damage: str) -> None:
    connection = sqlite3.connect(kept)
    for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert states(journal(kiosk(tmp_path))) == [State.FAILS]


def test_one_that_is_no_database(tmp_path: Path, kept: Path) -> None:
    kept.write_bytes(b"\xff" * 8_192)
    assert states(journal(kiosk(tmp_path))) == [State.FAILS]
