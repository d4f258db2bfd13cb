"""The payer's count against ours: planted differences are all explained rightly, and none is invented."""

from collections import Counter

import pytest

from sync.money.calendars import Calendar
from sync.money.differences import CountComparison
from sync.money.explaining import compare_counts
from sync.money.matching import match_sheet
from sync.money.months import Month
from sync.money.payer_file import read_payer_map, read_payer_sheet
from sync.money.payer_people import ChildMatcher
from sync.money.tariffs import TariffBook
from tests.sync.money.pairs import KEY, MADE_AT, PLANTS, Pair, make_pair, write_long, write_wide
from tests.sync.money.school import MONTH, SUBJECT

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
