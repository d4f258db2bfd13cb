"""The payer's count on the pages: handed in, explained line by line, names confirmed by the school, taken away."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from openpyxl import Workbook, load_workbook
from playwright.sync_api import Browser, FilePayload, expect

from sync.contract.visit import ClaimReason
from sync.ledger.billing import count_uploads, sheet_work, terms
from sync.ledger.billing.column_maps import store_map
from sync.ledger.billing.count_uploads import CountKind, CountSubject
from sync.ledger.billing.payers import list_confirmations, replace_numbers
from sync.ledger.pages.access import PageRole
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.catalogues import load_catalogues
from sync.ledger.server import LedgerServer
from sync.money.calendars import Calendar
from sync.money.cell_faults import CellFaultKind
from sync.money.differences import DifferenceKind
from sync.money.payer_file import PayerShape, read_payer_map
from sync.money.payer_people import MatchFault, hash_number
from sync.money.presence import PresenceKind
from sync.money.sheet import SheetSubject
from sync.money.tariffs import TariffBook
from tests.browser import run_browser
from tests.sync.ledger.billing.sheet_school import meal
from tests.sync.ledger.kiosk import Kiosk, accepted
from tests.sync.ledger.pages.test_app import check_accessible, open_account, open_pages

NOW = datetime(2025, 12, 2, 9, tzinfo=UTC)
KEY = b"a key of the payer's own"
TITLES = ("ИИН", "ФИО", "Класс", "Дата", "Приём")
MAP = """
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
NAMED = ("", "АЛИЕВ АРМАН ЕРЛАНҰЛЫ", "5А", "03.11.2025", "Обед")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


@pytest.fixture
def subject(db: psycopg.Connection, lunch: str, kiosk: Kiosk, calendar: Calendar, tariffs: TariffBook) -> CountSubject:
    """November 2025 of a school in which u1 ate once and u2 twice at one lunch; the sheet is proposed."""
    kiosk.record(meal("u1", lunch, 3), meal("u2", lunch, 3, 1), meal("u2", lunch, 3, 2))
    accepted(kiosk.send_all())
    terms.import_calendar(db, lunch, calendar, by="city", now=NOW)
    terms.import_tariffs(db, lunch, tariffs, by="city", now=NOW)
    store_map(db, lunch, read_payer_map(MAP), by="city", now=NOW)
    replace_numbers(db, lunch, [(hash_number(f"99{number}", KEY), f"u{number}") for number in (2, 3)])
    sheet_work.propose(db, SheetSubject(lunch, "state", "2025-11"), by="caterer", now=NOW)
    return CountSubject(lunch, CountKind.MEALS, "state", "2025-11")


def address(subject: CountSubject, tail: str = "") -> str:
    return f"/pages/schools/{subject.school}/sheets/{subject.period}/{subject.programme}/differences{tail}"


def write_csv(*rows: tuple[str, ...]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([TITLES, *rows])
    return text.getvalue().encode()


def write_xlsx(*rows: tuple[str, ...]) -> bytes:
    book, content = Workbook(), io.BytesIO()
    for row in (TITLES, *rows):
        book.worksheets[0].append(row)
    book.save(content)
    return content.getvalue()


THEIRS = (
    NAMED,
    ("992", "", "", "03.11.2025", "Обед"),
    ("992", "", "", "03.11.2025", "Обед"),
    ("993", "", "", "04.11.2025", "Обед"),
    ("993", "", "", "32.11.2025", "Обед"),
    ("994", "", "", "04.11.2025", "Обед"),
)


def upload(
    server: LedgerServer, session: PageSession, path: str, content: bytes, name: str = "кесте.csv", **fields: str
) -> httpx.Response:
    sent = {"form_token": session.form_token, "map": "wallet", **fields}
    files = {"file": (name, content), "key": ("key", KEY)}
    with httpx.Client(base_url=server.url, cookies={"ledger_session": session.token}, timeout=60) as requester:
        return requester.post(path, data=sent, files=files)


def get(server: LedgerServer, session: PageSession, path: str) -> httpx.Response:
    with httpx.Client(base_url=server.url, cookies={"ledger_session": session.token}) as requester:
        return requester.get(path)


@pytest.mark.parametrize("content", [write_csv(*THEIRS), write_xlsx(*THEIRS)], ids=["csv", "xlsx"])
def test_every_differing_line_is_explained_with_its_events(
    server: LedgerServer, db: psycopg.Connection, subject: CountSubject, kiosk: Kiosk, content: bytes
) -> None:
    words, caterer = load_catalogues()["kk"], open_account(db, subject.school, PageRole.CATERER)
    done = upload(server, caterer, address(subject), content)
    assert (done.status_code, done.headers["location"]) == (303, address(subject, "/1"))
    comparison = count_uploads.read_differences(db, subject, 1)
    assert [(line.person, line.kind, line.lines) for line in comparison.differences] == [
        ("u1", DifferenceKind.NOT_MATCHED, (2,)),
        ("u2", DifferenceKind.SECOND_MEAL, (4,)),
        ("u3", DifferenceKind.THEIRS_WITHOUT_OURS, (5,)),
    ]
    assert (comparison.ours_total, comparison.theirs_total) == (2, 5)
    page = get(server, caterer, address(subject, "/1")).text
    place = f"{kiosk.device}/{kiosk.epoch}"
    for kind in ("second_meal", "not_matched", "theirs_without_ours"):
        assert words[f"difference.{kind}"] in page
    assert f"{place}/3" in page
    assert words["match.not_confirmed"] in page
    assert words["cell.no_date"].format(found="32.11.2025") in page
    assert "Дата" in page


def test_names_and_events_are_for_those_who_may_see_them(
    server: LedgerServer, db: psycopg.Connection, subject: CountSubject, kiosk: Kiosk
) -> None:
    sessions = {role: open_account(db, subject.school, role) for role in PageRole}
    upload(server, sessions[PageRole.CITY], address(subject), write_csv(*THEIRS))
    link = f'href="/pages/schools/{subject.school}/events/{kiosk.device}/{kiosk.epoch}/3"'
    for role, session in sessions.items():
        page = get(server, session, address(subject, "/1")).text
        assert (link in page) is (role in (PageRole.SCHOOL, PageRole.AUDITOR))
        assert ("Бекова" in page) is ("алиев арман" in page) is (role is PageRole.SCHOOL)
        table = get(server, session, address(subject, "/1/files/csv?why=second_meal")).content.decode("utf-8-sig")
        assert [row[6] for row in csv.reader(io.StringIO(table))][1:] == ["4"]
        assert ("Бекова" in table) is (role is PageRole.SCHOOL)
        assert get(server, session, address(subject)).status_code == 200
    book = load_workbook(io.BytesIO(get(server, sessions[PageRole.SCHOOL], address(subject, "/1/files/xlsx")).content))
    assert book.worksheets[0].max_row == 4
    assert get(server, sessions[PageRole.CITY], address(subject, "/1/files/exe")).status_code == 404
    viewed = db.execute(
        "SELECT DISTINCT role FROM page_view WHERE school = %s AND subject = 'differences state 2025-11'",
        (subject.school,),
    ).fetchall()
    assert {row[0] for row in viewed} == set(PageRole)


def test_the_ledger_keeps_neither_numbers_nor_names_that_it_needs_no_more(
    server: LedgerServer, db: psycopg.Connection, subject: CountSubject
) -> None:
    city = open_account(db, subject.school, PageRole.CITY)
    named = ("992", "Бекова Айгүл", "5А", "03.11.2025", "Обед")
    upload(server, city, address(subject), write_csv(named, ("995", "", "", "03.11.2025", "Обед")))
    row = db.execute("SELECT lines, result FROM other_count WHERE school = %s", (subject.school,)).fetchone()
    assert row is not None
    stored = bytes(row[0]) + bytes(row[1])
    assert b"u2" in stored
    for text in ("992", "995", "бекова", "Бекова", KEY.decode()):
        assert text.encode() not in stored


def test_the_same_file_again_is_recognised_and_old_ones_go(
    server: LedgerServer, db: psycopg.Connection, subject: CountSubject
) -> None:
    city = open_account(db, subject.school, PageRole.CITY)
    assert upload(server, city, address(subject), write_csv(*THEIRS)).headers["location"].endswith("/1")
    assert upload(server, city, address(subject), write_csv(*THEIRS)).headers["location"].endswith("/1")
    assert upload(server, city, address(subject), write_csv(NAMED)).headers["location"].endswith("/2")
    long_ago = datetime.now(UTC) - timedelta(days=367)
    db.execute("UPDATE other_count SET handed_in_at = %s WHERE number = 1", (long_ago,))
    upload(server, city, address(subject), write_csv(THEIRS[1]))
    assert [count.number for count in count_uploads.list_counts(db, subject)] == [3, 2]


def test_only_the_school_confirms_a_name_and_it_is_an_act_of_a_person(
    server: LedgerServer, db: psycopg.Connection, subject: CountSubject
) -> None:
    school, city = (open_account(db, subject.school, role) for role in (PageRole.SCHOOL, PageRole.CITY))
    upload(server, city, address(subject), write_csv(*THEIRS))
    choice = count_uploads.read_differences(db, subject, 1).unmatched[0]
    value = "\x1f".join((*choice.name, "u1"))

    def confirm(session: PageSession, chosen: str) -> int:
        fields = {"form_token": session.form_token, "name": chosen}
        with httpx.Client(base_url=server.url, cookies={"ledger_session": session.token}) as requester:
            return requester.post(address(subject, "/1/confirm"), data=fields).status_code

    assert confirm(city, value) == 404
    assert confirm(school, value.replace("u1", "u2")) == 303  # whom the line cannot mean
    assert list_confirmations(db, subject.school) == []
    assert confirm(school, value) == 303
    (act,) = list_confirmations(db, subject.school)
    assert (act.person, act.by) == ("u1", f"school reader (school-{subject.school})")
    assert act.by in get(server, school, address(subject)).text
    after = count_uploads.read_differences(db, subject, 1)
    assert [line.person for line in after.differences] == ["u2", "u3"]
    assert after.theirs_total == 5


def test_a_file_that_cannot_be_read_says_where_and_what_to_do(
    server: LedgerServer, db: psycopg.Connection, subject: CountSubject
) -> None:
    words, city = load_catalogues()["kk"], open_account(db, subject.school, PageRole.CITY)
    tables = {
        words["refusal.file_strange"].format(file="кесте.csv"): b"PK\x03\x04 no workbook",
        words["refusal.no_file"]: b"",
        words["refusal.no_column"].format(title_line=1, column="ИИН", count=0, present="ФИО"): "ФИО\nx\n".encode(),
    }
    for text, content in tables.items():
        refused = upload(server, city, address(subject), content)
        assert refused.status_code == 409
        assert text in refused.text
    large = upload(server, city, address(subject), b"x" * (9 * 1024 * 1024))
    assert large.status_code == 413
    assert words["problem.413"] in large.text
    assert words["refusal.no_map"] in upload(server, city, address(subject), write_csv(NAMED), map="none").text
    auditor = open_account(db, subject.school, PageRole.AUDITOR)
    assert upload(server, auditor, address(subject), write_csv(NAMED)).status_code == 404
    assert upload(server, city, address(subject), write_csv(NAMED), form_token="x").status_code == 403
    with httpx.Client(base_url=server.url, cookies={"ledger_session": city.token}) as requester:
        assert requester.post(address(subject), content=b"x").status_code == 415
        broken = {"content-type": "multipart/form-data"}
        assert requester.post(address(subject), content=b"x", headers=broken).status_code == 400
    assert get(server, city, address(subject, "/7")).status_code == 409
    assert get(server, city, address(subject).replace("2025-11", "2025-13")).status_code == 404


def test_lessons_are_set_beside_the_days_meals(
    server: LedgerServer, db: psycopg.Connection, subject: CountSubject, kiosk: Kiosk
) -> None:
    words, school = load_catalogues()["kk"], open_account(db, subject.school, PageRole.SCHOOL)
    path = f"/pages/schools/{subject.school}/days/2025-11-03/lessons"
    present = write_csv(("993", "", "", "03.11.2025", ""), ("992", "", "", "04.11.2025", ""))
    done = upload(server, school, path, present, programme="state")
    assert (done.status_code, done.headers["location"]) == (303, f"{path}?programme=state")
    lessons = CountSubject(subject.school, CountKind.LESSONS, "state", "2025-11-03")
    lines = count_uploads.read_lesson_differences(db, lessons, 1).differences
    assert [(line.person, line.kind) for line in lines] == [
        ("u1", PresenceKind.MEAL_WITHOUT_PRESENCE),
        ("u2", PresenceKind.MEAL_WITHOUT_PRESENCE),
        ("u3", PresenceKind.PRESENCE_WITHOUT_MEAL),
    ]
    page = get(server, school, f"{path}?programme=state").text
    assert words["presence.meal_without_presence"] in page
    assert f"/events/{kiosk.device}/{kiosk.epoch}/1" in page
    caterer = open_account(db, subject.school, PageRole.CATERER)
    assert get(server, caterer, path).status_code == 404
    assert upload(server, caterer, path, present, programme="state").status_code == 404


def test_every_kind_has_its_text() -> None:
    for texts in load_catalogues().values():
        keys = {
            *(f"difference.{kind}" for kind in DifferenceKind), *(f"difference_help.{kind}" for kind in DifferenceKind),
            *(f"cell.{kind}" for kind in CellFaultKind), *(f"match.{fault}" for fault in MatchFault),
            *(f"presence.{kind}" for kind in PresenceKind), *(f"shape.{shape}" for shape in PayerShape),
            *(f"reason.{reason}" for reason in ClaimReason if reason),
        }  # fmt: skip
        assert keys <= texts.keys()


@pytest.mark.parametrize("language", ["kk", pytest.param("ru", marks=pytest.mark.soak)])
def test_from_the_columns_to_a_confirmed_name_by_hand(
    browser: Browser, server: LedgerServer, db: psycopg.Connection, subject: CountSubject, language: str
) -> None:
    words = load_catalogues()[language]
    page = open_pages(browser, server, open_account(db, subject.school, PageRole.SCHOOL), language).new_page()
    page.goto(f"{server.url}/pages/schools/{subject.school}/sheets/2025-11/state/0")
    page.get_by_role("link", name=words["differences"]).click()
    check_accessible(page)
    page.get_by_role("link", name=words["maps_change"]).click()
    check_accessible(page)
    page.get_by_label(words["map_name"]).fill("by hand")
    for column, title in (("name", "ФИО"), ("group", "Класс"), ("date", "Дата"), ("session", "Приём")):
        page.get_by_label(words[f"column.{column}"], exact=True).fill(title)
    page.get_by_label("Lunch").fill("Обед; Түскі ас")
    page.get_by_role("button", name=words["map_button"]).click()
    expect(page.get_by_role("link", name="by hand")).to_have_attribute("aria-current", "true")
    check_accessible(page)
    page.goto(f"{server.url}{address(subject)}")
    page.get_by_label(words["count_map"]).select_option("by hand")
    file: FilePayload = {"name": "табель.csv", "mimeType": "text/csv", "buffer": write_csv(NAMED)}
    page.get_by_label(words["count_file"]).set_input_files(file)
    page.get_by_label(words["count_made_at"]).fill("2025-12-01T09:00")
    page.get_by_role("button", name=words["count_button"]).click()
    expect(page.get_by_role("main")).to_contain_text(words["match.not_confirmed"])
    check_accessible(page)
    page.get_by_role("link", name=words["difference.not_matched"]).click()
    expect(page.get_by_role("main")).to_contain_text(words["difference_help.not_matched"])
    page.get_by_role("combobox").select_option(label="Әлиев Арман (u1)")
    page.get_by_role("button", name=words["confirm_names_button"]).click()
    expect(page.get_by_role("main")).not_to_contain_text(words["match.not_confirmed"])
    check_accessible(page)
    page.get_by_role("link", name=words["differences"]).click()
    expect(page.get_by_role("main")).to_contain_text(words["confirmed_names"])
    page.get_by_label(words["count_file"]).set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": b"x"})
    page.get_by_role("button", name=words["count_button"]).click()
    expect(page.get_by_role("alert")).to_contain_text(words["refused"])
    check_accessible(page)
    page.goto(f"{server.url}/pages/schools/{subject.school}/days/2025-11-03/lessons")
    check_accessible(page)
    page.context.close()
