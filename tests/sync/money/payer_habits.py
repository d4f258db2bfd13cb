"""Payers' files as other hands write them: the same pairs as `pairs`, in the bytes of many programs and habits.

One seed draws one file's habits: separator and encoding, or a workbook with typed cells, merged titles and hidden
worksheets; how numbers, names, dates, days and marks are written; and what stands around the table.
"""

import csv
import io
import random
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from openpyxl import Workbook

from sync.money.payer_file import PayerMap, read_payer_map
from tests.sync.money.pairs import Pair, name_of, number_of

Cell = str | int | float | bool | datetime
Meal = tuple[str, int, str, str, str]  # person, day, session, school, mark or count

SERIAL_ZERO = date(1899, 12, 30)
RUSSIAN = {9: "сентября", 10: "октября", 11: "ноября", 12: "декабря"}
KAZAKH = {9: "қыркүйек", 10: "қазан", 11: "қараша", 12: "желтоқсан"}
ENGLISH = {9: "Sep", 10: "Oct", 11: "Nov", 12: "Dec"}
SUMS = ("Итого", "ВСЕГО", "Подытог", "Промежуточный итог", "Барлығы", "Жиынтық", "Total", "Сумма")
WEEKDAYS = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
PRESENT = ("+", "1", "х", "x", "Х", "1,0", "1.00", "да", "✓")
ABSENT = ("", "", "н", "-", "0", "б", "в", "Н/Б")

DATES: tuple[Callable[[date], str], ...] = (
    lambda day: day.isoformat(),
    lambda day: f"{day:%d.%m.%Y} г.",
    lambda day: f"{day.day}.{day:%m.%y}",
    lambda day: f"{day:%d.%m.%Y} 12:{day.day:02}",
    lambda day: f"{day.isoformat()}T12:30:00",
    lambda day: str((day - SERIAL_ZERO).days),
    lambda day: f"{(day - SERIAL_ZERO).days},5417",
    lambda day: f"{day.day} {RUSSIAN[day.month]} {day.year} года",
    lambda day: f"{day.year} жылғы {day.day} {KAZAKH[day.month]}",
    lambda day: f"{day.day}-{RUSSIAN[day.month][:3]}-{day:%y}",
    lambda day: f"{day.day}-{ENGLISH[day.month]}-{day:%y}",
)
TITLES: tuple[Callable[[date], str], ...] = (
    lambda day: str(day.day),
    lambda day: f"{day.day:02}",
    lambda day: f"{day.day} {WEEKDAYS[day.weekday()]}",
    lambda day: f"{day.day}\n({WEEKDAYS[day.weekday()]}.)",
    lambda day: f"{day:%d.%m}",
    lambda day: f"{day.day} {RUSSIAN[day.month]}",
    lambda day: f"{day.day:02}.{RUSSIAN[day.month][:3]}",
    *DATES[:3],
    DATES[5],
)
NUMBERS: tuple[Callable[[str], str], ...] = (
    lambda number: number,
    lambda number: str(int(number)),
    lambda number: f"{int(number)}.0",
    lambda number: f'="{number}"',
    lambda number: f"'{number}",
    lambda number: f"{number[:6]} {number[6:]}",
    lambda number: f"{str(int(number))[0]},{str(int(number))[1:]}E+{len(str(int(number))) - 1}",
)
TYPED = str.maketrans("ӘәҒғҚқҢңӨөҰұҮүҺһІі", "АаГгКкНнОоУуУуХхИи")  # with a Russian keyboard
LOOK_ALIKE = str.maketrans("АЕОРСХКМНТВ", "AEOPCXKMHTB")
NAMES: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: " ".join(reversed(name.split())),
    lambda name: name.upper(),
    lambda name: name.translate(TYPED),
    lambda name: name.translate(LOOK_ALIKE),
    lambda name: f"{name} Ерланұлы",
    lambda name: unicodedata.normalize("NFD", name).upper(),  # as a Macintosh writes `Сейітов`
    lambda name: f"{name.split()[0]} {name.split()[1][0]}.",
    lambda name: f"{name.split()[1][0]}.Е. {name.split()[0]}".translate(TYPED),
)
GROUPS: tuple[Callable[[str], str], ...] = (
    lambda group: group, lambda group: group.replace(" «А»", "-А"), lambda group: f"{group} класс",
    lambda group: group.replace(" «А»", "A"), lambda group: f"{group[0]}а сынып",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HabitFile:
    """One payer's file, and the map that somebody has written for it."""

    name: str
    content: bytes
    column_map: PayerMap
    by_name: bool


class HabitWriter:
    """Writes one file of a pair by the habits that its seed draws."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self._pair = pair
        self._dice = random.Random(seed)
        self._wide, self._workbook = self._dice.random() < 0.5, self._dice.random() < 0.4
        self._by_name = self._dice.random() < 0.35
        self._spanned = self._wide and self._dice.random() < 0.4  # titles over two lines, October beside November
        self._merged = self._wide and self._dice.random() < 0.4  # one child over several lines
        self._date, self._title = self._dice.choice(DATES), self._dice.choice(TITLES[:3] if self._spanned else TITLES)
        self._number, self._name, self._group = map(self._dice.choice, (NUMBERS, NAMES, GROUPS))

    def write(self) -> HabitFile:
        rows = list(self._write_wide() if self._wide else self._write_long())
        heading: list[list[Cell]] = [["Асхана, табель за ноябрь 2025 г., 5; 6, 7 классы"], []]
        above = heading[: self._dice.randrange(3)]
        lines: list[list[Cell]] = [*above, *rows, [], ["", "Директор", "", "_______"]]
        if self._workbook:
            name, content = "theirs.xlsx", self._to_workbook(lines)
        else:
            name, content = "theirs.csv", self._to_text(lines)
        return HabitFile(name, content, self._make_map(len(above) + 1), self._by_name)

    def _make_map(self, title_line: int) -> PayerMap:
        who = 'name = "Оқушы"\ngroup = "Класс"' if self._by_name else 'number = "ЖСН / ИИН"'
        long = "" if self._wide else 'date = "Дата питания"\ncount = "Порций"\n'
        return read_payer_map(
            f'id = "h"\nshape = "{"wide" if self._wide else "long"}"\ntitle_line = {title_line}\n'
            f"title_lines = {2 if self._spanned else 1}\nmerged = {str(self._merged).lower()}\n[columns]\n{who}\n{long}"
            'session = "Приём"\nschool = "Школа"\nwithdrawn = "Отозван"\n[sessions]\n"Обед" = "lunch"\n'
            '"Таңғы ас" = "breakfast"\n[schools]\n"№ 1" = "sch-1"\n"№ 2" = "sch-2"\n'
        )

    def _child(self, person: str) -> list[Cell]:
        group = next(each.group for each in self._pair.people if each.person == person)
        number = self._number(number_of(person))
        typed: Cell = int(number) if self._workbook and number.isdecimal() and number[0] != "0" else number
        return [typed, self._name(name_of(person)), self._group(group)]

    def _words(self, session: str, school: str) -> list[Cell]:
        return [{"lunch": "ОБЕД ", "breakfast": "таңғы ас"}[session], {"": "№ 1", "sch-2": "№\xa02"}[school]]

    def _when(self, day: date) -> Cell:
        return (
            datetime(day.year, day.month, day.day) if self._workbook and self._dice.random() < 0.5 else self._date(day)
        )

    def _gone(self, person: str) -> Cell:
        return self._when(date(2025, 11, self._pair.withdrawals[person])) if person in self._pair.withdrawals else ""

    def _write_long(self) -> Iterator[list[Cell]]:
        yield ["№", "ЖСН / ИИН", "Оқушы", "Класс", "Дата\nпитания", "Порций", "Приём", "Школа", "Отозван"]
        rows: list[list[Cell]] = []
        for (person, day, session, school), count in self._pair.cells.items():
            when, words = date(2025, 11, day), self._words(session, school)
            if count == 2 and self._dice.random() < 0.5:  # the same line twice
                rows += [[*self._child(person), self._when(when), "1", *words, ""]] * 2
            else:
                mark = self._dice.choice(PRESENT) if count == 1 else f"{count},00"
                rows.append([*self._child(person), self._when(when), mark, *words, ""])
        for person, day in self._pair.unreadable:
            rows.append([*self._child(person), self._when(date(2025, 11, day)), "пол", *self._words("lunch", ""), ""])
        for person in self._pair.withdrawals:
            rows.append([*self._child(person), "", "", *self._words("lunch", ""), self._gone(person)])
        for each in self._pair.people[:5]:  # the file has the end of October, too
            rows.append([*self._child(each.person), self._when(date(2025, 10, 24)), "1", *self._words("lunch", ""), ""])
        self._dice.shuffle(rows)
        for number, row in enumerate(rows, 1):
            yield [str(number), *row]
            if number % 150 == 0:
                yield [
                    str(number),
                    "",
                    f"{self._dice.choice(SUMS)} по {number} строкам:",
                    "",
                    "",
                    str(number),
                    "",
                    "",
                    "",
                ]
        yield ["", "", self._dice.choice(SUMS), "", "", str(len(rows)), "", "", ""]

    def _write_wide(self) -> Iterator[list[Cell]]:
        days = [date(2025, 11, 1) + timedelta(days=number) for number in range(30)]
        before = [date(2025, 10, 27) + timedelta(days=number) for number in range(5)] if self._spanned else []
        titles: list[Cell] = ["№", "ЖСН / ИИН", "Оқушы", "Класс", "Приём", "Школа", "Отозван"]
        if self._spanned:
            yield [*titles, "Октябрь", *[""] * 4, "Қараша 2025 ж.", *[""] * 29, "Барлығы"]
            titles = [""] * len(titles)
        yield [*titles, *map(self._title, before), *map(self._title, days), "" if self._spanned else "Всего за 30 дней"]
        rows: dict[tuple[str, str, str], list[Cell]] = {}

        def marks(person: str, session: str = "lunch", school: str = "") -> list[Cell]:
            key = (person, session, school)
            return rows.setdefault(key, [self._dice.choice(ABSENT) for _ in days])

        for (person, day, session, school), count in self._pair.cells.items():
            marks(person, session, school)[day - 1] = self._dice.choice(PRESENT) if count == 1 else str(count)
        for person, day in self._pair.unreadable:
            marks(person)[day - 1] = "??"
        for person in self._pair.withdrawals:
            marks(person)
        shown: set[str] = set()
        for number, (person, session, school) in enumerate(sorted(rows), 1):
            child = [""] * 3 if self._merged and person in shown else self._child(person)
            gone = "" if person in shown else self._gone(person)
            shown.add(person)
            october = [self._dice.choice(PRESENT) for _ in before]
            yield [str(number), *child, *self._words(session, school), gone, *october, *rows[person, session, school],
                   "=SUM(H3:AK3)"]  # fmt: skip
            if number % 10 == 0:
                yield [
                    str(number),
                    "",
                    f"{self._dice.choice(SUMS)}:",
                    "",
                    "",
                    "",
                    "",
                    *["17"] * len(before + days),
                    "510",
                ]
        yield ["Барлығы", *[""] * 6, *["=SUM(H3:H9)"] * len(before + days), ""]

    def _to_text(self, lines: list[list[Cell]]) -> bytes:
        delimiter = self._dice.choice(";;\t,|")
        text = io.StringIO(newline="")
        if self._dice.random() < 0.2:
            text.write(f"sep={delimiter}\r\n")
        ending = self._dice.choice(["\r\n", "\n", "\r"])
        quoted = ending == "\r" or self._dice.random() < 0.3
        writer = csv.writer(
            text, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
        )
        writer.writerows([[str(cell) for cell in line] for line in lines])
        encoding = self._dice.choice(["utf-8", "utf-8-sig", "utf-16", "kz1048"])
        return text.getvalue().replace("✓", "+").encode(encoding)

    def _to_workbook(self, lines: list[list[Cell]]) -> bytes:
        book = Workbook()
        table = book.active
        assert table is not None
        table.title = "Ноябрь"
        for line in lines:
            table.append([None if cell == "" else cell for cell in line])
        legend: list[list[Cell]] = [["код", "мағынасы"], ["н", "келмеді"]]
        for title, state, rows in (("Справочник", "visible", legend), ("Черновик", "hidden", lines[:40])):
            other = book.create_sheet(title, self._dice.randrange(2))
            other.sheet_state = state
            for line in rows:
                other.append([None if cell == "" else cell for cell in line])
        content = io.BytesIO()
        book.save(content)
        return content.getvalue()


def write_habits(pair: Pair, seed: int) -> HabitFile:
    """Returns the pair's file by the habits of one seed."""
    return HabitWriter(pair, seed).write()
