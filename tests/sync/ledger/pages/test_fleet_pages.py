"""The kiosks' pages in a real Chromium on a real ledger, with kiosks that have told much, little and nothing."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, expect

from sync.contract import wire
from sync.contract.chain import Head
from sync.contract.wire import HeadText, Heartbeat, PartHealth, PartKind, UpdateReport
from sync.ledger.pages.access import PageRole
from sync.ledger.pages.catalogues import load_catalogues
from sync.ledger.registry import schools
from sync.ledger.server import LedgerServer
from tests.browser import run_browser
from tests.sync.ledger.kiosk import Kiosk, new_school
from tests.sync.ledger.pages.test_app import check_accessible, get, open_account, open_pages

DOOR_GONE = PartHealth("door", "failed", "no such port: check the cable", PartKind.READER)
CALLED = PartHealth("technician", "failed", "called by the staff", PartKind.TECHNICIAN)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def build_beat(kiosk: Kiosk, **more: object) -> Heartbeat:
    beat: dict[str, object] = {
        "epoch": kiosk.epoch, "head": HeadText.from_head(Head(0, kiosk.hashes[0])), "acknowledged": 0, "queue": 3,
        "agent": "0.1.0", "roster": 1, "boot": "b", "instance": "run-1", "at": "2026-11-20T04:00:00.000Z",
        "clock": "synchronised", **more,
    }  # fmt: skip
    return Heartbeat(**beat)  # type: ignore[arg-type]


def tell(kiosk: Kiosk, body: bytes) -> None:
    headers = {"content-type": wire.JSON}
    assert kiosk.call("POST", wire.heartbeats_path(kiosk.device), headers=headers, body=body).status_code == 200


@pytest.fixture
def fleet(enrolled: Callable[[], Kiosk]) -> list[Kiosk]:
    """Three kiosks of one school: one in trouble, one of an older version, one that was never heard."""
    kiosks = [enrolled() for _ in range(3)]
    troubled = build_beat(
        kiosks[0], health=(DOOR_GONE, CALLED), roster_age_s=2 * 86_400, scanned="2026-11-20T07:40:00.000Z",
        agent="0.2.0", update=UpdateReport(version="0.3.0", state="rolled-back", why="it recorded nothing"),
    )  # fmt: skip
    tell(kiosks[0], wire.to_json(troubled))
    tell(kiosks[1], wire.to_json(build_beat(kiosks[1])))
    return kiosks


def read_csv(response: httpx.Response) -> list[dict[str, str]]:
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_the_school_sees_its_kiosks_and_what_is_wrong_with_them(
    browser: Browser, server: LedgerServer, db: psycopg.Connection, fleet: list[Kiosk], school: str, language: str
) -> None:
    words = load_catalogues()[language]
    context = open_pages(browser, server, open_account(db, school, PageRole.SCHOOL), language)
    page = context.new_page()
    page.goto(f"{server.url}/pages/schools/{school}")
    page.get_by_role("link", name=words["kiosks"]).click()
    expect(page.get_by_role("row")).to_have_count(4)
    first = page.get_by_role("row").nth(1)
    for text in (
        fleet[0].device, words["alarm.readers"], "no such port", words["alarm.technician"], words["alarm.update"],
        words["alarm.roster"], words["update.rolled-back"], "0.2.0", "2026-11-20 12:40",
    ):  # fmt: skip
        expect(first).to_contain_text(text)
    check_accessible(page)
    page.get_by_label(words["alarm"]).select_option("technician")
    page.get_by_role("button", name=words["kiosk_show"]).click()
    expect(page.get_by_role("row")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name=words["kiosks_csv"]).click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert [row["kiosk"] for row in rows] == [fleet[0].device], "the file holds what the page shows"
    assert (rows[0]["readers_gone"], rows[0]["last_scan"]) == ("door", "2026-11-20T12:40:00+05:00")
    page.goto(f"{server.url}/pages/schools/{school}/kiosks?text=nobody")
    expect(page.get_by_role("main")).to_contain_text(words["kiosks_none"])
    check_accessible(page)
    context.close()


def test_the_city_sees_every_schools_kiosks_and_finds_one(
    browser: Browser, server: LedgerServer, db: psycopg.Connection, fleet: list[Kiosk], school: str
) -> None:
    session = open_account(db, school, PageRole.CITY)
    words = load_catalogues()["ru"]
    page = open_pages(browser, server, session, "ru").new_page()
    page.goto(f"{server.url}/pages/")
    page.get_by_role("link", name=words["kiosks"]).click()
    check_accessible(page)
    page.get_by_label(words["kiosk_find"]).fill(fleet[1].device)
    page.get_by_role("button", name=words["kiosk_show"]).click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("row").nth(1)).to_contain_text(words["kiosk_level.ok"])
    page.context.close()
    rows = read_csv(get(server, session, f"/kiosks/files/csv?text={school}"))
    assert {row["kiosk"] for row in rows} >= {kiosk.device for kiosk in fleet}


def test_nobody_sees_what_is_not_theirs(
    server: LedgerServer, db: psycopg.Connection, fleet: list[Kiosk], school: str
) -> None:
    other = new_school(db)
    stranger, caterer = open_account(db, other, PageRole.SCHOOL), open_account(db, school, PageRole.CATERER)
    for path in (f"/schools/{school}/kiosks", f"/schools/{school}/kiosks/files/csv"):
        assert get(server, None, path).status_code == 303
        assert get(server, stranger, path).status_code == 404
        assert get(server, caterer, path).status_code == 404
    assert get(server, stranger, "/kiosks").headers["location"] == f"/pages/schools/{other}/kiosks"
    assert get(server, stranger, "/kiosks/files/csv").status_code == 404


def test_a_name_that_a_spreadsheet_would_run_is_text(server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    code = schools.issue_code(db, school, "=HYPERLINK(A1)", datetime.now(UTC))
    kiosk = Kiosk.enrol(server.url, code)
    rows = read_csv(get(server, open_account(db, school, PageRole.SCHOOL), f"/schools/{school}/kiosks/files/csv"))
    kiosk.close()
    assert [row["name"] for row in rows] == ["'=HYPERLINK(A1)"]
