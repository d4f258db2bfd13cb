"""The sheet: who is on it, what is billed, its bytes."""

import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.contract.event import Claim
from sync.money.building import SheetFacts, build_correction, build_sheet
from sync.money.calendars import Calendar
from sync.money.canonical import decode_sheet, digest_sheet, encode_sheet
from sync.money.errors import SheetUnreadable, TermsMissing
from sync.money.sheet import OutageKind, Sheet, SheetObjection, SheetOutage, SheetSubject, find_corrections, sum_billed
from sync.money.tariffs import TariffBook
from tests.sync.money.school import MONTH, PRICE, SUBJECT, facts, pupil, visit

# November 2025: taught on 3-7, 10-14, 17-21, 24-28.
TAUGHT = tuple(day for week in (3, 10, 17, 24) for day in range(week, week + 5))
OUTAGE = SheetOutage(4, "lunch", "sch-1-k1", "e1", 7, OutageKind.BOOT)


@pytest.fixture
def november(calendar: Calendar, tariffs: TariffBook) -> SheetFacts:
    return facts(
        [
            visit("p1", 3), visit("p1", 4), visit("p1", 5, claim=Claim.HELD), visit("p1", 6, claim=Claim.SECOND),
            visit("p1", 7, claim=Claim.NONE), visit("p1", 8), visit("p2", 3, claim=Claim.PENDING),
            visit("p4", 3, programme="paid"), visit("p9", 3),
        ],
        [pupil("p1"), pupil("p2", last="2025-11-07"), pupil("p3"), pupil("p4", programme="paid")],
        calendar, tariffs, [OUTAGE],
    )  # fmt: skip


def test_child_by_day_with_everybody_who_was_entitled(november: SheetFacts) -> None:
    sheet = build_sheet(SUBJECT, 1, november)
    p1, p2, p3, p9 = sheet.rows
    assert [row.person for row in sheet.rows] == ["p1", "p2", "p3", "p9"]  # p9 is billed, whoever they are
    assert (p1.days, p1.tiyn, p1.held, p1.outside) == ((3, 4), 2 * PRICE, (5,), (8,))  # the 8th is a Saturday
    assert p1.absent == tuple(day for day in TAUGHT if day not in (3, 4, 5))
    assert p1.down == ()  # p1 ate on the day of the outage
    assert (p2.days, p2.pending, p2.absent, p2.down) == ((), (3,), (4, 5, 6, 7), (4,))
    assert (p3.days, p3.tiyn, p3.absent, p3.down) == ((), 0, TAUGHT, (4,))
    assert (p9.days, p9.absent) == ((3,), ())
    assert (sheet.meals, sheet.tiyn) == (3, 3 * PRICE)
    assert [(day.day, day.meals) for day in sheet.days] == [(3, 2), (4, 1)]
    assert sheet.outages == (OUTAGE,)


def test_grade_one_and_closed_days_owe_no_meal(calendar: Calendar, tariffs: TariffBook, november: SheetFacts) -> None:
    february = SheetSubject("sch-1", "state", "2026-02")
    people = [pupil("small", grade="01"), pupil("big", grade="05")]
    small, big = sorted(
        build_sheet(february, 1, facts([], people, calendar, tariffs)).rows, key=lambda row: -len(row.person)
    )
    assert set(big.absent) - set(small.absent) == {9, 10, 11, 12, 13}
    closed = replace(november.timetable, closed_days=frozenset({"2025-11-10"}))
    sheet = build_sheet(SUBJECT, 1, replace(november, timetable=closed))
    assert sheet.rows[2].absent == tuple(day for day in TAUGHT if day != 10)


def test_a_daily_mark_counts_a_day_once_in_whichever_session(calendar: Calendar, tariffs: TariffBook) -> None:
    weeks = msgspec.structs.replace(calendar, kind="club")
    people = [pupil("p1", programme="club", sessions=())]
    visits = [visit("p1", 3, programme="club"), visit("p1", 3, 9, programme="club", session="breakfast")]
    sheet = build_sheet(SheetSubject("sch-1", "club", MONTH), 1, facts(visits, people, weeks, tariffs))
    (row,) = sheet.rows
    assert (row.session, row.days, row.tiyn) == ("", (3,), 60000)
    meals = build_sheet(
        SUBJECT, 1, facts([replace(visit, programme="state") for visit in visits], [pupil("p1")], calendar, tariffs)
    )
    assert [(row.session, row.days) for row in meals.rows] == [("breakfast", (3,)), ("lunch", (3,))]


def test_a_category_has_its_price_and_does_not_stand_on_the_sheet(calendar: Calendar, tariffs: TariffBook) -> None:
    people = [pupil("p1", category="c2"), pupil("p2")]
    sheet = build_sheet(SUBJECT, 1, facts([visit("p1", 3), visit("p2", 3)], people, calendar, tariffs))
    assert [row.tiyn for row in sheet.rows] == [105000, PRICE]
    assert b"c2" not in encode_sheet(sheet)
    camp = SheetSubject("sch-1", "camp", MONTH)
    with pytest.raises(TermsMissing, match="no price for camp"):
        build_sheet(camp, 1, facts([visit("p1", 3, programme="camp")], people, calendar, tariffs))


def test_the_bytes_are_canonical_whatever_the_order(november: SheetFacts) -> None:
    content = encode_sheet(build_sheet(SUBJECT, 1, november))
    for seed in range(5):
        dice = random.Random(seed)
        visits, people = [*november.visits], [*november.people]
        dice.shuffle(visits)
        dice.shuffle(people)
        assert encode_sheet(build_sheet(SUBJECT, 1, replace(november, visits=visits, people=people))) == content
    assert encode_sheet(decode_sheet(content)) == content
    assert digest_sheet(encode_sheet(build_sheet(SUBJECT, 2, november))) != digest_sheet(content)
    assert content.startswith(b'{"calendar":"')
    assert content.endswith(b'{"line":"total","meals":3,"rows":4,"tiyn":270300}\n')
    assert content.count(b"\n") == 1 + 1 + 4 + 2 + 1


@pytest.mark.parametrize(
    "edit",
    [
        (b'"meals":3', b'"meals":4'),
        (b'"tiyn":270300', b'"tiyn":270301'),
        (b'"days":[3,4]', b'"days":[4,3]'),
        (b'"days":[3,4]', b'"days":[3,4,32]'),
        (b'"person":"p9"', b'"person":"p3"'),
        (b'"person":"p9"', b'"person":"p0"'),
        (b'"line":"total"', b'"line":"sum"'),
        (b"canteen-sheet/1", b"canteen-sheet/2"),
        (b"\n", b"\r\n"),
        (b'{"calendar"', b' {"calendar"'),
        (b'"rows":4,"tiyn":270300}\n', b'"rows":4,"tiyn":270300}'),
        (b'"version":1', b'"version":1,"x":1'),
    ],
)
def test_bytes_that_differ_are_no_sheet(november: SheetFacts, edit: tuple[bytes, bytes]) -> None:
    content = encode_sheet(build_sheet(SUBJECT, 1, november))
    assert edit[0] in content
    with pytest.raises(SheetUnreadable):
        decode_sheet(content.replace(*edit, 1))


def test_a_correction_holds_the_difference_to_what_was_closed(november: SheetFacts) -> None:
    closed = build_sheet(SUBJECT, 1, november)
    base = [(digest_sheet(encode_sheet(closed)), closed)]
    first = replace(SUBJECT, number=1)
    assert build_correction(first, 1, november, base).corrections == ()
    kept_visits = [each for each in november.visits if each.person != "p9"]
    later = replace(november, visits=[*kept_visits, visit("p3", 5), visit("p1", 6, 99)])
    correction = build_correction(first, 1, later, base)
    rows = {row.person: (row.added, row.dropped, row.tiyn) for row in correction.corrections}
    assert rows == {"p1": ((6,), (), PRICE), "p3": ((5,), (), PRICE), "p9": ((), (3,), -PRICE)}
    assert (correction.meals, correction.tiyn, correction.base) == (1, PRICE, (base[0][0],))
    assert decode_sheet(encode_sheet(correction)) == correction
    assert build_correction(replace(SUBJECT, number=2), 1, later, [*base, ("d1", correction)]).corrections == ()


days = st.frozensets(st.integers(1, 28))


@settings(max_examples=40, deadline=None)
@given(states=st.lists(st.dictionaries(st.sampled_from(["p1", "p2", "p3"]), days), min_size=2, max_size=5))
def test_a_closed_month_and_its_corrections_sum_to_the_newest_state(
    states: list[dict[str, frozenset[int]]], calendar: Calendar, tariffs: TariffBook
) -> None:
    def whole(state: dict[str, frozenset[int]]) -> Sheet:
        visits = [visit(person, day) for person, days in state.items() for day in days]
        return build_sheet(SUBJECT, 1, facts(visits, [], calendar, tariffs))

    closed = [whole(states[0])]
    for number, state in enumerate(states[1:], 1):
        rows = find_corrections(closed, whole(state))
        closed.append(replace(whole({}), subject=replace(SUBJECT, number=number), corrections=rows))
    billed = {key: row for key, row in sum_billed(closed).items() if row.days or row.tiyn}
    newest = {key: row for key, row in sum_billed([whole(states[-1])]).items() if row.days or row.tiyn}
    assert billed == newest


def test_an_objection_of_an_earlier_version_stands_in_the_bytes(november: SheetFacts) -> None:
    objection = SheetObjection(1, "school", "p3", "lunch")
    sheet = build_sheet(SUBJECT, 2, november, [objection])
    assert decode_sheet(encode_sheet(sheet)).objections == (objection,)
