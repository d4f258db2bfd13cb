"""The payer's count against ours: planted differences are all explained rightly, and none is invented."""

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.contract.event import Claim
from sync.money.building import build_sheet
from sync.money.calendars import Calendar
from sync.money.differences import CountComparison, DifferenceKind, OurCount, TheirCount, TheirMeal
from sync.money.explaining import compare_counts
from sync.money.matching import match_sheet
from sync.money.months import Month
from sync.money.payer_file import read_payer_map, read_payer_sheet
from sync.money.payer_people import ChildMatcher
from sync.money.tariffs import TariffBook
from tests.sync.money.pairs import KEY, MADE_AT, PLANTS, Pair, make_pair, write_long, write_wide
from tests.sync.money.school import MONTH, SUBJECT, facts, pupil, visit

LONG = read_payer_map("""
id = "long"
shape = "long"
[columns]
number = "ИИН"
name = "ФИО"
date = "Дата"
session = "Приём"
school = "Школа"
count = "Порций"
withdrawn = "Отозван"
""")

WIDE = read_payer_map("""
id = "wide"
shape = "wide"
title_line = 2
[columns]
number = "иин"
name = "Фамилия + Имя"
session = "Приём"
school = "Школа"
withdrawn = "Отозван"
""")


def compare(pair: Pair, *, wide: bool = False) -> CountComparison:
    table, column_map = (write_wide(pair), WIDE) if wide else (write_long(pair), LONG)
    payer = read_payer_sheet(table, column_map, Month.parse(MONTH))
    matcher = ChildMatcher(pair.roster_names(), pair.numbers(), KEY)
    theirs = match_sheet(payer, matcher, SUBJECT.school, ["breakfast", "lunch"], MADE_AT)
    return compare_counts(pair.our_count(), theirs)


@pytest.mark.parametrize("seed", range(50))
def test_every_planted_difference_is_explained_and_none_is_invented(
    seed: int, calendar: Calendar, tariffs: TariffBook
) -> None:
    pair = make_pair(seed, calendar, tariffs)
    comparison = compare(pair, wide=seed % 2 == 1)
    explained = Counter(
        (each.kind, each.person, each.day.day, frozenset(each.events)) for each in comparison.differences
    )
    assert explained == Counter(pair.planted)
    assert comparison.unmatched == ()
    apart = sum(line.theirs - line.ours for line in comparison.differences)
    assert apart == comparison.theirs_total - comparison.ours_total


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_each_kind_alone_is_explained(plant, calendar: Calendar, tariffs: TariffBook) -> None:  # type: ignore[no-untyped-def]
    pair = make_pair(1, calendar, tariffs, plants=0)
    assert compare(pair).differences == ()
    while not pair.planted:
        plant(pair)
    (line,) = compare(pair).differences
    assert (line.kind, line.person, line.day.day, frozenset(line.events)) == pair.planted[0]
    assert line.lines or line.ours


def test_without_the_payers_time_late_is_what_came_after_everything_that_is_counted(
    calendar: Calendar, tariffs: TariffBook
) -> None:
    pair = make_pair(2, calendar, tariffs, plants=0)
    (person, day, _, _), other, *_ = pair.cells
    missing, late = (
        next(each for each in pair.visits.values() if (each.person, int(each.day[8:])) == cell[:2])
        for cell in ((person, day), other)
    )
    del pair.cells[person, day, "lunch", ""], pair.cells[other]
    pair.received[late.id] = MADE_AT
    ours = pair.our_count()
    meals = [TheirMeal(1, person, date(2025, 11, day), 1, "lunch") for person, day, _, _ in pair.cells]
    lines = compare_counts(ours, TheirCount(meals=meals)).differences
    assert {line.events[0]: line.kind for line in lines} == {
        missing.id: DifferenceKind.OURS_WITHOUT_THEIRS, late.id: DifferenceKind.LATE,
    }  # fmt: skip


@pytest.mark.parametrize("late", ["breakfast", "lunch"])
def test_a_meal_without_a_session_is_the_one_that_the_payer_could_have(
    late: str, calendar: Calendar, tariffs: TariffBook
) -> None:
    visits = [visit("p1", 3, number, session=session) for number, session in enumerate(["breakfast", "lunch"], 1)]
    sheet = build_sheet(SUBJECT, 1, facts(visits, [pupil("p1")], calendar, tariffs))
    received = {each.id: MADE_AT if each.session != late else MADE_AT + timedelta(hours=1) for each in visits}
    theirs = TheirCount(meals=[TheirMeal(2, "p1", date(2025, 11, 3), 1)], made_at=MADE_AT)
    (line,) = compare_counts(OurCount(sheet=sheet, visits=visits, received=received), theirs).differences
    assert (line.kind, line.session) == (DifferenceKind.LATE, late)


claims = st.sampled_from([Claim.CLAIMABLE, Claim.HELD, Claim.SECOND, Claim.NONE, Claim.PENDING])
persons, taught, sessions = st.sampled_from(["p1", "p2"]), st.integers(3, 5), st.sampled_from(["lunch", "breakfast"])


@settings(max_examples=150, deadline=None)
@given(
    ours=st.lists(st.tuples(persons, taught, sessions, claims), max_size=12),
    theirs=st.lists(
        st.tuples(persons, taught, st.sampled_from(["lunch", "breakfast", ""]), st.integers(1, 3)), max_size=8
    ),
)
def test_whatever_the_counts_are_the_differences_add_up_and_equal_days_give_none(
    ours: list[tuple[str, int, str, Claim]], theirs: list[tuple[str, int, str, int]],
    calendar: Calendar, tariffs: TariffBook,
) -> None:  # fmt: skip
    visits = [
        visit(person, day, number, session=session, claim=claim)
        for number, (person, day, session, claim) in enumerate(ours, 1)
    ]
    sheet = build_sheet(SUBJECT, 1, facts(visits, [pupil("p1"), pupil("p2")], calendar, tariffs))
    meals = [
        TheirMeal(line, person, date(2025, 11, day), count, session)
        for line, (person, day, session, count) in enumerate(theirs, 1)
    ]
    comparison = compare_counts(OurCount(sheet=sheet, visits=visits), TheirCount(meals=meals))
    apart = sum(line.theirs - line.ours for line in comparison.differences)
    assert apart == comparison.theirs_total - comparison.ours_total
    billed = Counter((row.person, day, row.session) for row in sheet.rows for day in row.days)
    counted = Counter({(person, day, session): 0 for person, day, session, _ in theirs})
    for person, day, session, count in theirs:
        counted[person, day, session] += count
    for line in comparison.differences:
        key = (line.person, line.day.day)
        same = {cell: count for cell, count in billed.items() if cell[:2] == key} == {
            cell: count for cell, count in counted.items() if cell[:2] == key
        }
        assert not same
