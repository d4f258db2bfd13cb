"""The days on which children are taught, and so expected at a meal: data of one region and year, none of it code."""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from sync.errors import Wording
from sync.money.errors import TermsMissing, TermsWrong
from sync.money.months import Month
from sync.money.terms_file import TermsBase, read_toml

YEAR_DAYS_MAX = 400


class CalendarSpan(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Days from `first` to `last` inclusive; without `last` one day. `grades` and `groups`: only theirs; empty: all."""

    first: date
    last: date | None = None
    grades: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    why: str = ""

    def covers(self, day: date, grade: str, group: str) -> bool:
        """Returns True if this day of this grade and group lies in the span."""
        return (
            self.first <= day <= (self.last or self.first)
            and (not self.grades or plain_grade(grade) in map(plain_grade, self.grades))
            and (not self.groups or group in self.groups)
        )


class SchoolWeek(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The weekdays (ISO, 1 is Monday) on which some grades are taught."""

    grades: tuple[str, ...]
    weekdays: tuple[int, ...]


class Calendar(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The taught days from `first` to `last`. `kind` is what a programme asks for: school, kindergarten, camp, club.

    A day is taught if its weekday is, it is no public holiday, no holiday of the grade and no remote day; `extra` days
    are taught whatever their weekday, as when a Saturday is worked for a Monday.
    """

    id: str
    source: str  # the official paper that says so
    first: date
    last: date
    kind: str = "school"
    region: str = ""  # empty: the whole country
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    weeks: tuple[SchoolWeek, ...] = ()
    holidays: tuple[CalendarSpan, ...] = ()
    public_holidays: tuple[CalendarSpan, ...] = ()
    remote: tuple[CalendarSpan, ...] = ()  # taught at home: no meal in the hall
    extra: tuple[CalendarSpan, ...] = ()

    def speaks_for(self, month: Month) -> bool:
        """Returns True if a day of this month lies in the calendar."""
        return self.first <= month.last and month.first <= self.last

    def meets(self, rival: "Calendar") -> bool:
        """Returns True if both are of one kind and speak for a common month."""
        months = [(span.year, span.month) for span in (self.first, self.last, rival.first, rival.last)]
        return self.kind == rival.kind and months[0] <= months[3] and months[2] <= months[1]

    def is_taught(self, day: date, grade: str = "", group: str = "") -> bool:
        """Returns True if this grade and group is taught in the school on this day."""
        if not self.first <= day <= self.last:
            return False
        if _covered(self.remote, day, grade, group):
            return False
        if _covered(self.extra, day, grade, group):
            return True
        return (
            day.isoweekday() in self._weekdays(grade)
            and not _covered(self.public_holidays, day, grade, group)
            and not _covered(self.holidays, day, grade, group)
        )

    def find_taught_days(self, month: Month, grade: str = "", group: str = "") -> tuple[date, ...]:
        """Returns the taught days of a month, ascending."""
        return tuple(day for day in month.days if self.is_taught(day, grade, group))

    def _weekdays(self, grade: str) -> Sequence[int]:
        for week in self.weeks:
            if plain_grade(grade) in map(plain_grade, week.grades):
                return week.weekdays
        return self.weekdays


def plain_grade(grade: str) -> str:
    """Returns a grade without leading zeros: rosters write `01`, people `1`."""
    return grade.strip().lstrip("0")


def _covered(spans: Iterable[CalendarSpan], day: date, grade: str, group: str) -> bool:
    return any(span.covers(day, grade, group) for span in spans)


def read_calendar(text: str) -> Calendar:
    """Returns the calendar in a TOML text. Raises TermsWrong."""
    return check_calendar(read_toml(text, Calendar))


def check_calendar(calendar: Calendar) -> Calendar:
    """Returns the calendar itself. Raises TermsWrong where it contradicts itself."""
    faults = [
        *(["`id` is empty"] if not calendar.id.strip() else []),
        *(["`source` is empty: name the order that sets these days"] if not calendar.source.strip() else []),
        *([f"it ends on {calendar.last}, before it begins"] if calendar.last < calendar.first else []),
        *([f"it is longer than {YEAR_DAYS_MAX} days"] if (calendar.last - calendar.first).days > YEAR_DAYS_MAX else []),
        *_weekday_faults(calendar),
        *(
            f"the span from {span.first} ends on {span.last}, before it begins"
            for spans in (calendar.holidays, calendar.public_holidays, calendar.remote, calendar.extra)
            for span in spans
            if span.last is not None and span.last < span.first
        ),
    ]
    if faults:
        raise TermsWrong(f"calendar {calendar.id!r}: {'; '.join(faults)}", "correct the file and import it again")
    return calendar


def _weekday_faults(calendar: Calendar) -> list[str]:
    weeks = [calendar.weekdays, *(week.weekdays for week in calendar.weeks)]
    return [
        f"weekdays {list(week)} are not numbers from 1 (Monday) to 7"
        for week in weeks
        if not week or not set(week) <= set(range(1, 8))
    ]


def choose_calendar(calendars: Iterable[Calendar], kind: str, month: Month) -> Calendar:
    """Returns the one calendar of this kind that speaks for the month. Raises TermsMissing or TermsWrong."""
    fitting = [calendar for calendar in calendars if calendar.kind == kind and calendar.speaks_for(month)]
    if not fitting:
        raise TermsMissing(
            f"no calendar of kind {kind!r} speaks for {month}",
            "import the official one with `edge-agent ledger calendar import FILE`",
            Wording("refusal.no_calendar", month=month),
        )
    if len(fitting) > 1:
        names = ", ".join(sorted(calendar.id for calendar in fitting))
        raise TermsWrong(
            f"calendars {names} all speak for {month}", "let one of them end earlier and import it again",
            Wording("refusal.two_calendars", month=month, calendars=names),
        )  # fmt: skip
    return fitting[0]


def take_six_days(calendar: Calendar) -> Calendar:
    """Returns the calendar with a week from Monday to Saturday, where `weeks` says nothing else of a grade."""
    return msgspec.structs.replace(calendar, weekdays=(1, 2, 3, 4, 5, 6))
