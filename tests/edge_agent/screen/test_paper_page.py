"""Printed lists on the staff's page, in a real Chromium: every language and size, and by keyboard alone."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from edge_agent.screen.state import Language
from tests.browser import run_browser
from tests.edge_agent.screen.desk import OPERATOR, FakeStaffDesk, run_screen
from tests.edge_agent.screen.test_page import SIZES, open_page, overflowing, sign_in


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def test_a_printed_list_in_every_language_and_size(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        page = open_page(browser, screen, "/staff")
        sign_in(page)
        page.locator("#tab-paper").focus()
        page.keyboard.press("Enter")
        page.locator("#paper-codes").fill("999")
        expect(page.locator("#paper-wrong")).to_be_visible()
        page.locator("#paper-codes").fill("")
        page.select_option("#paper-group", "3 «Б»")
        expect(page.locator("#paper-rows li")).to_have_count(2)
        for language in Language:
            page.get_by_role("button", name=language.upper(), exact=True).click()
            assert Axe().run(page).response["violations"] == [], language
            for width, height in SIZES:
                page.set_viewport_size({"width": width, "height": height})
                assert overflowing(page, strict=False) == [], (language, width)
        page.get_by_role("button", name="EN", exact=True).click()
        page.locator("#paper-all").focus()
        page.keyboard.press("Enter")
        page.locator("#paper-do").focus()
        page.keyboard.press("Enter")
        page.get_by_role("radio", name="No electricity").focus()
        page.keyboard.press("Enter")
        page.locator("#confirm-do").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_have_text("From paper: 2 entered; already there: 0.")
        expect(page.locator("#paper-rows input:disabled")).to_have_count(2)
        page.close()
    label = "2026-11-27 lunch 3 «Б» 09:30-14:00"
    assert station.rows == [("paper", person, label, OPERATOR, "no_power") for person in ("p1", "p3")]
