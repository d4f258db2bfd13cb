"""Ten restarts of the daemon under open pages: each page finds its way back by itself, and shows the next child."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from drivers.simulated.card_peer import CardPeer
from edge_agent.journal.verify import verify_journal
from tests.browser import run_browser
from tests.drivers.palm.test_zk_adms import free_port
from tests.system.daemon import Daemon, edge_agent, facts, school_export, serial_reader

RESTARTS = 10
CARDS = {f"u-{number}": ("em4100", f"010A1B2C{number:02X}") for number in range(1, RESTARTS + 1)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def open_page(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1024, "height": 768}, reduced_motion="reduce")
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(address)
    return page


@pytest.mark.slow
def test_ten_restarts_under_open_pages(browser: Browser, tmp_path: Path) -> None:
    """Killed and stopped in turn; nobody touches a page meanwhile."""
    door = serial_reader("door", "em4100", tmp_path / "door") + "hold_ms = 50\n"
    with (
        CardPeer(tmp_path / "door") as peer,
        Daemon(tmp_path, door, kiosk='school = "sch-1"', screen_port=free_port()) as daemon,
    ):
        export = school_export(tmp_path / "export", "sch-1", CARDS)
        edge_agent("roster", "import", str(export), "--local", "--config", str(daemon.config))
        screen = str(daemon.start()["screen"])
        child, staff, enrolment = (open_page(browser, screen + path) for path in ("", "staff", "enrol"))
        expect(child.locator("body")).to_have_attribute("data-state", "idle")
        for number, (_, card) in enumerate(CARDS.values()):
            if number % 2:
                daemon.kill()
            else:
                assert daemon.stop() == 0
            expect(staff.locator("#offline")).to_be_visible(timeout=30_000)
            daemon.start()
            expect(staff.locator("#offline")).to_be_hidden(timeout=30_000)
            expect(child.locator("body")).to_have_attribute("data-state", "idle", timeout=30_000)
            peer.present(bytes.fromhex(card))
            expect(child.locator("body")).to_have_attribute("data-state", "welcome", timeout=30_000)
            expect(staff.locator("#feed li")).to_have_count(1)
        expect(enrolment.locator("#shut")).to_be_visible()
        assert [event["person"] for event in facts(daemon.rows(), "entry")] == list(CARDS)
        for page in (child, staff, enrolment):
            page.close()
        assert daemon.stop() == 0
        assert verify_journal(daemon.journal).whole
