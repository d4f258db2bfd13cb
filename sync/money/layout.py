"""A sheet laid out for people: one page a class, names and categories joined, sums below. Cells are text or numbers."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync.money.form import FormColumn, FormField, SheetForm
from sync.money.months import Month
from sync.money.sheet import CorrectionRow, Sheet, SheetRow

Cell = str | int

_ALPHABET = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя"
_ORDER = {letter: chr(0x100 + place) for place, letter in enumerate(_ALPHABET)}
_NUMBER_THEN_LETTERS = re.compile(r"\s*(\d*)\W*(.*)")


@dataclass(frozen=True, slots=True)
class ShownPerson:
    """The name, class and category that are joined to an opaque id when a sheet is shown."""

    name: str
    group: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class SheetPage:
    """One class. `total` has the sums of its rows; numbers are numbers, so that a spreadsheet can add them up."""

    group: str
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """A whole sheet under its titles, and the sums of all its pages."""

    titles: tuple[str, ...]
    pages: tuple[SheetPage, ...]
    total: tuple[Cell, ...]


def lay_out(
    sheet: Sheet, form: SheetForm, people: Mapping[str, ShownPerson], language: str,
    sessions: Mapping[str, str] | None = None,
) -> SheetLayout:  # fmt: skip
    """Returns the sheet in a form, in a language (kk or ru): classes in their order, people by name.

    `sessions`: the names that people use, by id; an id without one is shown itself.

    A person of whom nothing is known any more is shown by the opaque id, in a class without a name.
    """
    month = Month.parse(sheet.subject.month)
    by_group: dict[str, list[SheetRow | CorrectionRow]] = defaultdict(list)
    every_row: list[SheetRow | CorrectionRow] = [*sheet.rows, *sheet.corrections]
    for row in every_row:
        by_group[_shown(people, row.person).group].append(row)
    pages = []
    for group in sorted(by_group, key=_group_order):
        rows = sorted(by_group[group], key=lambda row: (_name_order(_shown(people, row.person).name), row.key))
        cells = tuple(
            tuple(
                cell
                for column in form.columns
                for cell in _cells(column, row, number, form, people, sessions or {}, month)
            )
            for number, row in enumerate(rows, 1)
        )
        pages.append(SheetPage(group, cells, _total(form, rows, month)))
    return SheetLayout(_titles(form, month, language), tuple(pages), _total(form, every_row, month))


def format_tenge(tiyn: int) -> str:
    """Returns a sum as people write it: `1 234,50`, with spaces that do not break."""
    whole, part = divmod(abs(tiyn), 100)
    sign = "−" if tiyn < 0 else ""
    return f"{sign}{whole:,}".replace(",", "\N{NO-BREAK SPACE}") + f",{part:02}"


def _titles(form: SheetForm, month: Month, language: str) -> tuple[str, ...]:
    titles: list[str] = []
    for column in form.columns:
        if column.field is FormField.DAYS:
            titles.extend(str(day.day) for day in month.days)
        else:
            titles.append(column.title(language))
    return tuple(titles)


def _cells(
    column: FormColumn, row: SheetRow | CorrectionRow, number: int, form: SheetForm,
    people: Mapping[str, ShownPerson], sessions: Mapping[str, str], month: Month,
) -> Sequence[Cell]:  # fmt: skip
    person = _shown(people, row.person)
    match column.field:
        case FormField.NUMBER:
            return (number,)
        case FormField.PERSON:
            return (row.person,)
        case FormField.NAME:
            return (person.name,)
        case FormField.GROUP:
            return (person.group,)
        case FormField.CATEGORY:
            return (person.category,)
        case FormField.SESSION:
            return (sessions.get(row.session, row.session),)
        case FormField.DAYS:
            marks = _marks(row, form)
            return [marks.get(day.day, "") for day in month.days]
        case FormField.EMPTY:
            return ("",)
        case _:
            return (_number(column.field, [row]),)


def _marks(row: SheetRow | CorrectionRow, form: SheetForm) -> dict[int, Cell]:
    if isinstance(row, CorrectionRow):
        return {**dict.fromkeys(row.added, 1), **dict.fromkeys(row.dropped, -1)}
    marks = form.marks
    return {
        **dict.fromkeys(row.absent, marks.absent), **dict.fromkeys(row.down, marks.down),
        **dict.fromkeys(row.outside, marks.outside), **dict.fromkeys(row.pending, marks.pending),
        **dict.fromkeys(row.held, marks.held), **dict.fromkeys(row.days, 1),
    }  # fmt: skip


def _total(form: SheetForm, rows: Sequence[SheetRow | CorrectionRow], month: Month) -> tuple[Cell, ...]:
    total: list[Cell] = []
    for column in form.columns:
        match column.field:
            case FormField.DAYS:
                meals = _day_sums(rows)
                total.extend(meals.get(day.day, "") for day in month.days)
            case (
                FormField.NUMBER | FormField.PERSON | FormField.NAME | FormField.GROUP | FormField.CATEGORY
                | FormField.SESSION | FormField.EMPTY
            ):  # fmt: skip
                total.append("")
            case _:
                total.append(_number(column.field, rows))
    return tuple(total)


def _day_sums(rows: Sequence[SheetRow | CorrectionRow]) -> dict[int, int]:
    meals: dict[int, int] = defaultdict(int)
    for row in rows:
        added, dropped = (row.days, ()) if isinstance(row, SheetRow) else (row.added, row.dropped)
        for day in added:
            meals[day] += 1
        for day in dropped:
            meals[day] -= 1
    return meals


def _number(field: FormField, rows: Sequence[SheetRow | CorrectionRow]) -> Cell:
    if field is FormField.TIYN:
        return sum(row.tiyn for row in rows)
    if field is FormField.TENGE:
        return format_tenge(sum(row.tiyn for row in rows))
    if field is FormField.MEALS:
        return sum(_day_sums(rows).values())
    counted: list[tuple[int, ...]] = [getattr(row, field.value) for row in rows if isinstance(row, SheetRow)]
    return sum(map(len, counted))


def _shown(people: Mapping[str, ShownPerson], person: str) -> ShownPerson:
    return people.get(person) or ShownPerson(person)


def _group_order(group: str) -> tuple[int, int, str]:
    """Returns the place of a class: numbers as numbers, then the letters of the Kazakh alphabet; unnamed ones last."""
    match = _NUMBER_THEN_LETTERS.match(group)
    assert match is not None  # every part of the pattern may be empty
    number, letters = match.groups()
    return (0 if group else 1, int(number or 0), _name_order(letters))


def _name_order(name: str) -> str:
    return "".join(_ORDER.get(letter, letter) for letter in name.lower())
