"""A payer's own sheet, read by a map of its columns. The map is data; every file of the field looks different.

Two shapes: *long* has a row for each meal (or each child and day, with a count); *wide* a row for each child, with a
column for each day. A row that cannot be read is named by its line and never guessed; of a wide row only the cell.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sync.errors import Wording
from sync.money.errors import PayerFileWrong
from sync.money.months import Month
from sync.money.terms_file import TermsBase, read_toml

_DAY_TITLE = re.compile(r"(?P<day>\d{1,2})(?:\.(?P<month>\d{1,2})\.?)?(?:\s+\D*)?")
_FORMULA_MARKS = ("=", "@")  # its remembered result is not believed
COUNT_MAX = 20  # meals of one child on one day in one cell; more is a mistake


class PayerShape(StrEnum):
    """The way in which a payer's sheet has its days."""

    LONG = "long"
    WIDE = "wide"


class PayerColumns(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The titles of the columns, as they stand in the file. Empty: it has no such column."""

    number: str = ""  # under which the payer knows the child
    name: str = ""  # one column, or several joined with `+`: `Фамилия + Имя`
    group: str = ""
    date: str = ""  # long
    count: str = ""  # long: how many meals; without it, each row is one
    session: str = ""
    school: str = ""
    withdrawn: str = ""  # the day from which the payer's voucher does not hold any more


class PayerMap(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How to read one kind of payer's file."""

    id: str
    shape: PayerShape
    columns: PayerColumns
    title_line: int = 1  # the line with the titles, from 1
    date_formats: tuple[str, ...] = ("%Y-%m-%d", "%d.%m.%Y")
    present: tuple[str, ...] = ("+", "x", "х", "✓", "v", "да", "иә")  # one meal; a whole number is so many
    absent: tuple[str, ...] = ("", "-", "–", "—", "н", "б", "нет", "жоқ")
    sums: tuple[str, ...] = ("итого", "всего", "барлығы", "жиыны")  # a row that begins so is a sum of others
    sessions: Mapping[str, str] = {}  # their word → our session
    schools: Mapping[str, str] = {}  # their word → our school


@dataclass(frozen=True, slots=True)
class PayerChild:
    """A child as the payer's file names it."""

    number: str
    name: str
    group: str


@dataclass(frozen=True, slots=True)
class PayerMeal:
    """The meals of one child and day in one line. `session` and `school` are ours; empty where the file has none."""

    line: int
    child: PayerChild
    day: date
    count: int
    session: str = ""
    school: str = ""


@dataclass(frozen=True, slots=True)
class PayerFault:
    """A line (or one of its cells) that cannot be read. `child` and `day` as far as they could."""

    line: int
    what: str
    child: PayerChild | None = None
    day: date | None = None
    session: str = ""


@dataclass(frozen=True, slots=True)
class PayerWithdrawal:
    """The payer's word that a child's voucher does not hold from a day on."""

    line: int
    child: PayerChild
    first: date


@dataclass(frozen=True, slots=True)
class PayerSheet:
    """A payer's file as it was read. Lines count from 1, as a spreadsheet shows them."""

    meals: tuple[PayerMeal, ...]
    withdrawals: tuple[PayerWithdrawal, ...]
    faults: tuple[PayerFault, ...]


def read_payer_map(text: str) -> PayerMap:
    """Returns the column map in a TOML text. Raises TermsWrong or PayerFileWrong."""
    column_map = read_toml(text, PayerMap)
    columns = column_map.columns
    if not columns.number and not columns.name:
        raise PayerFileWrong(
            f"map {column_map.id!r} has neither number nor name", "name the column of one of them",
            Wording("refusal.map_nobody"),
        )  # fmt: skip
    if column_map.shape is PayerShape.LONG and not columns.date:
        raise PayerFileWrong(
            f"map {column_map.id!r} is long and has no date", "name the column of the date",
            Wording("refusal.map_no_date"),
        )  # fmt: skip
    return column_map


def read_payer_sheet(table: Sequence[Sequence[str]], column_map: PayerMap, month: Month) -> PayerSheet:
    """Returns the meals of a month in a payer's table of texts. Raises PayerFileWrong where its titles do not fit."""
    return _PayerReader(table, column_map, month).read()


class _PayerReader:
    def __init__(self, table: Sequence[Sequence[str]], column_map: PayerMap, month: Month) -> None:
        if len(table) < column_map.title_line:
            raise PayerFileWrong(
                f"the file has {len(table)} lines", f"its titles are to be in {column_map.title_line}",
                Wording("refusal.file_short", lines=len(table), title_line=column_map.title_line),
            )  # fmt: skip
        self._table = table
        self._map = column_map
        self._month = month
        self._titles = [_fold(title) for title in table[column_map.title_line - 1]]
        self._places = {
            field: self._find(getattr(column_map.columns, field))
            for field in ("number", "name", "group", "date", "count", "session", "school", "withdrawn")
        }
        self._days = dict(self._find_days()) if column_map.shape is PayerShape.WIDE else {}
        if column_map.shape is PayerShape.WIDE and not self._days:
            raise PayerFileWrong(
                f"no column of line {column_map.title_line} is a day of {month}", "correct the map",
                Wording("refusal.no_day_columns", title_line=column_map.title_line, month=month),
            )  # fmt: skip
        self._sessions = {_fold(word): session for word, session in column_map.sessions.items()}
        self._schools = {_fold(word): school for word, school in column_map.schools.items()}
        self._present = {_fold(word) for word in column_map.present}
        self._absent = {_fold(word) for word in column_map.absent}
        self._sums = tuple(_fold(word) for word in column_map.sums)
        self._meals: list[PayerMeal] = []
        self._withdrawals: list[PayerWithdrawal] = []
        self._faults: list[PayerFault] = []

    def read(self) -> PayerSheet:
        for line, row in enumerate(self._table[self._map.title_line :], self._map.title_line + 1):
            cells = [cell.strip() for cell in row]
            if any(cells) and not self._is_sum(cells):
                self._read_row(line, cells)
        return PayerSheet(tuple(self._meals), tuple(self._withdrawals), tuple(self._faults))

    def _is_sum(self, cells: Sequence[str]) -> bool:
        first = next(filter(None, cells))
        return any(_fold(first).startswith(word) for word in self._sums)

    def _read_row(self, line: int, cells: Sequence[str]) -> None:
        child = PayerChild(self._cell("number", cells), self._cell("name", cells), self._cell("group", cells))
        named = [place for field in ("number", "name", "group", "session", "school") for place in self._places[field]]
        if any(cells[place].startswith(_FORMULA_MARKS) for place in named if place < len(cells)):
            self._faults.append(PayerFault(line, "a formula stands where a text must be"))
            return
        if not child.number and not child.name:
            self._faults.append(PayerFault(line, "neither number nor name"))
            return
        session, school = self._cell("session", cells), self._cell("school", cells)
        if session and self._sessions and _fold(session) not in self._sessions:
            self._faults.append(PayerFault(line, f"session {session!r} is not in the map", child))
            return
        if school and self._schools and _fold(school) not in self._schools:
            self._faults.append(PayerFault(line, f"school {school!r} is not in the map", child))
            return
        session, school = self._sessions.get(_fold(session), session), self._schools.get(_fold(school), school)
        self._read_withdrawal(line, child, cells)
        for day, text in self._read_days(line, child, session, cells):
            count = self._count(text)
            if count is None:
                self._faults.append(PayerFault(line, f"{text!r} is no count of meals", child, day, session))
            elif count:
                self._meals.append(PayerMeal(line, child, day, count, session, school))

    def _read_days(
        self, line: int, child: PayerChild, session: str, cells: Sequence[str]
    ) -> Iterator[tuple[date, str]]:
        """Yields the days that a row speaks of, each with the text of its count."""
        if self._map.shape is PayerShape.WIDE:
            for place, day in self._days.items():
                yield day, cells[place] if place < len(cells) else ""
            return
        text = self._cell("date", cells)
        parsed = self._parse_date(text)
        if parsed is None:
            if text or not self._cell("withdrawn", cells):  # a row may do nothing but withdraw a voucher
                self._faults.append(PayerFault(line, f"{text!r} is no date", child, None, session))
        elif self._month.first <= parsed <= self._month.last:
            yield parsed, self._cell("count", cells) if self._places["count"] else "1"
        else:
            self._faults.append(PayerFault(line, f"{parsed} is not in {self._month}", child, parsed, session))

    def _read_withdrawal(self, line: int, child: PayerChild, cells: Sequence[str]) -> None:
        text = self._cell("withdrawn", cells)
        first = self._parse_date(text) if text else None
        if first is not None:
            self._withdrawals.append(PayerWithdrawal(line, child, first))
        elif _fold(text) not in self._absent:
            self._faults.append(PayerFault(line, f"{text!r} is no date of a withdrawal", child))

    def _count(self, text: str) -> int | None:
        folded = _fold(text)
        if folded in self._present:
            return 1
        if folded in self._absent:
            return 0
        whole = folded.removesuffix(".0").removesuffix(",0")
        return int(whole) if whole.isdecimal() and int(whole) <= COUNT_MAX else None

    def _parse_date(self, text: str) -> date | None:
        for form in self._map.date_formats:
            try:
                return datetime.strptime(text, form).date()  # noqa: DTZ007  a date has no zone
            except ValueError:
                continue
        return None

    def _cell(self, field: str, cells: Sequence[str]) -> str:
        return " ".join(cells[place] for place in self._places[field] if place < len(cells)).strip()

    def _find(self, wanted: str) -> tuple[int, ...]:
        """Returns the places of a column, or of the several that are joined with `+`. Raises PayerFileWrong."""
        places = []
        for title in filter(None, map(_fold, wanted.split("+"))):
            if self._titles.count(title) != 1:
                present = ", ".join(filter(None, self._table[self._map.title_line - 1]))
                raise PayerFileWrong(
                    f"line {self._map.title_line} has {self._titles.count(title)} columns {wanted!r}; it has {present}",
                    "correct the map's columns or its title_line",
                    Wording(
                        "refusal.no_column",
                        title_line=self._map.title_line,
                        column=wanted,
                        present=present[:500],
                        count=self._titles.count(title),
                    ),
                )
            places.append(self._titles.index(title))
        return tuple(places)

    def _find_days(self) -> Iterator[tuple[int, date]]:
        for place, title in enumerate(self._titles):
            day = self._parse_date(title) or self._read_day_title(title)
            if day is not None and self._month.first <= day <= self._month.last:
                yield place, day

    def _read_day_title(self, title: str) -> date | None:
        """Returns the day that a title names without its year: `3`, `03`, `3 пн`, `03.11`."""
        match = _DAY_TITLE.fullmatch(title)
        if match is None or int(match["month"] or self._month.number) != self._month.number:
            return None
        number = int(match["day"])
        return self._month.days[number - 1] if 1 <= number <= len(self._month.days) else None


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
