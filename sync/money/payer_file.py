"""A payer's own sheet, read by a map of its columns. The map is data; every file of the field looks different.

Two shapes: *long* has a row for each meal (or each child and day, with a count); *wide* a row for each child, with a
column for each day. A row that cannot be read is named by its line and never guessed; of a wide row only the cell.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sync.errors import Wording
from sync.money.cell_faults import FOUND_CHARS_MAX, CellFault, CellFaultKind
from sync.money.errors import PayerFileWrong
from sync.money.months import Month
from sync.money.payer_cells import (
    SERIAL_ZERO,
    clean_cell,
    find_month,
    fold,
    is_bare_day,
    is_weekday,
    read_date,
    read_day_title,
    read_whole,
)
from sync.money.terms_file import TermsBase, read_toml

_FIRST_WORD = re.compile(r"[^\W\d_]+")
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
    worksheet: str = ""  # its title; needed where several worksheets have these titles
    title_line: int = 1  # the line with the titles, from 1
    title_lines: int = 1  # how many lines the titles take, where cells are merged: `Дни` above 1, 2, 3 …
    merged: bool = False  # a child's number, name and class stand in the first of its lines only
    date_formats: tuple[str, ...] = ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d-%m-%Y", "%Y.%m.%d", "%Y/%m/%d")
    present: tuple[str, ...] = ("+", "x", "х", "✓", "✔", "√", "v", "да", "иә", "true", "истина")  # one meal
    absent: tuple[str, ...] = (
        "", "-", "–", "—", "н", "нб", "н/б", "б", "в", "вых", "к", "отс", "нет", "жоқ", "false", "ложь"
    )  # fmt: skip
    sums: tuple[str, ...] = (  # a row of sums has one first
        "итого", "итог", "подытог", "промежуточный", "всего", "сумма", "барлығы", "жиыны", "жиынтық", "жалпы",
        "қорытынды", "total", "subtotal",
    )  # fmt: skip
    sessions: Mapping[str, str] = {}  # their word → our session
    schools: Mapping[str, str] = {}  # their word → our school


@dataclass(frozen=True, slots=True)
class PayerTable:
    """The texts of one worksheet. `serial_zero`: the day from which its numbers of days count."""

    rows: Sequence[Sequence[str]]
    serial_zero: date = SERIAL_ZERO


@dataclass(frozen=True, slots=True)
class PayerChild:
    """A child as the payer's file names it."""

    number: str
    name: str
    group: str
    people: tuple[str, ...] = ()  # whom the number names, where it was looked up and dropped already


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
    cell: CellFault
    child: PayerChild | None = None
    day: date | None = None
    session: str = ""

    @property
    def what(self) -> str:
        """Returns the fault in English, for the command line."""
        return self.cell.what


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
    return check_payer_map(read_toml(text, PayerMap))


def check_payer_map(column_map: PayerMap) -> PayerMap:
    """Returns the map itself. Raises PayerFileWrong where it names no child, or of a long file no day."""
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


def fits_map(table: PayerTable, column_map: PayerMap, month: Month) -> bool:
    """Returns True for a table that has all the titles of the map, and a day of the month where it is wide."""
    try:
        _PayerReader(table.rows, column_map, month, table.serial_zero)
    except PayerFileWrong:
        return False
    return True


def read_payer_sheet(
    table: Sequence[Sequence[str]], column_map: PayerMap, month: Month, serial_zero: date = SERIAL_ZERO
) -> PayerSheet:
    """Returns the meals of a month in a payer's table of texts. Raises PayerFileWrong where its titles do not fit."""
    return _PayerReader(table, column_map, month, serial_zero).read()


class _PayerReader:
    def __init__(self, table: Sequence[Sequence[str]], column_map: PayerMap, month: Month, serial_zero: date) -> None:
        first, last = column_map.title_line - 1, column_map.title_line - 1 + column_map.title_lines
        if len(table) < last:
            raise PayerFileWrong(
                f"the file has {len(table)} lines", f"its titles are to be in {column_map.title_line}",
                Wording("refusal.file_short", lines=len(table), title_line=column_map.title_line),
            )  # fmt: skip
        self._table = table
        self._map = column_map
        self._month = month
        self._serial_zero = serial_zero
        self._first_line = last
        self._titles = _join_titles(table[first:last])
        self._months_above = _find_months(table[first:last])
        self._shown_titles = _show_titles(table[first:last])
        self._places = {
            field: self._find(getattr(column_map.columns, field))
            for field in ("number", "name", "group", "date", "count", "session", "school", "withdrawn")
        }
        self._days = self._find_days() if column_map.shape is PayerShape.WIDE else {}
        if column_map.shape is PayerShape.WIDE and not self._days:
            raise PayerFileWrong(
                f"no column of line {column_map.title_line} is a day of {month}", "correct the map",
                Wording("refusal.no_day_columns", title_line=column_map.title_line, month=month),
            )  # fmt: skip
        self._sessions = {fold(word): session for word, session in column_map.sessions.items()}
        self._schools = {fold(word): school for word, school in column_map.schools.items()}
        self._present = {fold(word) for word in column_map.present}
        self._absent = {fold(word) for word in column_map.absent}
        self._sums = tuple(fold(word) for word in column_map.sums)
        self._child = PayerChild("", "", "")  # of the line before
        self._meals: list[PayerMeal] = []
        self._withdrawals: list[PayerWithdrawal] = []
        self._faults: list[PayerFault] = []

    def read(self) -> PayerSheet:
        for line, row in enumerate(self._table[self._first_line :], self._first_line + 1):
            cells = [clean_cell(cell) for cell in row]
            if any(cells) and not self._is_sum(cells):
                self._read_row(line, cells)
        return PayerSheet(tuple(self._meals), tuple(self._withdrawals), tuple(self._faults))

    def _is_sum(self, cells: Sequence[str]) -> bool:
        """Returns True where the first cell, number, name or class begins with a word for a sum.

        Of a row without number and name any cell may.
        """
        number, name, group = (self._cell(field, cells) for field in ("number", "name", "group"))
        named = [next(filter(None, cells)), number, name, group] if number or name else cells
        words = (_FIRST_WORD.match(fold(text)) for text in named)
        return any(word is not None and word[0] in self._sums for word in words)

    def _counts_nothing(self, cells: Sequence[str]) -> bool:
        """Returns True for a row that can hold no meal: a heading, titles or weekdays again, signatures below."""
        own = ("number", "name", "date", "count")  # of titles over two lines, the upper may say nothing of the child
        titled = [place for field in own for place in self._places[field] if place < len(cells)]
        if any(cells[place] and fold(cells[place]) in self._titles[place] for place in titled):
            return True
        if self._map.shape is PayerShape.WIDE:
            texts = [cells[place] for place in self._days if place < len(cells)]
        elif self._places["count"]:
            texts = [self._cell(field, cells) for field in ("date", "count")]
        else:
            return False
        if texts and all(map(is_weekday, filter(None, texts))) and any(texts):
            return True
        return all(fold(text) in self._absent for text in (*texts, self._cell("withdrawn", cells)))

    def _read_row(self, line: int, cells: Sequence[str]) -> None:
        child = PayerChild(self._cell("number", cells), self._cell("name", cells), self._cell("group", cells))
        named = [place for field in ("number", "name", "group", "session", "school") for place in self._places[field]]
        formulas = [place for place in named if place < len(cells) and cells[place].startswith(_FORMULA_MARKS)]
        if formulas:
            self._faults.append(PayerFault(line, CellFault(CellFaultKind.FORMULA, "", self._shown_titles[formulas[0]])))
            return
        if self._map.merged and not child.number and not child.name:
            child = self._child
        self._child = child
        if self._counts_nothing(cells):
            return
        if not child.number and not child.name:
            self._faults.append(PayerFault(line, CellFault(CellFaultKind.NO_CHILD)))
            return
        session, school = self._cell("session", cells), self._cell("school", cells)
        if session and self._sessions and fold(session) not in self._sessions:
            fault = self._fault(CellFaultKind.UNKNOWN_SESSION, session, "session")
            self._faults.append(PayerFault(line, fault, child))
            return
        if school and self._schools and fold(school) not in self._schools:
            self._faults.append(PayerFault(line, self._fault(CellFaultKind.UNKNOWN_SCHOOL, school, "school"), child))
            return
        session, school = self._sessions.get(fold(session), session), self._schools.get(fold(school), school)
        self._read_withdrawal(line, child, cells)
        for day, text, title in self._read_days(line, child, session, cells):
            count = self._count(text)
            if count is None:
                fault = CellFault(CellFaultKind.NO_COUNT, text[:FOUND_CHARS_MAX], title)
                self._faults.append(PayerFault(line, fault, child, day, session))
            elif count:
                self._meals.append(PayerMeal(line, child, day, count, session, school))

    def _read_days(
        self, line: int, child: PayerChild, session: str, cells: Sequence[str]
    ) -> Iterator[tuple[date, str, str]]:
        """Yields the days that a row speaks of, each with the text of its count and the title above it."""
        if self._map.shape is PayerShape.WIDE:
            for place, day in self._days.items():
                yield day, cells[place] if place < len(cells) else "", self._shown_titles[place]
            return
        text = self._cell("date", cells)
        parsed = self._parse_date(text)
        if parsed is None:
            if text or not self._cell("withdrawn", cells):  # a row may do nothing but withdraw a voucher
                fault = self._fault(CellFaultKind.NO_DATE, text, "date")
                self._faults.append(PayerFault(line, fault, child, None, session))
        elif self._month.first <= parsed <= self._month.last:
            count = self._cell("count", cells) if self._places["count"] else "1"
            yield parsed, count, self._title("count")
        else:
            fault = CellFault(CellFaultKind.OTHER_MONTH, str(parsed), self._title("date"), str(self._month))
            self._faults.append(PayerFault(line, fault, child, parsed, session))

    def _read_withdrawal(self, line: int, child: PayerChild, cells: Sequence[str]) -> None:
        text = self._cell("withdrawn", cells)
        first = self._parse_date(text) if text else None
        if first is not None:
            self._withdrawals.append(PayerWithdrawal(line, child, first))
        elif fold(text) not in self._absent:
            self._faults.append(PayerFault(line, self._fault(CellFaultKind.NO_WITHDRAWAL, text, "withdrawn"), child))

    def _count(self, text: str) -> int | None:
        folded = fold(text)
        if folded in self._present:
            return 1
        if folded in self._absent:
            return 0
        whole = read_whole(folded)
        return whole if whole is not None and whole <= COUNT_MAX else None

    def _parse_date(self, text: str) -> date | None:
        return read_date(text, self._map.date_formats, self._month, self._serial_zero)

    def _cell(self, field: str, cells: Sequence[str]) -> str:
        return " ".join(cells[place] for place in self._places[field] if place < len(cells)).strip()

    def _fault(self, kind: CellFaultKind, found: str, field: str) -> CellFault:
        return CellFault(kind, found[:FOUND_CHARS_MAX], self._title(field))

    def _title(self, field: str) -> str:
        return " + ".join(self._shown_titles[place] for place in self._places[field])

    def _find(self, wanted: str) -> tuple[int, ...]:
        """Returns the places of a column, or of the several that are joined with `+`. Raises PayerFileWrong."""
        places = []
        for title in filter(None, map(fold, wanted.split("+"))):
            found = [place for place, titles in enumerate(self._titles) if title in titles]
            if len(found) != 1:
                present = ", ".join(filter(None, self._table[self._map.title_line - 1]))
                raise PayerFileWrong(
                    f"line {self._map.title_line} has {len(found)} columns {wanted!r}; it has {present}",
                    "correct the map's columns or its title_line",
                    Wording(
                        "refusal.no_column",
                        title_line=self._map.title_line,
                        column=wanted,
                        present=present[:500],
                        count=len(found),
                    ),
                )
            places += found
        return tuple(places)

    def _find_days(self) -> dict[int, date]:
        """Returns the day of each column that has one. Raises PayerFileWrong where two months may be meant."""
        days: dict[int, date] = {}
        bare = 0  # the number of the last day whose title names no month
        for place, titles in enumerate(self._titles):
            if self._months_above[place] not in (None, self._month.number):
                continue
            found = [(title, day) for title in titles if (day := self._read_title(title)) is not None]
            if not found:
                continue
            title, day = found[0]
            if day in days.values() or (is_bare_day(title) and day.day < bare and self._months_above[place] is None):
                raise PayerFileWrong(
                    f"column {place + 1} is day {day.day} behind a later one, or a second time: of another month?",
                    "let title_line and title_lines take in the line with the months, or split the file by month",
                    Wording("refusal.days_unclear", column=place + 1, day=day.day),
                )
            bare = day.day if is_bare_day(title) else bare
            days[place] = day
        return days

    def _read_title(self, title: str) -> date | None:
        return read_day_title(title, self._map.date_formats, self._month, self._serial_zero)


def _join_titles(lines: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Returns the titles by which each column can be named: all its lines joined, or one of them, the lowest first."""
    width = max(map(len, lines))
    columns = [[fold(line[place]) for line in lines if place < len(line)] for place in range(width)]
    return [tuple(filter(None, (" ".join(filter(None, texts)), *reversed(texts)))) for texts in columns]


def _show_titles(lines: Sequence[Sequence[str]]) -> list[str]:
    """Returns the title of each column as it stands in the file, its lines joined."""
    width = max(map(len, lines))
    return [
        " ".join(filter(None, (line[place].strip() for line in lines if place < len(line)))) for place in range(width)
    ]


def _find_months(lines: Sequence[Sequence[str]]) -> list[int | None]:
    """Returns the month that stands above each column: of a merged cell only the first column has the text."""
    width = max(map(len, lines))
    months: list[int | None] = [None] * width
    for line in lines[:-1]:
        above: int | None = None
        for place in range(width):
            text = line[place] if place < len(line) else ""
            above = find_month(text) if text.strip() else above
            months[place] = above or months[place]
    return months
