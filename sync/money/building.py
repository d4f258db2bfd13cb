"""From the visits of a school's month to its sheet.

Every visit was judged already (`sync.contract.visits`); here it is only counted, priced, and set beside the children
who were entitled and had no meal. The order of visits and people does not matter.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from sync.contract.entitlements import choose_entitlement
from sync.contract.event import Claim
from sync.contract.roster import Entitlement
from sync.contract.sessions import SessionWindow, Timetable
from sync.contract.visit import Visit
from sync.money.calendars import Calendar
from sync.money.months import Month
from sync.money.sheet import RowKey, Sheet, SheetObjection, SheetOutage, SheetRow, SheetSubject, find_corrections
from sync.money.tariffs import DailyMark, TariffBook
from sync.money.terms_file import digest


class CategoryChange(NamedTuple):
    """The category of a person from a day of the month on; empty: none."""

    day: int
    category: str


@dataclass(frozen=True, slots=True)
class SheetPerson:
    """A person as a sheet's rules need one: grade and group for the calendar, an opaque category for the price.

    `category`: the one at the month's beginning; `changes`: the days of the month from which another one counts.
    """

    person: str
    grade: str = ""
    group: str = ""
    category: str = ""
    entitlements: tuple[Entitlement, ...] = ()
    changes: tuple[CategoryChange, ...] = ()


def find_category(person: SheetPerson, day: int) -> str:
    """Returns a person's category on a day of the month."""
    return next((change.category for change in reversed(person.changes) if change.day <= day), person.category)


class VisitDays(NamedTuple):
    """The days of the month on which one person had visits with one claim, in one session, under one programme."""

    person: str
    session: str
    programme: str
    claim: Claim
    days: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """Everything that a sheet follows from, besides its subject. `outages` of the month's sessions.

    `timetables`: what was in force on each day of the month, where that is not `timetable`, the newest one.
    `visits` and `grouped` count alike: a database groups a city's visits ten times as fast as they can be read.
    `categories`: the digest of the version by which people have their categories; empty: there is none. `erased`:
    people whose categories were erased, so that what was closed of them stands.
    """

    visits: Sequence[Visit]
    people: Sequence[SheetPerson]
    timetable: Timetable
    calendar: Calendar
    tariffs: TariffBook
    outages: Sequence[SheetOutage] = ()
    grouped: Sequence[VisitDays] = ()
    categories: str = ""
    erased: frozenset[str] = frozenset()
    timetables: Mapping[date, Timetable] = field(default_factory=dict)

    def leave_out(self, people: Collection[str]) -> "SheetFacts":
        """Returns the facts without these people."""
        return replace(
            self,
            visits=[visit for visit in self.visits if visit.person not in people],
            people=[person for person in self.people if person.person not in people],
            grouped=[group for group in self.grouped if group.person not in people],
        )


@dataclass(slots=True)
class _Marks:
    """The days of one row, by what became of them."""

    billed: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    pending: set[int] = field(default_factory=set)
    outside: set[int] = field(default_factory=set)
    expected: frozenset[int] = frozenset()


def group_visits(visits: Iterable[Visit], month: Month) -> list[VisitDays]:
    """Returns the visits of a month that are, or may come to be, billed, by person, session, programme and claim."""
    days: dict[tuple[str, str, str, Claim], set[int]] = defaultdict(set)
    prefix = f"{month}-"
    for visit in visits:
        if visit.claim is not Claim.SECOND and visit.claim is not Claim.NONE and visit.day.startswith(prefix):
            programme = visit.programme or visit.recorded_programme
            days[visit.person, visit.session, programme, visit.claim].add(int(visit.day[8:10]))
    return [VisitDays(*key, tuple(sorted(numbers))) for key, numbers in days.items()]


def build_sheet(
    subject: SheetSubject, version: int, facts: SheetFacts, objections: Iterable[SheetObjection] = ()
) -> Sheet:
    """Returns the month's own sheet. Raises TermsMissing for a meal without a price or a programme without terms."""
    return _Builder(subject, facts).build(version, tuple(sorted(objections)))


def build_correction(
    subject: SheetSubject, version: int, facts: SheetFacts, closed: Sequence[tuple[str, Sheet]],
    objections: Iterable[SheetObjection] = (),
) -> Sheet:  # fmt: skip
    """Returns the correction sheet of this number; without rows where nothing differs.

    `closed`: digest and sheet of everything that was closed before, the month's own first. Of people whose categories
    were erased nobody can reckon the price again: what was closed of them stands. Raises TermsMissing.
    """
    whole = build_sheet(replace(subject, number=0), version, facts.leave_out(facts.erased) if facts.erased else facts)
    rows = tuple(
        row for row in find_corrections((sheet for _, sheet in closed), whole) if row.person not in facts.erased
    )
    base = tuple(name for name, _ in closed)
    return replace(
        whole, subject=subject, rows=(), corrections=rows, outages=(), objections=tuple(sorted(objections)), base=base
    )


class _Builder:
    def __init__(self, subject: SheetSubject, facts: SheetFacts) -> None:
        self._subject = subject
        self._facts = facts
        self._month = Month.parse(subject.month)
        self._terms = facts.tariffs.find_programme(subject.programme)
        self._people = {person.person: person for person in facts.people}
        self._taught: dict[tuple[str, str], frozenset[int]] = {}
        self._prices: dict[tuple[int, str, str, str], int] = {}
        self._expected: dict[tuple[object, ...], Mapping[str, frozenset[int]]] = {}

    def build(self, version: int, objections: tuple[SheetObjection, ...]) -> Sheet:
        marks = self._count_visits()
        self._add_expected(marks)
        away = self._find_away_days()
        rows = tuple(self._row(key, marks[key], away) for key in sorted(marks))
        return Sheet(
            subject=self._subject, version=version, payer=self._terms.payer.value, mark=self._terms.mark.value,
            calendar=digest(self._facts.calendar), tariff=digest(self._facts.tariffs), rows=rows,
            outages=self._outages(), objections=objections, categories=self._facts.categories,
        )  # fmt: skip

    def _count_visits(self) -> dict[RowKey, _Marks]:
        marks: dict[RowKey, _Marks] = defaultdict(_Marks)
        for group in (*group_visits(self._facts.visits, self._month), *self._facts.grouped):
            if group.programme != self._subject.programme or not self._counts_session(group.session):
                continue
            row = marks[group.person, self._row_session(group.session)]
            if group.claim is Claim.PENDING:
                row.pending.update(group.days)
            elif group.claim is Claim.HELD:
                row.held.update(group.days)
            else:
                taught = self._taught_days(group.person)
                row.billed.update(taught.intersection(group.days))
                row.outside.update(set(group.days) - taught)
        return marks

    def _counts_session(self, session: str) -> bool:
        return not session or not self._terms.sessions or session in self._terms.sessions

    def _row_session(self, session: str) -> str:
        return session if self._terms.mark is DailyMark.MEAL else ""

    def _taught_days(self, person_id: str) -> frozenset[int]:
        person = self._people.get(person_id)
        key = (person.grade, person.group) if person else ("", "")
        days = self._taught.get(key)
        if days is None:
            days = frozenset(day.day for day in self._facts.calendar.find_taught_days(self._month, *key))
            self._taught[key] = days
        return days

    def _add_expected(self, marks: dict[RowKey, _Marks]) -> None:
        """Gives every entitled person a row, with the days on which a meal was owed."""
        for person in self._facts.people:
            if not any(entitlement.programme == self._subject.programme for entitlement in person.entitlements):
                continue
            for session, days in self._expected_days(person).items():
                if days:
                    marks[person.person, session].expected = days

    def _expected_days(self, person: SheetPerson) -> Mapping[str, frozenset[int]]:
        """Returns the owed days of each row of a person. Most children of a class share them, so they are cached."""
        # Of several that fit, the lowest priority and then the lowest id pays: their order is all that counts.
        ordered = sorted(person.entitlements, key=lambda right: (right.priority, right.id))
        rights = tuple((right.programme, right.sessions, right.first, right.last) for right in ordered)
        key = (person.grade, person.group, rights)
        expected = self._expected.get(key)
        if expected is None:
            expected = self._expected[key] = self._reckon_expected(person)
        return expected

    def _reckon_expected(self, person: SheetPerson) -> Mapping[str, frozenset[int]]:
        expected: dict[str, set[int]] = defaultdict(set)
        for number in self._taught_days(person.person):
            day = date(self._month.year, self._month.number, number)
            timetable = self._facts.timetables.get(day, self._facts.timetable)
            if day.isoformat() in timetable.closed_days | self._facts.timetable.closed_days:
                continue  # also where the school has told only afterwards that it was closed
            for window in self._list_windows(timetable):
                if day.isoweekday() not in window.weekdays:
                    continue
                paying = choose_entitlement(person.entitlements, window.session, day.isoformat())
                if paying is not None and paying.programme == self._subject.programme:
                    expected[self._row_session(window.session)].add(number)
        return {session: frozenset(days) for session, days in expected.items()}

    def _list_windows(self, timetable: Timetable) -> list[SessionWindow]:
        """Returns the sessions in which the programme is served."""
        counted = self._terms.sessions
        return [window for window in timetable.windows if not counted or window.session in counted]

    def _find_away_days(self) -> Mapping[str, frozenset[int]]:
        """Returns, by session, the days on which a kiosk was away."""
        away: dict[str, set[int]] = defaultdict(set)
        for outage in self._outages():
            away[self._row_session(outage.session)].add(outage.day)
        return {session: frozenset(days) for session, days in away.items()}

    def _outages(self) -> tuple[SheetOutage, ...]:
        counted = self._terms.sessions
        return tuple(sorted({outage for outage in self._facts.outages if not counted or outage.session in counted}))

    def _row(self, key: RowKey, marks: _Marks, away: Mapping[str, frozenset[int]]) -> SheetRow:
        person, session = key
        absent = marks.expected - marks.billed - marks.held - marks.pending - marks.outside
        return SheetRow(
            person=person, session=session, days=tuple(sorted(marks.billed)),
            tiyn=sum(self._price(day, person, session) for day in marks.billed), absent=tuple(sorted(absent)),
            down=tuple(sorted(absent & away.get(session, frozenset()))), held=tuple(sorted(marks.held - marks.billed)),
            pending=tuple(sorted(marks.pending - marks.billed)), outside=tuple(sorted(marks.outside)),
        )  # fmt: skip

    def _price(self, day: int, person_id: str, session: str) -> int:
        person = self._people.get(person_id)
        grade, category = (person.grade, find_category(person, day)) if person else ("", "")
        key = (day, session, grade, category)
        price = self._prices.get(key)
        if price is None:
            whole_day = date(self._month.year, self._month.number, day)
            tariff = self._facts.tariffs.find_tariff(self._subject.programme, whole_day, session, grade, category)
            price = self._prices[key] = tariff.billed_tiyn
        return price
