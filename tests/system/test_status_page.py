"""The technician's page of a real daemon in Chromium: readers, refusals, last readings, facts and a day's graphs."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from drivers.simulated.card_peer import CardPeer, ReaderModel
from tests.browser import run_browser
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader
from tests.system.staff_page import open_desk, sign_in_first

KNOWN = "015A3C9601"
PHONE = b"Mifare[08A1B2C3] 4K (0004,20) 178,41224\r\n"
BYTES_MAX = 12 * 1024  # of the page's own files: it is opened on a kiosk of 1 GiB


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def add_operator(daemon: Daemon, name: str, role: str) -> str:
    done = edge_agent("operators", "add", name, "--role", role, "--json", "--config", str(daemon.config))
    return str(json.loads(done.stdout)["pin"])


def open_status(page: Page, screen: str) -> Page:
    page.goto(f"{screen}status")
    return page


def test_a_technician_sees_the_kiosk_and_a_cook_does_not(tmp_path: Path, browser: Browser) -> None:
    gone = serial_reader("gate", "em4100", tmp_path / "gate")
    with CardPeer(tmp_path / "door") as door, CardPeer(tmp_path / "hall", ReaderModel.IRONLOGIC) as hall:
        tables = serial_reader("door", "em4100", door.port) + serial_reader("hall", "ironlogic", hall.port) + gone
        with Daemon(tmp_path, tables, kiosk='school = "sch-1"') as daemon:
            export = school_export(tmp_path / "export", "sch-1", {"u-1": ("em4100", KNOWN)})
            edge_agent("roster", "import", str(export), "--local", "--config", str(daemon.config))
            daemon.launch()
            status = daemon.until(lambda status: [reader["there"] for reader in status["readers"]][:2] == [True, True])
            screen = str(status["screen"])
            pins = {name: add_operator(daemon, name, role) for name, role in
                    (("Сауле", "head"), ("Техник", "technician"), ("Айгүл", "cook"))}  # fmt: skip
            door.present(bytes.fromhex(KNOWN), frames=3)
            hall.send(PHONE)
            daemon.until(lambda status: status["readers"][1]["refusal"] and status["readers"][0]["readings"])
            assert httpx.get(f"{screen}staff/status").status_code == 403
            cook = open_desk(browser, screen)
            sign_in_first(cook, "Айгүл", pins["Айгүл"], "507391")
            expect(cook.locator("#kiosk-status")).to_be_hidden()
            expect(open_status(cook, screen).locator("#shut")).to_be_visible()
            expect(cook.locator("#status")).to_be_hidden()
            cook.close()
            page = open_desk(browser, screen)
            sign_in_first(page, "Техник", pins["Техник"], "507392")
            page.click("#kiosk-status")
            readers = page.locator("#readers")
            expect(readers).to_contain_text("door em4100: working. Readings:")
            expect(readers).to_contain_text("as phones give: use a card")
            expect(readers.locator("li.away")).to_contain_text("check that the reader is plugged in")
            expect(page.locator("#readings")).to_contain_text("door · entry")
            expect(page.locator("#facts")).to_contain_text("edge-agent 0.1.0")
            expect(page.locator("#facts")).to_contain_text("MiB left")
            expect(page.locator("#graphs svg")).to_have_count(4)
            page.screenshot(path=tmp_path / "status.png", full_page=True)
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            page.get_by_role("button", name="RU", exact=True).click()
            expect(page.locator("#facts")).to_contain_text("свободно")
            body = page.evaluate("fetch('/staff/status').then((response) => response.text())")
            for private in ("Family-u-1", "Әлия", "u-1", KNOWN, "08A1B2C3"):
                assert private not in body
            page.close()


def test_the_page_is_small() -> None:
    folder = files("edge_agent.screen").joinpath("page")
    own = [folder.joinpath(f"status.{kind}").read_bytes() for kind in ("html", "css", "js")]
    assert sum(map(len, own)) <= BYTES_MAX
