"""The roster comes into force whole or not at all."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.journal.errors import RosterMismatch
from edge_agent.journal.journal import Journal
from sync.contract.roster import Change, Credential, DeletedRecord, Person, Record, RosterPage, School, record_type
from tests.edge_agent.journal.samples import NOON, build_entry, open_journal


def build_page(
    since: int, version: int, *changes: Change, more: bool = False, whole: bool = False, school: str = "school-1"
) -> RosterPage:
    return RosterPage(school=school, since=since, version=version, changes=changes, more=more, whole=whole)


def build_person(id_: str, name: str = "Айгүл") -> Person:
    return Person(id=id_, given_name=name, family_name="С.")


def build_card(id_: str, owner: str) -> Credential:
    return Credential(id=id_, person=owner, value="0A1B2C3D4E")


def read_keys(journal: Journal) -> list[tuple[str, str]]:
    return [(record_type(record), record.id) for record in journal.roster.records()]


FIRST = (
    build_page(0, 3, School(id="school-1", name="№ 1"), build_person("u1"), more=True, whole=True),
    build_page(0, 3, build_person("u2"), build_card("c1", "u1"), build_card("c2", "u2"), whole=True),
)


def test_a_whole_roster_and_then_changes(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        assert journal.roster.confirmed_at() is None
        assert journal.roster.records() == []
        change = journal.roster.apply(FIRST, NOON)
        assert (change.version, change.people, change.credentials, change.records_written) == (3, 2, 2, 5)
        change = journal.roster.apply(
            [
                build_page(
                    3,
                    5,
                    build_person("u1", "Айша"),
                    DeletedRecord(deleted_type="credential", id="c2"),
                    DeletedRecord(deleted_type="person", id="nobody"),
                )
            ],
            NOON,
        )
        assert (change.version, change.people, change.credentials) == (5, 2, 1)
        assert (change.records_written, change.records_deleted) == (1, 1)
    with open_journal(path) as journal:
        assert journal.roster.version() == 5
        assert journal.roster.confirmed_at() == NOON
        assert read_keys(journal) == [("credential", "c1"), ("person", "u1"), ("person", "u2"), ("school", "school-1")]
        assert build_person("u1", "Айша") in journal.roster.records()


def test_the_last_word_about_a_record_counts(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply(FIRST, NOON)
        journal.roster.apply(
            [
                build_page(3, 4, build_person("u9"), DeletedRecord(deleted_type="person", id="u1"), more=True),
                build_page(3, 4, DeletedRecord(deleted_type="person", id="u9"), build_person("u1", "Айша")),
            ],
            NOON,
        )
        assert [key for key in read_keys(journal) if key[0] == "person"] == [("person", "u1"), ("person", "u2")]


def test_a_whole_roster_deletes_records_that_it_does_not_name(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply(FIRST, NOON)
        change = journal.roster.apply(
            [build_page(0, 2, build_person("u2"), whole=True)], NOON
        )  # the ledger came from a backup
        assert (change.version, change.records_written, change.records_deleted) == (2, 0, 4)
        assert read_keys(journal) == [("person", "u2")]


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([], "no pages"),
        (FIRST[:1], "not one roster"),
        (FIRST[1:] + FIRST[:1], "not one roster"),
        ((FIRST[0], build_page(0, 4, whole=True)), "not one roster"),
        ([build_page(2, 4, build_person("u9"))], "changes since version 2"),
        ([build_page(0, 4, build_person("u9"), whole=True, school="school-2")], "school-2"),
    ],
)
def test_pages_that_do_not_belong_together_change_nothing(
    tmp_path: Path, pages: Sequence[RosterPage], said: str
) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply(FIRST, NOON)
        before = journal.roster.records()
        with pytest.raises(RosterMismatch, match=said):
            journal.roster.apply(pages, NOON)
        assert journal.roster.records() == before
        assert journal.roster.version() == 3


def test_an_interrupted_change_leaves_the_old_roster(tmp_path: Path) -> None:
    """The disk refuses in the middle of it: a trigger stands for the disk."""
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply(FIRST, NOON)
        before = journal.roster.records()
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TRIGGER disk_fails BEFORE INSERT ON roster WHEN NEW.id = 'u500' BEGIN SELECT RAISE(FAIL, 'disk'); END"
    )
    connection.close()
    with open_journal(path) as journal:
        newer = [build_page(0, 4, *(build_person(f"u{number}") for number in range(1_000)), whole=True)]
        with pytest.raises(Exception, match="disk"):
            journal.roster.apply(newer, NOON)
        assert journal.roster.version() == 3
        assert journal.roster.records() == before
        journal.append(build_entry(1))  # and the next child is served


def test_a_confirmed_roster_is_young_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply(FIRST, NOON)
        journal.roster.confirm(NOON.replace(hour=11))
    with open_journal(path) as journal:
        assert journal.roster.confirmed_at() == NOON.replace(hour=11)
        assert journal.roster.version() == 3


def test_a_record_nobody_can_read_asks_for_the_whole_roster(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply(FIRST, NOON)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE roster SET record = x'7b7dff' WHERE id = 'u1'")
    connection.close()
    with open_journal(path) as journal:
        with pytest.raises(RosterMismatch, match="whole roster"):
            journal.roster.records()
        journal.roster.apply(FIRST, NOON)
        assert len(journal.roster.records()) == 5


def test_a_whole_roster_of_five_thousand_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    people: list[Record] = [build_person(f"u{number}") for number in range(5_000)]
    cards = [build_card(f"c{number}", f"u{number}") for number in range(5_000)]
    whole = [build_page(0, 1, *people, more=True, whole=True), build_page(0, 1, *cards, whole=True)]
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply(whole, NOON)
        assert len(journal.roster.records()) == 10_000
        change = journal.roster.apply(whole, NOON)
        assert change.records_written == change.records_deleted == 0


def test_a_mark_holds_its_last_value(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        assert journal.marks.read("stopped") is None
        journal.marks.write({"stopped": "yes"})
        journal.marks.write({"stopped": "no"})
        assert journal.marks.read("stopped") == "no"
