"""One random name a person and school, found again by every later import."""

from datetime import UTC, datetime

import psycopg

from sync.contract.roster import Credential, Person
from sync.ledger.billing.categories import import_categories, read_categories
from sync.ledger.billing.payers import replace_numbers
from sync.ledger.migrate import steps
from sync.ledger.registry import rosters, schools
from sync.ledger.registry.payer_numbers import read_numbers
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import choose_surrogates, draw_surrogate, find_source_ids, find_surrogates
from sync.money.months import Month
from tests.vectors import find_vector

SAMPLES = find_vector("canteen/oneroster12")
ON = "2026-11-22"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
CARDS = {"cards.csv": b"userSourcedId,number\nu-2,04A2B3C4D5E602\n"}


def bring(db: psycopg.Connection, school: str) -> None:
    import_export(db, {**read_export(SAMPLES / "bulk"), **CARDS}, [school], date=ON, org="sch-0151")


def find(db: psycopg.Connection, school: str, source_id: str) -> str:
    return find_surrogates(db, school, [source_id])[source_id]


def test_a_roster_names_nobody_by_the_sources_id_and_a_second_import_changes_nothing(
    db: psycopg.Connection, school: str
) -> None:
    bring(db, school)
    records = rosters.read_records(db, school)
    people = [record for record in records if isinstance(record, Person)]
    assert all(len(person.id) == 26 for person in people)
    [card] = [record for record in records if isinstance(record, Credential)]
    assert (card.person, card.id) == (find(db, school, "u-2"), f"{find(db, school, 'u-2')}.card1")
    bring(db, school)
    assert rosters.read_version(db, school) == 1
    assert rosters.read_records(db, school) == records


def test_two_schools_know_one_child_by_two_names(db: psycopg.Connection, school: str) -> None:
    other = f"{school}-b"
    schools.add_school(db, other, "Other")
    bring(db, school)
    bring(db, other)
    assert find(db, school, "u-2") != find(db, other, "u-2")


def test_files_of_the_office_name_people_by_either_id(db: psycopg.Connection, school: str) -> None:
    bring(db, school)
    child, other = find(db, school, "u-2"), find(db, school, "u-1")
    done = import_categories(db, school, {"u-2": "b", other: "c", "erased": "d"}, by="o", now=NOW)
    assert (done.people, done.erased) == (2, 1)
    assert read_categories(db, school, Month(2026, 11)) == {child: "b", other: "c"}
    replace_numbers(db, school, [("1" * 64, "u-2"), ("2" * 64, other), ("3" * 64, "erased")])
    assert read_numbers(db, school) == {"1" * 64: (child,), "2" * 64: (other,)}


def test_whoever_was_known_by_the_sources_id_keeps_it(db: psycopg.Connection, school: str) -> None:
    rosters.apply_changes(db, school, [Person(id=id_, given_name="А", family_name="Б") for id_ in ("old", "gone")])
    db.execute("INSERT INTO erased_person VALUES (%s, 'gone', %s)", (school, NOW))
    adoption = dict(steps())[90].split(";")[-2].replace("WHERE type", f"WHERE school = '{school}' AND type", 1)
    db.execute(adoption.encode())
    named = choose_surrogates(db, school, ["old", "gone", "new"])
    assert named["old"] == "old"
    assert len({named["gone"], named["new"], "gone", "new"}) == 4


def test_an_import_for_kiosks_that_began_with_a_stick_keeps_the_sources_ids(
    db: psycopg.Connection, school: str
) -> None:
    import_export(db, read_export(SAMPLES / "bulk"), [school], date=ON, org="sch-0151", keep_ids=True)
    people = {record.id for record in rosters.read_records(db, school) if isinstance(record, Person)}
    known = find_source_ids(db, school, people)
    assert known == {person: person for person in people}
    import_export(db, read_export(SAMPLES / "bulk"), [school], date=ON, org="sch-0151")
    assert {record.id for record in rosters.read_records(db, school) if isinstance(record, Person)} == people


def test_names_are_drawn_by_chance() -> None:
    drawn = {draw_surrogate() for _ in range(100)}
    assert len(drawn) == 100
    assert all(len(name) == 26 and name.isalnum() and name == name.lower() for name in drawn)
