"""A sheet on the pages: objection, signatures of both sides, closing; each side does its own acts and no other's."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page, expect

from sync.contract.event import Claim
from sync.contract.roster import Entitlement, MealSession, Person, Programme
from sync.ledger.billing import sheet_signers, sheet_store, sheet_work, terms
from sync.ledger.billing.signatures import RegisteredSigner
from sync.ledger.pages import accounts
from sync.ledger.pages.access import ALLOWED_ROLES, PageAct, PageRole
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.catalogues import load_catalogues
from sync.ledger.registry import rosters
from sync.ledger.server import LedgerServer
from sync.money.calendars import read_calendar
from sync.money.protocol import SheetSide, SheetState
from sync.money.sheet import SheetSubject
from sync.money.tariffs import read_tariffs
from tests.browser import run_browser
from tests.measure_names import ROOT
from tests.sync.ledger.kiosk import Kiosk, accepted, entry
from tests.sync.ledger.pages.test_app import check_accessible, open_account, open_pages
from tests.sync.money.conftest import MONEY

NOW = datetime(2025, 12, 2, 9, tzinfo=UTC)
NAME = "Қасымова Әлия"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


@pytest.fixture
def subject(db: psycopg.Connection, kiosk: Kiosk) -> SheetSubject:
    """November 2025 of a school with one pupil who ate twice, proposed."""
    school = kiosk.school
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        Programme(id="state", name="State meals"),
        Person(id="u1", given_name="Әлия", family_name="Қасымова", grade="05", group="5 «А»"),
        Entitlement(id="e1", person="u1", programme="state"),
    ])  # fmt: skip
    for number, day in enumerate(("2025-11-03", "2025-11-04")):
        meal = entry("u1", school=school, day=day, programme="state", claim=Claim.CLAIMABLE)
        kiosk.record(msgspec.structs.replace(meal, mono_ms=number * 86_400_000))
    accepted(kiosk.send_all())
    terms.import_calendar(
        db, school, read_calendar((MONEY / "calendar-2025-26.toml").read_text("utf-8")), by="city", now=NOW
    )
    terms.import_tariffs(
        db, school, read_tariffs((MONEY / "tariffs.example.toml").read_text("utf-8")), by="city", now=NOW
    )
    subject = SheetSubject(school, "state", "2025-11")
    sheet_work.propose(db, subject, by="caterer", now=NOW)
    return subject


def address(subject: SheetSubject, act: str = "") -> str:
    tail = f"/{act}" if act else ""
    return f"/pages/schools/{subject.school}/sheets/{subject.month}/{subject.programme}/{subject.number}{tail}"


def add_signer(db: psycopg.Connection, school: str, side: SheetSide) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    signer = RegisteredSigner("ed25519", key.public_key().public_bytes_raw().hex(), f"{side} person")
    sheet_signers.add_signer(db, school, side, signer, by="city", now=NOW)
    return key


def sign_on_page(page: Page, words: dict[str, str], key: Ed25519PrivateKey) -> None:
    """Downloads the bytes, signs them outside the browser and pastes the signature."""
    with page.expect_download() as download:
        page.get_by_role("link", name=words["file.bytes"]).click()
    signature = key.sign(download.value.path().read_bytes())
    page.get_by_label(words["sign_scheme"]).select_option("ed25519")
    page.get_by_label(words["sign_text"]).fill(base64.b64encode(signature).decode())
    page.get_by_role("button", name=words["sign_button"]).click()


def post(server: LedgerServer, session: PageSession, path: str, **fields: str) -> httpx.Response:
    with httpx.Client(base_url=server.url, cookies={"ledger_session": session.token}) as requester:
        return requester.post(path, data={"form_token": session.form_token, **fields})


@pytest.mark.parametrize(("caterers", "others"), [("ru", "kk"), ("kk", "ru")])
def test_from_an_objection_to_a_closed_sheet_in_the_language_of_each_side(
    browser: Browser, server: LedgerServer, db: psycopg.Connection, subject: SheetSubject, caterers: str, others: str
) -> None:
    words, caterer_words = load_catalogues()[others], load_catalogues()[caterers]
    languages = {PageRole.SCHOOL: others, PageRole.CATERER: caterers, PageRole.CITY: others}
    keys = {side: add_signer(db, subject.school, side) for side in (SheetSide.SCHOOL, SheetSide.CATERER)}
    pages = {}
    for role, language in languages.items():
        page = open_pages(browser, server, open_account(db, subject.school, role), language).new_page()
        page.goto(f"{server.url}/pages/schools/{subject.school}/sheets")
        check_accessible(page)
        page.get_by_role("link", name="2025-11 state").click()
        check_accessible(page)
        pages[role] = page
    expect(pages[PageRole.SCHOOL].get_by_role("main")).to_contain_text(NAME)
    expect(pages[PageRole.CATERER].get_by_role("main")).not_to_contain_text(NAME)
    expect(pages[PageRole.CITY].get_by_role("main")).not_to_contain_text(NAME)

    caterer, school, city = pages[PageRole.CATERER], pages[PageRole.SCHOOL], pages[PageRole.CITY]
    caterer.get_by_role("button", name=caterer_words["confirm_button"]).click()
    expect(caterer.get_by_role("main")).to_contain_text(caterer_words["act.confirmation"])
    caterer.get_by_role("checkbox").first.check()
    caterer.get_by_label(caterer_words["object_text"]).fill("The second day was a day off.")
    caterer.get_by_role("button", name=caterer_words["object_button"]).click()
    expect(caterer.get_by_role("main")).to_contain_text("The second day was a day off.")
    assert sheet_store.read_process(db, subject).version == 2

    sign_on_page(school, words, keys[SheetSide.SCHOOL])  # the version that the school has open is not in force
    expect(school.get_by_role("main")).to_contain_text(words["side.school"])
    sign_on_page(caterer, caterer_words, keys[SheetSide.CATERER])
    assert sheet_store.read_process(db, subject).state is SheetState.AGREED
    city.reload()
    city.get_by_role("button", name=words["close_button"]).click()
    expect(city.get_by_role("main")).to_contain_text(words["state.closed"])
    assert sheet_store.read_process(db, subject).state is SheetState.CLOSED
    for page in pages.values():
        page.context.close()


def test_a_refused_act_says_why_and_changes_nothing(
    server: LedgerServer, db: psycopg.Connection, subject: SheetSubject
) -> None:
    school = open_account(db, subject.school, PageRole.SCHOOL)
    refused = post(server, school, address(subject, "sign"), scheme="ed25519", signature="bm90aGluZw==")
    assert refused.status_code == 409
    words = load_catalogues()["kk"]
    assert words["refusal.signature_unread"] in refused.text
    refused = post(server, school, address(subject, "object"), version="1", text="nothing marked")
    assert words["refusal.no_line"] in refused.text
    refused = post(server, school, address(subject, "object"), version="1", line="nobody\x1flunch", text="?")
    assert words["refusal.strange_line"].format(version=1, lines="nobody:lunch") in refused.text
    city = open_account(db, subject.school, PageRole.CITY)
    refused = post(server, city, address(subject, "close"), digest=sheet_store.read_version(db, subject).digest)
    assert f"{words['side.caterer']}, {words['side.school']}" in refused.text
    assert [act.kind for act in sheet_store.read_acts(db, subject)] == ["proposal"]


def test_nobody_acts_for_another_side(server: LedgerServer, db: psycopg.Connection, subject: SheetSubject) -> None:
    key = add_signer(db, subject.school, SheetSide.CATERER)
    signature = base64.b64encode(key.sign(sheet_store.read_version(db, subject).body)).decode()
    school, auditor = (open_account(db, subject.school, role) for role in (PageRole.SCHOOL, PageRole.AUDITOR))
    refused = post(server, school, address(subject, "sign"), scheme="ed25519", signature=signature)
    assert load_catalogues()["kk"]["refusal.signature_strange"] in refused.text
    assert post(server, school, address(subject, "close"), digest="x").status_code == 404
    for act in ("confirm", "object", "sign", "close"):
        assert post(server, auditor, address(subject, act)).status_code == 404
    assert sheet_store.read_process(db, subject).state is SheetState.PROPOSED


@pytest.mark.parametrize(
    ("role", "named"), [(PageRole.SCHOOL, True), (PageRole.CATERER, False), (PageRole.CITY, False)]
)
def test_files_hold_names_for_the_school_alone(
    server: LedgerServer, db: psycopg.Connection, subject: SheetSubject, role: PageRole, named: bool
) -> None:
    session = open_account(db, subject.school, role)
    with httpx.Client(base_url=server.url, cookies={"ledger_session": session.token}) as requester:
        table, page = (requester.get(address(subject, f"files/{kind}")) for kind in ("csv", "html"))
        assert (NAME in table.content.decode("utf-8-sig")) is (NAME in page.text) is named
        assert requester.get(address(subject, "files/bytes")).content == sheet_store.read_version(db, subject).body
        assert requester.get(address(subject, "files/xlsx")).content[:2] == b"PK"
        assert requester.get(address(subject, "files/exe")).status_code == 404
        assert requester.get(address(subject).replace("2025-11", "2025-12")).status_code == 404
    views = db.execute("SELECT DISTINCT subject FROM page_view WHERE school = %s", (subject.school,)).fetchall()
    assert views == [("sheet state 2025-11",)]


def test_a_form_without_its_token_does_nothing(
    server: LedgerServer, db: psycopg.Connection, subject: SheetSubject
) -> None:
    school = open_account(db, subject.school, PageRole.SCHOOL)
    refused = post(server, school, address(subject, "confirm"), form_token="x", digest="x")
    assert refused.status_code == 403
    with httpx.Client(base_url=server.url) as requester:
        stranger = requester.post(address(subject, "confirm"), data={"form_token": "x"})
    assert (stranger.status_code, stranger.headers["location"]) == (303, "/pages/login")
    assert accounts.find_session(db, school.token, datetime.now(UTC)) is not None


def test_each_role_does_what_the_table_says(
    server: LedgerServer, db: psycopg.Connection, subject: SheetSubject
) -> None:
    """The table of the handbook, that of the code, and the answers to every act of every role are the same."""
    table = (ROOT / "docs/ledger.md").read_text("utf-8").partition("| act on the pages |")[2]
    titles, _, *lines = table.partition("\n\n")[0].splitlines()
    roles = [PageRole(title.strip()) for title in titles.strip("| ").split("|")]
    written = {
        PageAct(line.strip("|").split("|")[0].strip()): {
            role for role, cell in zip(roles, line.strip("|").split("|")[1:], strict=True) if cell.strip() == "yes"
        }
        for line in lines
    }
    assert written == ALLOWED_ROLES
    school = f"/pages/schools/{subject.school}"
    count = f"{school}/sheets/2025-11/state/differences"
    paths = {
        PageAct.CONFIRM: address(subject, "confirm"), PageAct.OBJECT: address(subject, "object"),
        PageAct.SIGN: address(subject, "sign"), PageAct.CLOSE: address(subject, "close"),
        PageAct.COUNT: count, PageAct.MATCH: f"{count}/1/confirm", PageAct.MAP: f"{school}/maps",
        PageAct.LESSONS: f"{school}/days/2025-11-03/lessons",
    }  # fmt: skip
    assert paths.keys() == set(PageAct)
    for role in PageRole:
        session = open_account(db, subject.school, role)
        for act, path in paths.items():
            if act in (PageAct.COUNT, PageAct.LESSONS):
                status = upload(server, session, path).status_code
            else:
                fields = {"version": "1", "digest": "x", "scheme": "ed25519", "signature": ""}
                status = post(server, session, path, **fields).status_code
            if role not in ALLOWED_ROLES[act]:
                assert status == 404, (role, act)
            elif act is not PageAct.MATCH:  # there is no file with a name in it
                assert status in (303, 409), (role, act, status)


def upload(server: LedgerServer, session: PageSession, path: str) -> httpx.Response:
    """Hands in an empty file."""
    with httpx.Client(base_url=server.url, cookies={"ledger_session": session.token}) as requester:
        fields = {"form_token": session.form_token, "programme": "state"}
        return requester.post(path, data=fields, files={"file": ("x.csv", b"", "text/csv")})
