"""A lost card is replaced at the desk: the real daemon with a simulated reader, its pages in Chromium."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from drivers.simulated.card_peer import CardPeer
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.server import LedgerServer
from tests.browser import run_browser
from tests.system.daemon import Daemon, edge_agent, facts, school_export, serial_reader

LOST, OTHERS, NEW, LATER = "010A1B2C3D", "010A1B2C3E", "010A1B2C3F", "010A1B2C40"
CARDS = {"u-1": ("em4100", LOST), "u-2": ("em4100", OTHERS)}
PIN = "2468"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def start_kiosk(daemon: Daemon, url: str, db: psycopg.Connection, school: str) -> str:
    """Registers and starts a kiosk; returns the address of its screen."""
    code = schools.issue_code(db, school, daemon.folder.name, datetime.now(UTC))
    edge_agent("register", url, code, "--config", str(daemon.config))
    credentials = daemon.folder / "credentials"
    credentials.mkdir()
    (credentials / "staff-pin").write_text(PIN)
    (credentials / "staff-pin").chmod(0o600)
    daemon.start(CREDENTIALS_DIRECTORY=str(credentials))
    return str(daemon.until(lambda status: status["roster"]["people"] == len(CARDS))["screen"])


def sign_in(browser: Browser, screen: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(f"{screen}staff")
    page.get_by_role("button", name="EN", exact=True).click()
    page.fill("#sign-pin", PIN)
    page.keyboard.press("Enter")
    expect(page.locator("#desk")).to_be_visible()
    return page


def test_a_lost_card_is_replaced_at_the_desk(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str, browser: Browser
) -> None:
    export = school_export(tmp_path / "export", school, CARDS)
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    (tmp_path / "first").mkdir()
    with (
        CardPeer(tmp_path / "first" / "door") as peer,
        Daemon(
            tmp_path / "first", serial_reader("door", "em4100", tmp_path / "first" / "door") + "hold_ms = 50\n"
        ) as daemon,
    ):
        page = sign_in(browser, start_kiosk(daemon, server.url, db, school))
        page.fill("#find", "u-1")
        page.get_by_role("button", name="New card: Әлия Family-u-1").click()
        peer.present(bytes.fromhex(OTHERS))
        expect(page.locator("#card-problem")).to_contain_text("somebody else's")
        page.screenshot(path=tmp_path / "taken.png")
        peer.present(bytes.fromhex(NEW), frames=2)
        expect(page.locator("#outcome")).to_have_text("Әлия Family-u-1 has the new card. Former cards blocked: 1.")
        peer.present(bytes.fromhex(LOST))
        expect(page.locator("#feed li").first).to_contain_text("This card was replaced")
        page.screenshot(path=tmp_path / "replaced.png")
        peer.present(bytes.fromhex(NEW))
        assert daemon.wait_lights(4) == ["welcome", "ask", "ask", "welcome"]  # the first one: hold it there once more
        page.get_by_role("button", name="New card", exact=True).first.click()
        page.fill("#card-number", "12")
        page.keyboard.press("Enter")
        expect(page.locator("#card-problem")).to_contain_text("no card number")
        page.fill("#card-number", f"{int.from_bytes(bytes.fromhex(LATER)[1:]):010}")
        page.get_by_role("button", name="Use this number").click()
        expect(page.locator("#outcome")).to_have_text("Әлия Family-u-1 has the new card. Former cards blocked: 1.")
        page.close()
        rows = daemon.rows()
        replaced = list(facts(rows, "card_replaced"))
        assert [fact["operator"] for fact in replaced] == ["Cook", "Cook"]
        assert [fact.get("reader", "") for fact in replaced] == ["door", ""]
        assert replaced[0]["blocked"].endswith(".card1")
        assert len({fact["digest"] for fact in replaced}) == 2
        assert next(facts(rows, "refusal"))["reason"] == "card_replaced"
        text = json.dumps(rows)
        assert not any(number in text.upper() for number in (NEW[2:], LATER[2:]))
