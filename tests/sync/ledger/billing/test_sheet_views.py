"""Sheets as files: CSV, XLSX, HTML and PDF, in Kazakh and Russian, with nothing that a spreadsheet would run."""

import csv
import io
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import psycopg
import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from sync.contract.event import Claim
from sync.contract.roster import MealSession, Person, School
from sync.ledger.billing import categories, terms
from sync.ledger.billing.other_count import read_payer_file
from sync.ledger.billing.pdf import BROWSERS
from sync.ledger.billing.sheet_store import StoredVersion
from sync.ledger.billing.sheet_views import (
    SheetFormat,
    SheetLanguage,
    SheetNames,
    load_form,
    load_words,
    read_names,
    render,
)
from sync.ledger.billing.spreadsheets import read_worksheets
from sync.ledger.registry import rosters
from sync.money.building import build_correction, build_sheet
from sync.money.calendars import Calendar
from sync.money.canonical import digest_sheet, encode_sheet
from sync.money.errors import PayerFileWrong, TermsWrong
from sync.money.layout import ShownPerson, format_tenge
from sync.money.months import Month
from sync.money.payer_file import read_payer_map
from sync.money.sheet import OutageKind, SheetOutage, SheetSubject
from sync.money.tariffs import TariffBook
from tests.sync.ledger.billing.test_sheets import NOW
from tests.sync.money.school import SUBJECT, facts, pupil, visit

KK, RU = SheetLanguage.KK, SheetLanguage.RU
PEOPLE: Mapping[str, ShownPerson] = {
    "p1": ShownPerson("=HYPERLINK(1)", "10 «Б»", "c2"),
    "p2": ShownPerson("Ябеда Анна", "2 «А»", "c3"),
    "p3": ShownPerson("Әлиев <b>Арман</b>", "2 «А»"),
    "p4": ShownPerson("Бек Дана", "2 «А»"),
}
NAMES = SheetNames("№ 151 мектеп", "Тегін тамақ", PEOPLE, {"lunch": "Түскі ас"})


@pytest.fixture(scope="module")
def stored(calendar: Calendar, tariffs: TariffBook) -> StoredVersion:
    visits = [visit("p1", 3), visit("p2", 3), visit("p2", 4), visit("p3", 5, claim=Claim.HELD), visit("gone", 3)]
    outage = SheetOutage(6, "lunch", "sch-1-k1", "e1", 7, OutageKind.BOOT)
    people = [pupil(f"p{number}") for number in range(1, 5)]
    body = encode_sheet(build_sheet(SUBJECT, 1, facts(visits, people, calendar, tariffs, [outage])))
    return StoredVersion(1, digest_sheet(body), body)


def test_classes_come_as_numbers_and_people_by_the_kazakh_alphabet(stored: StoredVersion) -> None:
    rows = list(csv.reader(io.StringIO(render(stored, NAMES, load_form(), KK, SheetFormat.CSV).decode("utf-8-sig"))))
    titles, *people, total = rows
    assert titles[:4] == ["№", "Тегі, аты", "Тамақтану уақыты", "1"]
    names = ["Әлиев <b>Арман</b>", "Бек Дана", "Ябеда Анна", "'=HYPERLINK(1)", "gone"]
    assert [row[1] for row in people] == names
    assert [row[0] for row in people] == ["1", "2", "3", "1", "1"]
    assert {row[2] for row in people} == {"Түскі ас"}
    day = titles.index("6")
    assert [row[day] for row in people] == ["×", "×", "×", "×", ""]
    assert people[0][titles.index("5")] == "?"
    assert total[titles.index("3")] == "3"
    assert total[titles.index("Барлығы")] == "4"
    assert total[titles.index("Сомасы, теңге")] == format_tenge(4 * 90100) == "3\N{NO-BREAK SPACE}604,00"


def test_a_workbook_has_a_worksheet_a_class_and_runs_nothing(stored: StoredVersion) -> None:
    book = load_workbook(io.BytesIO(render(stored, NAMES, load_form(), RU, SheetFormat.XLSX)))
    assert book.sheetnames == ["2 «А»", "10 «Б»", "Класс не указан", "Итого по табелю"]
    cells = [cell for table in book for row in table.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s", "n"}
    assert "=HYPERLINK(1)" in {cell.value for cell in cells}
    titles = [cell.value for cell in book["2 «А»"][1]]
    total = [cell.value for cell in book["2 «А»"][5]]
    assert (total[titles.index("3")], total[titles.index("Всего")]) == (1, 2)


class Texts(HTMLParser):
    """The texts of a page, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


@pytest.mark.parametrize(
    ("language", "title", "group_total"),
    [(KK, "Тамақтану табелі", "Сынып бойынша барлығы"), (RU, "Табель питания", "Итого по классу")],
)
def test_a_printed_sheet_has_a_page_a_class_with_totals(
    stored: StoredVersion, language: SheetLanguage, title: str, group_total: str
) -> None:
    page = Texts(render(stored, NAMES, load_form(), language, SheetFormat.HTML).decode())
    assert page.texts.count(title) == 4  # three classes and the sums
    assert page.texts.count(group_total) == 3
    assert page.tags.count("section") == 4
    assert {stored.digest, NAMES.school, NAMES.programme, "Әлиев <b>Арман</b>"} <= set(page.texts)
    assert not {"b", "script", "link", "img"} & set(page.tags)
    assert load_words(language).boot + " (e1 7)" in page.texts
    assert "c2" not in page.texts


def test_a_correction_is_named_and_shows_what_is_taken_back(
    stored: StoredVersion, calendar: Calendar, tariffs: TariffBook
) -> None:
    closed = build_sheet(SUBJECT, 1, facts([visit("p1", 3)], [], calendar, tariffs))
    later = facts([visit("p1", 4), visit("p2", 4)], [], calendar, tariffs)
    subject = SheetSubject("sch-1", "state", "2025-11", 2)
    body = encode_sheet(build_correction(subject, 1, later, [("digest", closed)]))
    version = StoredVersion(1, digest_sheet(body), body)
    html = render(version, NAMES, load_form(), KK, SheetFormat.HTML).decode()
    assert "Тамақтану табелі. Түзету табелі № 2" in html
    rows = list(csv.reader(io.StringIO(render(version, NAMES, load_form(), KK, SheetFormat.CSV).decode("utf-8-sig"))))
    assert [(row[1], row[5], row[6]) for row in rows[1:]] == [
        ("Ябеда Анна", "", "1"),
        ("'=HYPERLINK(1)", "-1", "1"),
        ("", "-1", "2"),
    ]


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no Chromium here: install chromium")
def test_chromium_makes_a_pdf_of_four_pages(stored: StoredVersion) -> None:
    pdf = render(stored, NAMES, load_form(), KK, SheetFormat.PDF)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 4


def test_the_form_is_data(stored: StoredVersion) -> None:
    form = load_form('id = "own"\n[[columns]]\nfield = "person"\nkk = "Код"\nru = "Код"\n[[columns]]\nfield = "days"\n')
    rows = render(stored, NAMES, form, KK, SheetFormat.CSV).decode("utf-8-sig").splitlines()
    assert rows[0].startswith("Код,1,2,3")
    with pytest.raises(TermsWrong, match="no title in kk or ru for meals"):
        load_form('id = "own"\n[[columns]]\nfield = "meals"\nkk = "Саны"\n')


def test_names_are_joined_from_the_newest_roster_and_categories_only_where_wanted(
    db: psycopg.Connection, school: str, tariffs: TariffBook
) -> None:
    subject = SheetSubject(school, "state", "2025-11")
    pupil_record = Person(id="p1", given_name="Арман", family_name="Әлиев", group="2 «А»")
    lunch = MealSession(id="lunch", name="Lunch", start="12:00", end="14:00", name_ru="Обед")
    rosters.apply_changes(db, school, [School(id=school, name="№ 151"), pupil_record, lunch])
    assert read_names(db, subject, RU, categories=False).sessions == {"lunch": "Обед"}
    assert read_names(db, subject, KK, categories=False).sessions == {"lunch": "Lunch"}
    categories.import_categories(db, school, {"p1": "c2"}, by="city", now=datetime.now(UTC))
    assert read_names(db, subject, RU, categories=False).people == {"p1": ShownPerson("Әлиев Арман", "2 «А»")}
    assert read_names(db, subject, RU, categories=True).people["p1"].category == "c2"
    assert read_names(db, subject, RU, categories=True).programme == "state"
    terms.import_tariffs(db, school, tariffs, by="city", now=NOW)
    assert read_names(db, subject, RU, categories=True).programme == "Бесплатное питание за счёт государства"


def test_a_payers_table_is_read_as_text_and_formulas_are_not_reckoned() -> None:
    def read(content: bytes) -> Sequence[Sequence[str]]:
        return read_worksheets("a", content)[""].rows

    assert read("№;Аты\n1;Әли\n".encode("utf-8-sig")) == [["№", "Аты"], ["1", "Әли"]]
    titled = "Табель за ноябрь\n№,Аты\n1,Әли\n2,Дана\n"
    assert read(titled.encode()) == [["Табель за ноябрь"], ["№", "Аты"], ["1", "Әли"], ["2", "Дана"]]
    assert read("Имя,День\nОля,3\n".encode("cp1251")) == [["Имя", "День"], ["Оля", "3"]]
    assert read("Аты\tКүн\nӘли\t3\n".encode("utf-16")) == [["Аты", "Күн"], ["Әли", "3"]]
    for form in ("utf-16-le", "utf-16-be"):
        assert read("Аты;Күн\nӘли;3\n".encode(form)) == [["Аты", "Күн"], ["Әли", "3"]]
    assert read("Аты;Күн\nҚұдайберген;3,0\n".encode("kz1048")) == [["Аты", "Күн"], ["Құдайберген", "3,0"]]
    assert read('sep=|\r\n№|Аты\r\n1|"Әли; Дана, Ілияс"\r\n'.encode())[1] == ["1", "Әли; Дана, Ілияс"]
    book = Workbook()
    table = book.worksheets[0]
    table.append(["id", "day", "sum"])
    table.append([12, datetime(2025, 11, 3), "=1+1"])
    content = io.BytesIO()
    book.save(content)
    (worksheet,) = read_worksheets("a.xlsx", content.getvalue()).values()
    assert worksheet.rows == [["id", "day", "sum"], ["12", "2025-11-03", "=1+1"]]


def test_the_worksheet_with_the_titles_is_read_and_hidden_ones_are_not() -> None:
    book = Workbook()
    for title, day in (("Қазан", 24), ("Анықтама", 0), ("Қараша", 3), ("Черновик", 4)):
        table = book.create_sheet(title)
        table.append(["ИИН", "Дата"] if day else ["код", "мағынасы"])
        table.append(["1", datetime(2025, 10 if day == 24 else 11, day)] if day else ["н", "жоқ"])
    book.remove(book.worksheets[0])
    book["Черновик"].sheet_state = "hidden"
    text = 'id = "b"\nshape = "long"\n{more}\n[columns]\nnumber = "ИИН"\ndate = "Дата"\n'

    def read_days(more: str = "") -> list[int]:
        content = io.BytesIO()
        book.save(content)
        column_map = read_payer_map(text.format(more=more))
        return [meal.day.day for meal in read_payer_file("b", content.getvalue(), column_map, Month(2025, 11)).meals]

    assert read_days() == [3]  # the other one has nothing of November
    book["Қазан"].append(["2", datetime(2025, 11, 5)])
    with pytest.raises(PayerFileWrong, match="the worksheets Қазан, Қараша; name one"):
        read_days()
    assert read_days('worksheet = "қараша"') == [3]
    with pytest.raises(PayerFileWrong, match="the worksheets Қазан, Анықтама, Қараша; name one"):
        read_days('worksheet = "Черновик"')
    book["Қазан"].sheet_state = "hidden"
    assert read_days() == [3]
    book["Қараша"].append(["3", (date(2025, 11, 6) - date(1904, 1, 1)).days])
    book.epoch = CALENDAR_MAC_1904  # numbers and dates count from 1904
    assert read_days() == [3, 6]


def test_bare_days_are_of_the_month_in_the_worksheets_name() -> None:
    book = Workbook()
    for title, day in (("Октябрь", 24), ("Ноябрь", 3), ("Цены", 0)):
        table = book.create_sheet(title)
        table.append(["ИИН", *range(1, 31)] if day else ["код", "тг"])
        table.append(["1", *["+" if number == day else None for number in range(1, 31)]])
    content = io.BytesIO()
    book.save(content)
    column_map = read_payer_map('id = "b"\nshape = "wide"\n[columns]\nnumber = "ИИН"\n')
    sheet = read_payer_file("b", content.getvalue(), column_map, Month(2025, 11))
    assert [meal.day.day for meal in sheet.meals] == [3]


@pytest.mark.parametrize(
    "content",
    ids=["workbook", "text", "csv"],
    argvalues=[b"PK\x03\x04 broken", b"\x00\xff\x98" * 10, b'"open\n' + b"x" * 200_000],
)
def test_a_file_that_cannot_be_read_says_what_to_do(content: bytes) -> None:
    with pytest.raises(PayerFileWrong, match="save it"):
        read_worksheets("theirs", content)
