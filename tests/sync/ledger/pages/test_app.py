"""The pages in a real Chromium on a real ledger: each side sees its own, and every look at a person is logged."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from sync.contract.event import Claim
from sync.contract.roster import Entitlement, MealSession, Person, Programme
from sync.contract.visit import EventId
from sync.ledger.judgement.contests import contest_entry
from sync.ledger.judgement.days import settle_days
from sync.ledger.pages import accounts
from sync.ledger.pages.access import PageRole
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.catalogues import choose_language, load_catalogues
from sync.ledger.pages.overview import forget_views, record_view
from sync.ledger.registry import rosters
from sync.ledger.server import LedgerServer
from tests.browser import run_browser
from tests.sync.ledger.kiosk import Kiosk, accepted, entry, new_school

PASSWORD = "қарлығаш-2026-көктем"
NAME = "Қасымова Әлия"
MONTH, DAY = "2026-11", "2026-11-20"
AXE = Axe()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


@pytest.fixture
def eaten(db: psycopg.Connection, kiosk: Kiosk) -> str:
    """A school in which one pupil had a lunch for the state and a second one, settled."""
    school = kiosk.school
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        Programme(id="state", name="Тегін тамақ"),
        Person(id="u1", given_name="Әлия", family_name="Қасымова"),
        Entitlement(id="e1", person="u1", programme="state"),
    ])  # fmt: skip
    kiosk.record(*(
        entry("u1", school=school, day=DAY, minute=minute, programme="state", claim=Claim.CLAIMABLE)
        for minute in (0, 5)
    ))  # fmt: skip
    accepted(kiosk.send_all())
    settle_days(db, school, now=datetime(2026, 11, 30, tzinfo=UTC))
    return school


def open_account(db: psycopg.Connection, school: str, role: PageRole, name: str = "") -> PageSession:
    home = school if role in (PageRole.SCHOOL, PageRole.CATERER) else ""
    login = f"{name or role}-{school}"
    fresh = accounts.add_account(db, home, login, role, f"{role} reader", PASSWORD)
    session = accounts.sign_in(db, home, login, PASSWORD, fresh.recovery_codes[0], datetime.now(UTC))
    assert isinstance(session, PageSession)
    return session


def open_pages(browser: Browser, server: LedgerServer, session: PageSession, language: str) -> BrowserContext:
    """Returns a browser window of a signed-in reader."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale=language)
    host = urlsplit(server.url).hostname or ""
    context.add_cookies([{"name": "ledger_session", "value": session.token, "domain": host, "path": "/pages"}])
    return context


def get(server: LedgerServer, session: PageSession | None, path: str) -> httpx.Response:
    cookies = {"ledger_session": session.token} if session else {}
    with httpx.Client(base_url=server.url, cookies=cookies) as requester:
        return requester.get(f"/pages{path}")


def check_accessible(page: Page) -> None:
    results = AXE.run(page)
    assert results.violations_count == 0, results.generate_report()


def paths(school: str, kiosk: Kiosk) -> dict[str, str]:
    return {
        "school": f"/schools/{school}?month={MONTH}",
        "day": f"/schools/{school}/days/{DAY}",
        "person": f"/schools/{school}/people/u1?month={MONTH}",
        "event": f"/schools/{school}/events/{kiosk.device}/{kiosk.epoch}/1",
        "views": f"/schools/{school}/views",
    }


@pytest.mark.parametrize("language", ["ru", pytest.param("kk", marks=pytest.mark.soak)])
def test_from_the_city_down_to_one_event_by_hand(
    browser: Browser, server: LedgerServer, db: psycopg.Connection, eaten: str, language: str
) -> None:
    words = load_catalogues()[language]
    fresh = accounts.add_account(db, "", f"auditor-{eaten}", PageRole.AUDITOR, "Аудитор", PASSWORD)
    page = browser.new_context(locale=language).new_page()
    page.goto(f"{server.url}/pages/?month={MONTH}")
    expect(page.get_by_role("heading")).to_have_text(words["sign_in"])
    check_accessible(page)
    page.get_by_label(words["login"]).fill(f"auditor-{eaten}")
    page.get_by_label(words["password"]).fill("wrong")
    page.get_by_label(words["code"]).fill("000000")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text(words["sign_in_failed"])
    check_accessible(page)
    page.get_by_label(words["login"]).fill(f"auditor-{eaten}")
    page.get_by_label(words["password"]).fill(PASSWORD)
    page.get_by_label(words["code"]).fill(fresh.recovery_codes[0])
    page.get_by_role("button").click()
    expect(page.get_by_role("heading")).to_have_text(words["schools"])
    page.goto(f"{server.url}/pages/?month={MONTH}")
    row = page.get_by_role("row").filter(has_text=f"Мектеп {eaten}")
    expect(row.get_by_role("cell")).to_contain_text(["2", "1", "0", "0", "0", "UTC"])
    check_accessible(page)
    for link in (f"Мектеп {eaten}", DAY, "u1"):
        page.get_by_role("link", name=link, exact=True).first.click()
        check_accessible(page)
    expect(page.get_by_role("row")).to_have_count(3)
    expect(page.get_by_role("row").nth(1)).to_contain_text(words["claim.claimable"])
    expect(page.get_by_role("row").nth(2)).to_contain_text(words["claim.second"])
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("claimable")
    check_accessible(page)
    page.get_by_role("button", name=words["sign_out"]).click()
    expect(page.get_by_role("heading")).to_have_text(words["sign_in"])
    page.context.close()


def test_the_language_is_chosen_by_hand_and_stays(
    browser: Browser, server: LedgerServer, db: psycopg.Connection, eaten: str
) -> None:
    context = open_pages(browser, server, open_account(db, eaten, PageRole.SCHOOL), "kk")
    page = context.new_page()
    page.goto(f"{server.url}/pages/schools/{eaten}?month={MONTH}")
    expect(page.locator("html")).to_have_attribute("lang", "kk")
    page.get_by_role("link", name="Русский").click()
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    page.goto(f"{server.url}/pages/schools/{eaten}/days/{DAY}")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.get_by_role("link", name=NAME).first).to_be_visible()
    context.close()


@pytest.mark.parametrize(
    ("role", "readable", "shows", "hides"),
    [
        (PageRole.SCHOOL, {"school", "day", "person", "event", "views"}, {NAME, "Тегін тамақ"}, set()),
        (PageRole.CATERER, {"school", "day", "person"}, {"u1"}, {NAME, "Тегін тамақ"}),
        (PageRole.CITY, {"school", "day", "person"}, {"u1", "Тегін тамақ"}, {NAME}),
        (PageRole.AUDITOR, {"school", "day", "person", "event", "views"}, {"u1", "Тегін тамақ"}, {NAME}),
    ],
)
def test_each_side_sees_its_own(
    server: LedgerServer, db: psycopg.Connection, eaten: str, kiosk: Kiosk,
    role: PageRole, readable: set[str], shows: set[str], hides: set[str],
) -> None:  # fmt: skip
    session = open_account(db, eaten, role)
    pages = {name: get(server, session, path) for name, path in paths(eaten, kiosk).items()}
    assert {name for name, page in pages.items() if page.status_code == 200} == readable
    assert {page.status_code for page in pages.values()} <= {200, 404}
    assert all(text in pages["day"].text for text in shows)
    assert not any(text in page.text for page in pages.values() for text in hides)


@pytest.mark.parametrize("role", [PageRole.SCHOOL, PageRole.CATERER])
def test_no_school_reads_anothers_pages(
    server: LedgerServer, db: psycopg.Connection, eaten: str, kiosk: Kiosk, role: PageRole
) -> None:
    session = open_account(db, new_school(db), role)
    assert {get(server, session, path).status_code for path in paths(eaten, kiosk).values()} == {404}
    home = get(server, session, "/")
    assert home.status_code == 303
    assert eaten not in home.headers["location"]


def test_without_a_session_every_page_leads_to_the_sign_in(server: LedgerServer, eaten: str, kiosk: Kiosk) -> None:
    for path in ("/", *paths(eaten, kiosk).values()):
        response = get(server, None, path)
        assert (response.status_code, response.headers["location"]) == (303, "/pages/login")
        assert "default-src 'none'" in response.headers["content-security-policy"]


def test_every_look_at_a_person_is_logged_and_shown_to_the_school(
    server: LedgerServer, db: psycopg.Connection, eaten: str, kiosk: Kiosk
) -> None:
    city, head = open_account(db, eaten, PageRole.CITY), open_account(db, eaten, PageRole.SCHOOL)
    for name in ("school", "day", "person"):
        get(server, city, paths(eaten, kiosk)[name])
    get(server, head, paths(eaten, kiosk)["event"])
    rows = db.execute("SELECT login, subject FROM page_view WHERE school = %s ORDER BY seen_at", (eaten,)).fetchall()
    assert rows == [(f"city-{eaten}", DAY), (f"city-{eaten}", "u1"), (f"school-{eaten}", "u1")]
    record_view(db, eaten, "family", "family", "u1", "/family/")  # as a family's own page does
    shown = get(server, head, f"/schools/{eaten}/views?subject=u1").text
    assert f"city-{eaten}" in shown
    assert "<td>отбасы</td>" in shown
    long_ago = datetime.now(UTC) - timedelta(days=367)
    db.execute("UPDATE page_view SET seen_at = %s WHERE school = %s", (long_ago, eaten))
    get(server, head, paths(eaten, kiosk)["day"])
    assert forget_views(db, datetime.now(UTC)) >= 3
    assert db.execute("SELECT count(*) FROM page_view WHERE school = %s", (eaten,)).fetchone() == (1,)


@pytest.mark.parametrize(
    "path", ["?month=2026-13", "/days/2026-02-30", "/days/x", "/events/d/e/9", "/people/%00", "/nothing"]
)
def test_what_is_no_page_is_404(server: LedgerServer, db: psycopg.Connection, eaten: str, path: str) -> None:
    assert get(server, open_account(db, eaten, PageRole.SCHOOL), f"/schools/{eaten}{path}").status_code == 404


def test_a_form_of_another_session_signs_nobody_out(server: LedgerServer, db: psycopg.Connection, eaten: str) -> None:
    session = open_account(db, eaten, PageRole.SCHOOL)
    with httpx.Client(base_url=server.url, cookies={"ledger_session": session.token}) as requester:
        assert requester.post("/pages/logout", data={"form_token": "x"}).status_code == 403
        assert requester.post("/pages/login", json={}).status_code == 415
        assert requester.post("/pages/login", data={"login": "x" * 500_000}).status_code == 413
    assert get(server, session, f"/schools/{eaten}").status_code == 200


def test_catalogues_hold_the_same_texts_and_each_is_used() -> None:
    kazakh, russian = load_catalogues().values()
    assert kazakh.keys() == russian.keys()
    folder = files("sync.ledger.pages").joinpath("templates")
    templates = "".join(file.read_text(encoding="utf-8") for file in folder.iterdir())
    unused = {key for key in kazakh if f'"{key}"' not in templates and f"'{key}'" not in templates and "." not in key}
    assert unused == set()
    for prefix, members in (("claim", Claim), ("role", PageRole)):
        assert {f"{prefix}.{member}" for member in members} <= kazakh.keys()


def test_a_browsers_language_is_taken_where_there_is_one() -> None:
    assert choose_language("", "ru-RU,ru;q=0.9,kk;q=0.8") == "ru"
    assert choose_language("", "de, en;q=0.5") == "kk"
    assert choose_language("ru", "kk") == "ru"
    assert choose_language("xx", "") == "kk"


def test_contests_stand_on_their_page_and_the_familys_words_are_for_the_school(
    browser: Browser, server: LedgerServer, db: psycopg.Connection, eaten: str, kiosk: Kiosk
) -> None:
    note, entry_id = "She was ill that day.", EventId(kiosk.device, kiosk.epoch, 1)
    contest_entry(db, eaten, "u1", entry_id, note, datetime(2026, 11, 21, tzinfo=UTC))
    path = f"/schools/{eaten}/contests?month={MONTH}"
    pages = {role: get(server, open_account(db, eaten, role), path) for role in PageRole}
    assert {role for role, page in pages.items() if page.status_code == 200} == set(PageRole) - {PageRole.CATERER}
    assert {role for role, page in pages.items() if note in page.text} == {PageRole.SCHOOL}
    context = open_pages(browser, server, open_account(db, eaten, PageRole.SCHOOL, "head"), "kk")
    page = context.new_page()
    page.goto(f"{server.url}/pages{path}")
    expect(page.get_by_role("main")).to_contain_text(load_catalogues()["kk"]["contest_open"])
    check_accessible(page)
    context.close()
