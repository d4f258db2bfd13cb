"""Whom the roster has no longer, no byte of the journal's files names."""

import random
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from edge_agent.journal.migrate import migrate
from edge_agent.journal.schema.migrations import migrations
from edge_agent.journal.store import connect
from sync.contract.roster import Change, Credential, DeletedRecord, Person, Record, RosterPage, record_type, to_json
from tests.edge_agent.journal.samples import NOON, build_entry, open_journal

PEOPLE = 300


def make_records(dice: random.Random, name: str) -> list[Record]:
    """Returns a person with a card: names and numbers of different lengths, none a part of another."""
    family = f"Family{name}z" + "y" * dice.randrange(40)
    return [
        Person(id=name, given_name=f"Given{name}z", family_name=family),
        Credential(id=f"{name}.card1", person=name, value=f"04CA{name}FE" + "0" * dice.randrange(6)),
    ]


def build_page(since: int, version: int, changes: list[Change], *, whole: bool) -> RosterPage:
    return RosterPage(school="school-1", since=since, version=version, changes=tuple(changes), whole=whole)


def find_traces(folder: Path, names: list[str]) -> list[str]:
    """Returns which of these people some file in the folder names by name or by card."""
    content = b"\n".join(file.read_bytes() for file in sorted(folder.iterdir()))
    return [name for name in names if f"{name}z".encode() in content or f"04CA{name}FE".encode() in content]


@pytest.mark.parametrize("whole", [False, True])
def test_whoever_leaves_the_roster_is_in_no_file(tmp_path: Path, whole: bool) -> None:
    """By changes, or by a whole roster, as a kiosk gets it that was offline for weeks."""
    dice = random.Random(11)
    names = [f"{dice.getrandbits(64):016x}" for _ in range(PEOPLE)]
    records: dict[str, list[Record]] = {name: make_records(dice, name) for name in names}
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply([build_page(0, 1, [each for name in names for each in records[name]], whole=True)], NOON)
        for version in range(2, 5):  # classes change, and rows move from page to page
            moved = dice.sample(names, 60)
            records |= {name: make_records(dice, name) for name in moved}
            changes: list[Change] = [record for name in moved for record in records[name]]
            journal.roster.apply([build_page(version - 1, version, changes, whole=False)], NOON)
            journal.append(build_entry(version, names[0]))
        gone = dice.sample(names, 40)
        staying: list[Change] = [each for name in names if name not in gone for each in records[name]]
        deleted: list[Change] = [
            DeletedRecord(deleted_type=record_type(each), id=each.id) for name in gone for each in records[name]
        ]
        journal.roster.apply([build_page(0 if whole else 4, 5, staying if whole else deleted, whole=whole)], NOON)
        assert find_traces(tmp_path, gone) == []
        left = [name for name in names if name not in gone]
        assert len(find_traces(tmp_path, left)) == len(left)


def test_what_an_older_version_left_in_the_file_is_overwritten_once(tmp_path: Path) -> None:
    dice, path = random.Random(12), tmp_path / "j.db"
    names = [f"{dice.getrandbits(64):016x}" for _ in range(PEOPLE)]
    with closing(connect(path)) as connection:
        migrations.apply(Database(connection), stop_before="0090_overwritten")
        connection.execute("PRAGMA secure_delete = OFF")  # some builds of SQLite have it on
        for name in names:
            for record in make_records(dice, name):
                row = (record_type(record), record.id, to_json(record))
                connection.execute("INSERT INTO roster (type, id, record) VALUES (?, ?, ?)", row)
        for name in names[: PEOPLE // 2]:
            connection.execute("DELETE FROM roster WHERE id IN (?, ?)", (name, f"{name}.card1"))
    gone = names[: PEOPLE // 2]
    assert find_traces(tmp_path, gone) != []
    migrate(path)
    assert find_traces(tmp_path, gone) == []
    with open_journal(path) as journal:
        assert len(journal.roster.records()) == PEOPLE
