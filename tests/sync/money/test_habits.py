"""Other hands' files: whatever their habits, each planted difference is explained rightly and none is invented."""

from collections import Counter

import pytest

from sync.ledger.billing.other_count import read_payer_file
from sync.money.calendars import Calendar
from sync.money.explaining import compare_counts
from sync.money.matching import match_sheet
from sync.money.months import Month
from sync.money.payer_people import ChildMatcher
from sync.money.tariffs import TariffBook
from tests.sync.money.pairs import KEY, MADE_AT, make_pair
from tests.sync.money.payer_habits import write_habits
from tests.sync.money.school import MONTH, SUBJECT


def check_pair(seed: int, calendar: Calendar, tariffs: TariffBook) -> None:
    pair = make_pair(seed, calendar, tariffs)
    file = write_habits(pair, seed)
    payer = read_payer_file(file.name, file.content, file.column_map, Month.parse(MONTH))
    numbers = {} if file.by_name else pair.numbers()
    proposed = ChildMatcher(pair.roster_names()).propose_names(meal.child for meal in payer.meals)
    matcher = ChildMatcher(pair.roster_names(), numbers, KEY, proposed if file.by_name else {})
    comparison = compare_counts(
        pair.our_count(), match_sheet(payer, matcher, SUBJECT.school, ["breakfast", "lunch"], MADE_AT)
    )
    explained = Counter(
        (each.kind, each.person, each.day.day, frozenset(each.events)) for each in comparison.differences
    )
    assert explained == Counter(pair.planted)
    assert comparison.unmatched == ()
    apart = sum(line.theirs - line.ours for line in comparison.differences)
    assert apart == comparison.theirs_total - comparison.ours_total


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_habits_of_other_hands(seed: int, calendar: Calendar, tariffs: TariffBook) -> None:
    check_pair(seed, calendar, tariffs)


@pytest.mark.soak
def test_habits_of_many_other_hands(calendar: Calendar, tariffs: TariffBook) -> None:
    for seed in range(2000, 4000):
        check_pair(seed, calendar, tariffs)
