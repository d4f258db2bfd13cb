"""A payer's file: what is read, what is named as a fault, and whom its lines mean."""

from datetime import date

import pytest

from sync.money.differences import DifferenceKind
from sync.money.errors import PayerFileWrong, TermsWrong
from sync.money.explaining import compare_counts
from sync.money.matching import match_sheet
from sync.money.months import Month
from sync.money.payer_file import PayerChild, PayerMeal, read_payer_map, read_payer_sheet
from sync.money.payer_people import ChildMatcher, MatchedChild, MatchFault, RosterName, hash_number, name_key
from tests.sync.money.conftest import MONEY
from tests.sync.money.pairs import KEY, make_pair, name_of, number_of

NOVEMBER = Month(2025, 11)
LONG = """
id = "wallet"
shape = "long"
[columns]
number = "ИИН"
name = "ФИО"
group = "Класс"
date = "Дата"
session = "Приём"
[sessions]
"Обед" = "lunch"
"""


def read(rows: list[list[str]], text: str = LONG) -> tuple[list[tuple[int, str, int, int]], list[tuple[int, str]]]:
    titles = ["ИИН", "ФИО", "Класс", "Дата", "Приём"]
    sheet = read_payer_sheet([titles, *rows], read_payer_map(text), NOVEMBER)
    meals = [(meal.line, meal.child.number, meal.day.day, meal.count) for meal in sheet.meals]
    return meals, [(fault.line, fault.what) for fault in sheet.faults]


def test_good_lines_are_read_and_bad_ones_are_named() -> None:
    rows = [
        ["1", "Әлиев", "5 «А»", "03.11.2025", " обед "],
        ["2", "", "", "2025-11-04", ""],
        ["", "", "", "", ""],
        ["", "", "5 «А»", "03.11.2025", "Обед"],
        ["=HYPERLINK(1)", "Әлиев", "", "03.11.2025", "Обед"],
        ["3", "", "", "31.11.2025", "Обед"],
        ["3", "", "", "03.12.2025", "Обед"],
        ["3", "", "", "03.11.2025", "Полдник"],
        ["Итого", "", "", "", "4"],
    ]
    meals, faults = read(rows)
    assert meals == [(2, "1", 3, 1), (3, "2", 4, 1)]
    assert faults == [
        (5, "neither number nor name"),
        (6, "a formula stands where a text must be"),
        (7, "'31.11.2025' is no date"),
        (8, "2025-12-03 is not in 2025-11"),
        (9, "session 'Полдник' is not in the map"),
    ]


def test_a_wide_row_loses_only_the_cell_that_cannot_be_read() -> None:
    column_map = read_payer_map('id = "w"\nshape = "wide"\n[columns]\nnumber = "№"\n')
    titles = ["№", "1 сб", "02.11.2025", "3", "32", "04.11", "05.12", "Всего"]
    rows = [["7", "+", "2", "=1+1", "9", "1", "1", "3"], ["8", "н", "21"]]
    sheet = read_payer_sheet([titles, *rows], column_map, NOVEMBER)
    meals = [(meal.child.number, meal.day.day, meal.count) for meal in sheet.meals]
    assert meals == [("7", 1, 1), ("7", 2, 2), ("7", 4, 1)]
    assert [(fault.line, fault.day, fault.what) for fault in sheet.faults] == [
        (2, date(2025, 11, 3), "'=1+1' is no count of meals"),
        (3, date(2025, 11, 2), "'21' is no count of meals"),
    ]


WIDE = 'id = "w"\nshape = "wide"\n{more}\n[columns]\nnumber = "№"\n'


def read_wide(lines: list[list[str]], more: str = "") -> list[tuple[str, int]]:
    sheet = read_payer_sheet(lines, read_payer_map(WIDE.format(more=more)), NOVEMBER)
    assert sheet.faults == ()
    return [(meal.child.number, meal.day.day) for meal in sheet.meals]


def test_days_of_two_months_are_told_apart_or_refused() -> None:
    days = ["30", "31", "1", "2"]
    with pytest.raises(PayerFileWrong, match="of another month"):
        read_wide([["№", *days], ["7", "+", "+", "+", "+"]])
    with pytest.raises(PayerFileWrong, match="a second time"):
        read_wide([["№", "1", "01.11"], ["7", "+", "+"]])
    above = ["№", "Октябрь", "", "Ноябрь 2025 г.", ""]
    assert read_wide([above, ["", *days], ["7", "+", "+", "+", ""]], "title_lines = 2") == [("7", 1)]
    assert read_wide([["№", "30 қазан", "31.10", "1 қараша", "02.11"], ["7", *"++++"]]) == [("7", 1), ("7", 2)]


def test_what_only_looks_like_a_day_is_none() -> None:
    titles = ["№", "1 смена", "5 класс", "775", "0", "31", "3 блюдо", "4 ср"]
    assert read_wide([titles, ["7", *"1111111"]]) == [("7", 4)]


def test_titles_and_lines_that_people_write_around_a_table() -> None:
    titles = ["№", "«1» қараша", "2-е", "3 ноября 2025 г.", "4.", "45966"]
    rows = [["", "сб", "вс", "пн", "вт", "ср"], ["7", *"+++++"], ["№", "1", "2", "3", "4", "5"], ["Директор", "", "-"]]
    assert read_wide([titles, *rows]) == [("7", day) for day in range(1, 6)]
    assert read_wide([["", "сб", "вс"], ["№", "1", "2"], ["7", "1 порция", "1,00"]], "title_line = 2") == [
        ("7", 1), ("7", 2),
    ]  # fmt: skip


def test_titles_over_two_lines_may_come_again_on_each_page() -> None:
    titles = [["№", "Учащийся", "", "Питание"], ["", "ИИН", "ФИО", "Дата"]]
    text = LONG.partition("[columns]")[0] + 'title_lines = 2\n[columns]\nname = "ФИО"\ndate = "Дата"\n'
    rows = [*titles, ["1", "", "Әлиев", "03.11.2025"], *titles, ["2", "", "Ким", "04.11.2025"]]
    sheet = read_payer_sheet(rows, read_payer_map(text), NOVEMBER)
    assert [(meal.child.name, meal.day.day) for meal in sheet.meals] == [("Әлиев", 3), ("Ким", 4)]
    assert sheet.faults == ()


def test_times_behind_dates_are_local() -> None:
    when = ("03.11.2025 7:05", "2025-11-03T12:00:00+05:00", "2025-11-03T20:00:00Z")
    meals, faults = read([["1", "", "", each, "Обед"] for each in when])
    assert meals == [(2, "1", 3, 1), (3, "1", 3, 1)]
    assert faults == [(4, "'2025-11-03T20:00:00Z' is no date")]  # in UTC it may be another day here


def test_lines_of_one_child_under_merged_cells() -> None:
    rows = [["№", "Приём", "3"], ["7", "обед", "+"], ["", "полдник", "+"], ["8", "обед", "-"]]
    assert read_wide(rows, "merged = true") == [("7", 3), ("7", 3)]
    sheet = read_payer_sheet(rows, read_payer_map(WIDE.format(more="")), NOVEMBER)
    assert [fault.what for fault in sheet.faults] == ["neither number nor name"]


def test_a_date_with_two_meanings_is_named_and_one_with_a_named_form_is_read() -> None:
    row = [["1", "", "", "03/11/2025", "Обед"]]
    assert read(row) == ([], [(2, "'03/11/2025' is no date")])
    assert read(row, LONG.replace("[columns]", 'date_formats = ["%d/%m/%Y"]\n[columns]', 1))[0] == [(2, "1", 3, 1)]


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (("ФИО", "Имя"), "has 0 columns 'Имя'; it has ИИН"),
        (('shape = "long"', 'shape = "long"\ntitle_line = 9'), "the file has 1 lines"),
        (('shape = "long"', 'shape = "wide"'), "no column of line 1 is a day of 2025-11"),
    ],
)
def test_titles_that_do_not_fit_the_map_are_named(edit: tuple[str, str], fault: str) -> None:
    with pytest.raises(PayerFileWrong, match=fault):
        read([], LONG.replace(*edit, 1))


def test_the_shipped_map_reads_the_file_that_it_describes() -> None:
    column_map = read_payer_map((MONEY / "payer-map.example.toml").read_text("utf-8"))
    titles = ["ИИН", "Фамилия", "Имя", "Класс", "Дата", "Количество", "Приём пищи", "Школа"]
    row = ["050101500001", "Әлиев", "Арман", "5 «А»", "03.11.2025", "1", "обед", "СШ № 151"]
    sheet = read_payer_sheet([titles, row], column_map, NOVEMBER)
    child = PayerChild("050101500001", "Әлиев Арман", "5 «А»")
    assert sheet.meals == (PayerMeal(2, child, date(2025, 11, 3), 1, "lunch", "sch-0151"),)


def test_a_map_without_a_name_a_date_or_a_known_field_is_refused() -> None:
    with pytest.raises(PayerFileWrong, match="neither number nor name"):
        read_payer_map('id = "x"\nshape = "wide"\n[columns]\n')
    with pytest.raises(PayerFileWrong, match="has no date"):
        read_payer_map('id = "x"\nshape = "long"\n[columns]\nname = "N"\n')
    with pytest.raises(TermsWrong, match="unknown field `colour`"):
        read_payer_map('id = "x"\nshape = "long"\ncolour = 1\n[columns]\nname = "N"\n')


NAMES = [
    RosterName("p1", "Әлиев Арман", "5 «А»"),
    RosterName("p2", "Ким Анна", "5 «А»"),
    RosterName("p3", "Ким Анна", "5 «А»"),
    RosterName("p4", "Ким Анна", "5 «Б»"),
]


def find(child: PayerChild, **fields: object) -> MatchedChild:
    return ChildMatcher(NAMES, **fields).match(child)  # type: ignore[arg-type]


def test_a_number_is_known_by_its_keyed_hash_and_by_nothing_else() -> None:
    numbers = {hash_number("010101500001", KEY): ("p1",), hash_number("2", KEY): ("p1", "p2")}
    assert find(PayerChild("010101 500001", "", ""), numbers=numbers, key=KEY).person == "p1"
    assert find(PayerChild("010101500001", "", ""), numbers=numbers, key=b"other").fault is MatchFault.NOBODY
    assert find(PayerChild("2", "Әлиев Арман", "5А"), numbers=numbers, key=KEY).fault is MatchFault.SEVERAL
    # A spreadsheet takes the number for a quantity, and the zero before it is lost.
    assert find(PayerChild("10101500001", "", ""), numbers=numbers, key=KEY).person == "p1"
    assert find(PayerChild("10101500001.0", "", ""), numbers=numbers, key=KEY).person == "p1"
    assert find(PayerChild("1,0101500001E+10", "", ""), numbers=numbers, key=KEY).person == "p1"
    rounded = {hash_number("010101000000", KEY): ("p1",), hash_number("10101E10", KEY): ("p1",)}
    assert find(PayerChild("1,0101E+10", "", ""), numbers=rounded, key=KEY).fault is MatchFault.NOBODY
    assert "010101500001" not in repr(ChildMatcher(NAMES, numbers, KEY))
    assert repr(KEY) not in repr(ChildMatcher(NAMES, numbers, KEY))


def test_a_name_and_class_count_once_somebody_has_confirmed_them() -> None:
    child = PayerChild("", "АЛИЕВ Арман Ерланұлы", "5-а")
    matcher = ChildMatcher(NAMES)
    assert matcher.match(child) == MatchedChild(fault=MatchFault.NOT_CONFIRMED, candidates=("p1",))
    proposed = matcher.propose_names([child, PayerChild("", "Ким Анна", "5А")])
    assert proposed == {name_key(child): "p1"}
    assert find(child, confirmed=proposed).person == "p1"
    assert find(PayerChild("", "Ким Анна", "5А")) == MatchedChild(fault=MatchFault.SEVERAL, candidates=("p2", "p3"))
    assert find(PayerChild("", "Ким Анна", "5Б")).candidates == ("p4",)
    assert find(PayerChild("", "А. Kим", "класс 5-Б")).candidates == ("p4",)  # a Latin K
    assert find(PayerChild("", "Ким В.", "5Б")).fault is MatchFault.NOBODY
    assert find(PayerChild("", "Ким", "5Б")).fault is MatchFault.NOBODY
    assert find(PayerChild("", "", "")).fault is MatchFault.NOBODY


def test_a_line_that_may_be_of_two_children_is_listed_and_explains_what_we_bill(calendar, tariffs) -> None:  # type: ignore[no-untyped-def]
    pair = make_pair(3, calendar, tariffs, plants=0)
    person, day, session, school = next(iter(pair.cells))
    twin = RosterName("p99", name_of(person), "5 «А»")
    names = [RosterName(each.person, each.name, "5 «А»") for each in pair.roster_names()]
    rows = [
        ["", name_of(each), "5А", f"{each_day:02}.11.2025", "Обед"]
        if (each, each_day) == (person, day)
        else [number_of(each), "", "", f"{each_day:02}.11.2025", "Обед"]
        for each, each_day, _, _ in pair.cells
    ]
    payer = read_payer_sheet([["ИИН", "ФИО", "Класс", "Дата", "Приём"], *rows], read_payer_map(LONG), NOVEMBER)
    theirs = match_sheet(payer, ChildMatcher([*names, twin], pair.numbers(), KEY), "sch-1", ["lunch"])
    comparison = compare_counts(pair.our_count(), theirs)
    (line,) = comparison.differences
    (apart,) = comparison.unmatched
    assert (line.kind, line.person, line.lines) == (DifferenceKind.NOT_MATCHED, person, (apart.line,))
    assert (apart.fault, apart.count, apart.days) == (MatchFault.SEVERAL, 1, (date(2025, 11, day),))
    assert {person, "p99"} <= set(apart.candidates)
    assert comparison.ours_total == comparison.theirs_total
    assert (session, school) == ("lunch", "")


def test_names_of_schools_that_nothing_translates_are_passed_over() -> None:
    meals = [["1", "", "", "03.11.2025", "Обед", "СШ № 151"]]
    text = LONG.replace('session = "Приём"', 'session = "Приём"\nschool = "Школа"')
    titles = ["ИИН", "ФИО", "Класс", "Дата", "Приём", "Школа"]
    matcher = ChildMatcher(NAMES, {hash_number("1", KEY): ("p1",)}, KEY)
    sheet = read_payer_sheet([titles, *meals], read_payer_map(text), NOVEMBER)
    assert sheet.meals == (PayerMeal(2, PayerChild("1", "", ""), date(2025, 11, 3), 1, "lunch", "СШ № 151"),)
    assert match_sheet(sheet, matcher, "sch-1", ["lunch"]).meals[0].school == ""
    named = read_payer_map(text + '[schools]\n"СШ № 151" = "sch-1"\n"СШ № 152" = "sch-2"\n')
    two = [*meals, ["1", "", "", "04.11.2025", "Обед", "сш № 152"], ["5", "", "", "04.11.2025", "Обед", "СШ № 152"]]
    theirs = match_sheet(read_payer_sheet([titles, *two], named, NOVEMBER), matcher, "sch-1", ["lunch"])
    assert [meal.school for meal in theirs.meals] == ["sch-1", "sch-2"]
    assert theirs.unmatched == []  # a child of another school, at another school
