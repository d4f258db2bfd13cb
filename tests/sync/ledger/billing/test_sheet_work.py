"""Acts on a sheet from end to end: the month that closes with its last sheet, and the classes of its time."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sync.contract.roster import Change, ClosedDay, DeletedRecord, Entitlement, MealSession, Person
from sync.ledger.billing import sheet_store, sheet_work, terms
from sync.ledger.billing.sheet_facts import read_school_month
from sync.ledger.registry import rosters
from sync.money.calendars import Calendar
from sync.money.canonical import decode_sheet
from sync.money.errors import ActRefused
from sync.money.months import Month
from sync.money.protocol import SheetSide
from sync.money.sheet import SheetSubject
from sync.money.tariffs import TariffBook
from tests.sync.ledger.billing.sheet_school import boot, meal
from tests.sync.ledger.billing.test_sheets import Party
from tests.sync.ledger.kiosk import Kiosk, accepted

NOW = datetime.now(UTC) + timedelta(days=1)  # after the events came
MONTH = "2025-11"


@pytest.fixture
def priced(db: psycopg.Connection, lunch: str, calendar: Calendar, tariffs: TariffBook) -> str:
    """The school with a calendar and tariffs."""
    terms.import_calendar(db, lunch, calendar, by="city", now=NOW)
    terms.import_tariffs(db, lunch, tariffs, by="city", now=NOW)
    return lunch


def closed_months(db: psycopg.Connection, school: str) -> list[str]:
    return [row[0] for row in db.execute("SELECT month FROM closed_month WHERE school = %s", (school,))]


def test_the_month_closes_for_newer_rosters_with_its_last_sheet(
    db: psycopg.Connection, priced: str, kiosk: Kiosk
) -> None:
    kiosk.record(meal("u1", priced, 3))
    accepted(kiosk.send_all())
    parties = [Party(db, priced, side) for side in (SheetSide.CATERER, SheetSide.SCHOOL)]
    subjects = [SheetSubject(priced, programme, MONTH) for programme in ("state", "paid")]
    for subject in subjects:
        sheet_work.propose(db, subject, by="cook", now=NOW)
        for party in parties:
            party.hand_in(subject, sheet_store.read_version(db, subject).body)
    sheet_work.close(db, subjects[0], by="city", now=NOW)
    assert closed_months(db, priced) == []
    sheet_work.close(db, subjects[1], by="city", now=NOW)
    assert closed_months(db, priced) == [MONTH]
    assert sheet_work.close(db, subjects[1], by="city", now=NOW).recognised


def test_the_month_stays_open_while_a_programme_with_meals_has_no_closed_sheet(
    db: psycopg.Connection, priced: str, kiosk: Kiosk
) -> None:
    """Who makes one sheet after the other must not lose what is granted with effect from an earlier day meanwhile."""
    rosters.apply_changes(db, priced, [Entitlement(id="u3.paid", person="u3", programme="paid", priority=-1)])
    kiosk.record(meal("u1", priced, 3), meal("u3", priced, 3, 1))
    accepted(kiosk.send_all())
    subjects = [SheetSubject(priced, programme, MONTH) for programme in ("state", "paid")]
    parties = [Party(db, priced, side) for side in (SheetSide.CATERER, SheetSide.SCHOOL)]
    for subject, is_closed in zip(subjects, ([], [MONTH]), strict=True):
        sheet_work.propose(db, subject, by="cook", now=NOW)
        for party in parties:
            party.hand_in(subject, sheet_store.read_version(db, subject).body)
        sheet_work.close(db, subject, by="city", now=NOW)
        assert closed_months(db, priced) == is_closed
        assert sheet_work.list_open_programmes(db, subject) == ([] if is_closed else ["paid"])


def test_no_sheet_closes_before_its_month_is_over(db: psycopg.Connection, priced: str, kiosk: Kiosk) -> None:
    kiosk.record(meal("u1", priced, 3))
    accepted(kiosk.send_all())
    subject = SheetSubject(priced, "state", MONTH)
    sheet_work.propose(db, subject, by="cook", now=NOW)
    for side in (SheetSide.CATERER, SheetSide.SCHOOL):
        Party(db, priced, side).hand_in(subject, sheet_store.read_version(db, subject).body)
    evening = datetime(2025, 11, 30, 18, 59, tzinfo=UTC)  # one minute before midnight at the school
    with pytest.raises(ActRefused, match="days that are still to come: 2025-11 lasts until 2025-11-30; close it from"):
        sheet_work.close(db, subject, by="city", now=evening)
    sheet_work.close(db, subject, by="city", now=evening + timedelta(minutes=1))
    assert closed_months(db, priced) == [MONTH]


def test_an_event_that_comes_after_both_have_signed_keeps_the_sheet_from_closing(
    db: psycopg.Connection, priced: str, kiosk: Kiosk
) -> None:
    kiosk.record(meal("u1", priced, 3))
    accepted(kiosk.send_all())
    subject = SheetSubject(priced, "state", MONTH)
    sheet_work.propose(db, subject, by="cook", now=NOW)
    for side in (SheetSide.CATERER, SheetSide.SCHOOL):
        Party(db, priced, side).hand_in(subject, sheet_store.read_version(db, subject).body)
    kiosk.record(meal("u2", priced, 4))
    accepted(kiosk.send(2, 2))
    with pytest.raises(ActRefused, match=r"rows of .* have changed since version 1; propose it again"):
        sheet_work.close(db, subject, by="city", now=NOW)
    assert sheet_store.read_process(db, subject).closing is None


def test_meals_are_owed_by_the_timetable_that_was_in_force(db: psycopg.Connection, priced: str, kiosk: Kiosk) -> None:
    """From the 17th on lunch is served on Thursdays alone, and there is a dinner. A closed day is told afterwards."""
    db.execute("UPDATE roster_version SET in_force = '2025-09-01' WHERE school = %s", (priced,))
    kiosk.record(meal("u1", priced, 3), boot(priced, 4, 30), boot(priced, 18, 31))
    accepted(kiosk.send_all())
    changed: list[Change] = [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10", weekdays=(4,)),
        MealSession(id="dinner", name="Dinner", start="17:00", end="18:00", weekdays=(5,)),
        ClosedDay(id="2025-11-06"),
    ]
    rosters.apply_changes(db, priced, changed, in_force=datetime(2025, 11, 17, tzinfo=UTC))
    subject = SheetSubject(priced, "state", MONTH)
    sheet_work.propose(db, subject, by="cook", now=NOW)
    rows = {row.key: row for row in decode_sheet(sheet_store.read_version(db, subject).body).rows}
    assert rows["u1", "lunch"].absent == (4, 5, 7, 10, 11, 12, 13, 14, 20, 27)
    assert rows["u2", "lunch"].down == (
        4,
        5,
        7,
        10,
        11,
        12,
        13,
        14,
    )  # away from the 4th to the 18th
    assert rows["u2", "dinner"].absent == (21, 28)


def test_people_are_taken_as_they_were_at_the_months_end(db: psycopg.Connection, lunch: str) -> None:
    """The next school year moves everybody up a class, and takes the leavers off."""
    db.execute("UPDATE roster_version SET in_force = '2025-09-01' WHERE school = %s", (lunch,))
    moved = Person(id="u1", given_name="Арман", family_name="Әлиев", grade="06", group="6 «А»")
    arrived = Person(id="u4", given_name="Жанна", family_name="Тілеу", grade="06", group="6 «А»")
    rosters.apply_changes(db, lunch, [moved, arrived, DeletedRecord(deleted_type="person", id="u2")])
    people = {person.person: person.grade for person in read_school_month(db, lunch, Month.parse(MONTH)).people}
    assert people == {"u1": "05", "u2": "05", "u3": "05", "u4": "06"}
    later = Month(NOW.year + 1, 1)
    people = {person.person: person.grade for person in read_school_month(db, lunch, later).people}
    assert people == {"u1": "06", "u2": "05", "u3": "05", "u4": "06"}
