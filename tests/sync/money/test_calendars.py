"""The shipped school year against an independent list of public holidays, and what a calendar refuses."""

from datetime import date, timedelta
from pathlib import Path

import holidays
import msgspec
import pytest

from sync.money.calendars import Calendar, CalendarSpan, choose_calendar, read_calendar, take_six_days
from sync.money.errors import TermsMissing, TermsWrong
from sync.money.months import Month
from sync.money.terms_file import digest, read_json, to_bytes

YEAR = [Month(2025, number) for number in range(9, 13)] + [Month(2026, number) for number in range(1, 6)]


def count_taught(calendar: Calendar, grade: str) -> int:
    return sum(len(calendar.find_taught_days(month, grade)) for month in YEAR)


def test_the_school_year_has_165_taught_days_160_in_grade_one_197_with_saturdays(calendar: Calendar) -> None:
    assert count_taught(calendar, "05") == 165
    assert count_taught(calendar, "01") == count_taught(calendar, "1") == 160
    assert count_taught(take_six_days(calendar), "05") == 197


def test_the_public_holidays_are_those_of_an_independent_list(calendar: Calendar) -> None:
    theirs = {
        day for day in holidays.country_holidays("KZ", years=[2025, 2026]) if calendar.first <= day <= calendar.last
    }
    ours = {
        span.first + timedelta(days=number)
        for span in calendar.public_holidays
        for number in range(((span.last or span.first) - span.first).days + 1)
    }
    assert ours == theirs


def test_a_month_without_a_calendar_is_refused(calendar: Calendar) -> None:
    assert choose_calendar([calendar], "school", Month(2026, 5)) is calendar
    with pytest.raises(TermsMissing, match="no calendar of kind 'school' speaks for 2026-06; import"):
        choose_calendar([calendar], "school", Month(2026, 6))
    with pytest.raises(TermsMissing, match="'kindergarten'"):
        choose_calendar([calendar], "kindergarten", Month(2026, 5))
    with pytest.raises(TermsWrong, match="all speak for 2026-05"):
        choose_calendar([calendar, calendar], "school", Month(2026, 5))


def with_spans(calendar: Calendar, field: str, span: CalendarSpan) -> Calendar:
    return msgspec.structs.replace(calendar, **{field: (span,)})


def test_a_remote_day_is_of_those_grades_or_groups_and_an_extra_day_has_any_weekday(calendar: Calendar) -> None:
    tuesday, saturday = date(2026, 1, 20), date(2026, 1, 24)
    cold = with_spans(calendar, "remote", CalendarSpan(first=tuesday, grades=("1", "2")))
    assert [cold.is_taught(tuesday, grade) for grade in ("01", "02", "03", "")] == [False, False, True, True]
    cold = with_spans(calendar, "remote", CalendarSpan(first=tuesday, groups=("5 «Б»",)))
    assert [cold.is_taught(tuesday, "05", group) for group in ("5 «А»", "5 «Б»")] == [True, False]
    worked = with_spans(calendar, "extra", CalendarSpan(first=saturday))
    assert not calendar.is_taught(saturday, "05")
    assert worked.is_taught(saturday, "05")


def test_a_calendar_keeps_its_digest_through_its_json(calendar: Calendar) -> None:
    assert digest(read_json(to_bytes(calendar), Calendar)) == digest(calendar)
    assert digest(take_six_days(calendar)) != digest(calendar)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (("2026-05-25", "2025-05-25"), "before it begins"),
        (("2026-05-25", "2027-05-25"), "longer than 400 days"),
        (("[1, 2, 3, 4, 5]", "[0, 1]"), "not numbers from 1"),
        (('source = "Order of 5 August 2025 on the school year 2025/26"', 'source = ""'), "`source` is empty"),
        (('kind = "school"', 'kin = "school"'), "unknown field `kin`"),
        (("last = 2025-11-02", "last = 2025-10-02"), "the span from 2025-10-27 ends on 2025-10-02"),
        (("first = 2025-09-01", "first = soon"), "no calendar"),
    ],
)
def test_a_wrong_calendar_says_what_to_correct(edit: tuple[str, str], fault: str) -> None:
    path = Path(__file__).parents[3] / "config/money/calendar-2025-26.toml"
    text = path.read_text("utf-8")
    assert edit[0] in text
    with pytest.raises(TermsWrong, match=fault):
        read_calendar(text.replace(*edit, 1))


def test_a_month_knows_its_days() -> None:
    assert [Month.parse(text).last.day for text in ("2024-02", "2026-02", "2026-12")] == [29, 28, 31]
    with pytest.raises(TermsWrong, match="write it as 2026-11"):
        Month.parse("2026-13")
