"""The day on the staff's page comes from the journal: after a restart too, with voided rows."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.domain.roster import build_roster
from edge_agent.runtime.staff_day import describe_people, list_ticks, read_day
from sync.contract.event import ClockQuality, GuestMeals, Manual, Method
from sync.contract.roster import Credential, Entitlement, MealSession, Person, Programme, Record
from tests.edge_agent.journal.samples import build_entry, build_exit, build_void, open_journal

NOON = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DAY = "2026-11-23"
RECORDS: list[Record] = [
    Person(id="p1", given_name="Әлия", family_name="Ким", group="10 «А»"),
    Person(id="p2", given_name="Әлия", family_name="Ким", group="10 «А»"),
    Person(id="p3", given_name="Дана", family_name="Ли", group="2 «Б»"),
    Person(id="p4", given_name="Ерлан", family_name="Цой", group="2 «Ә»"),
    Person(id="p5", given_name="Жан", family_name="Юн", group="2 «А»"),
    Programme(id="state", name="State"),
    *(Entitlement(id=f"e{number}", person=f"p{number}", programme="state") for number in range(1, 5)),
    Credential(id="c1", person="p1", value="048CDE7AC12F80"),
    Credential(id="c2", person="p2", value="048CDE7AC15555"),
    Credential(id="c0", person="p2", value="048CDE7AC19999", blocked="lost"),
    MealSession(id="lunch", name="Lunch", name_kk="Түскі ас", start="09:30", end="14:00"),
    MealSession(id="breakfast", name="Breakfast", start="07:30", end="08:30"),
    MealSession(id="sunday", name="Sunday", start="09:30", end="14:00", weekdays=(7,)),
]
ROSTER = build_roster(RECORDS, school="school-1", version=1, confirmed_at=NOON, tz=ZoneInfo("Asia/Almaty"))


def test_the_day_stands_after_a_restart_with_voided_rows_and_those_who_did_not_eat(tmp_path: Path) -> None:
    with closing(open_journal(tmp_path / "journal.db")) as journal:
        first = journal.append(build_entry(1, "p1", day=DAY))
        second = journal.append(build_entry(2, "p3", day=DAY))
        journal.append(build_exit(3, "p1", first.epoch, first.seq, day=DAY))
        journal.append(build_entry(4, "p4", day="2026-11-22"))
        journal.append(build_void(5, "p3", second.epoch, second.seq))
        journal.append(
            Manual(
                school="school-1", at="2026-11-23T05:05:00Z", boot="b", mono_ms=6, clock=ClockQuality.SYNCHRONISED,
                person="p9", session="lunch", service_date=DAY, method=Method.MANUAL, operator="Cook", note="lost_card",
            )
        )  # fmt: skip
    with closing(open_journal(tmp_path / "journal.db")) as journal:
        board = read_day(ROSTER, NOON, journal.day_entries)
    assert board.day == DAY
    assert [(row.name, row.at, row.method, row.voided, row.operator, row.reason) for row in board.rows] == [
        ("", "10:05", "manual", False, "Cook", "lost_card"),  # gone from the roster since
        ("Дана Ли", "09:40", "card", True, "", ""),
        ("Әлия Ким", "09:40", "card", False, "", ""),
    ]
    assert (board.rows[1].epoch, board.rows[1].seq) == (second.epoch, second.seq)
    breakfast, lunch = board.sessions
    assert (breakfast.session, breakfast.starts, breakfast.eaten, len(breakfast.waiting)) == (
        "breakfast",
        "07:30",
        0,
        4,
    )
    assert (lunch.session, lunch.name_kk, lunch.ends, lunch.eaten) == ("lunch", "Түскі ас", "14:00", 2)
    assert [person.person for person in lunch.waiting] == ["p4", "p3", "p2"]  # 2 «Ә», 2 «Б», 10 «А»


def test_guests_stand_beside_the_children_and_never_among_them(tmp_path: Path) -> None:
    guests = GuestMeals(
        school="school-1", at="2026-11-23T05:05:00Z", boot="b", clock=ClockQuality.SYNCHRONISED, mono_ms=6,
        counted=5, payer="guest", operator="Cook", note="inspection", session="lunch", service_date=DAY,
    )  # fmt: skip
    with closing(open_journal(tmp_path / "journal.db")) as journal:
        journal.append(build_entry(1, "p1", day=DAY))
        journal.append(guests)
        voided = journal.append(guests)
        journal.append(build_void(4, "", voided.epoch, voided.seq))
    with closing(open_journal(tmp_path / "journal.db")) as journal:
        board = read_day(ROSTER, NOON, journal.day_entries)
    assert [(row.guests, row.payer, row.reason, row.voided, row.name) for row in board.rows] == [
        (5, "guest", "inspection", True, ""), (5, "guest", "inspection", False, ""), (0, "", "", False, "Әлия Ким"),
    ]  # fmt: skip
    _, lunch = board.sessions
    assert (lunch.eaten, lunch.guests) == (1, 5)


def test_the_tick_list_of_a_class_has_the_entries_of_the_present_meal(tmp_path: Path) -> None:
    with closing(open_journal(tmp_path / "journal.db")) as journal:
        entry = journal.append(build_entry(1, "p1", day=DAY))
        voided = journal.append(build_entry(2, "p2", day=DAY))
        journal.append(build_void(3, "p2", voided.epoch, voided.seq))
        ticks = list_ticks(ROSTER, "10 «А»", NOON, journal.day_entries)
        morning = list_ticks(ROSTER, "10 «А»", NOON.replace(hour=3), journal.day_entries)
    assert [(tick.person, tick.apart, tick.at, tick.epoch, tick.seq) for tick in ticks] == [
        ("p1", "2F80", "09:40", entry.epoch, entry.seq),
        ("p2", "5555", "", "", 0),
    ]
    assert [tick.at for tick in morning] == ["", ""]  # breakfast: the lunch counts for nothing


def test_namesakes_are_told_apart_by_the_end_of_a_card_that_is_not_blocked() -> None:
    people = describe_people([ROSTER.people["p1"], ROSTER.people["p2"], ROSTER.people["p3"]], ROSTER)
    assert [person.apart for person in people] == ["2F80", "5555", ""]
