"""Guests on the staff's page, in a real Chromium: how many, who pays, by mouse and by keyboard alone."""

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


def test_guests_are_entered_with_number_and_payer(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        page.get_by_role("tab", name="Guests").click()
        expect(page.locator("#guests-do")).to_be_disabled()
        for _ in range(2):
            page.get_by_role("button", name="One more").click()
        page.get_by_role("radio", name="Their own organisation").click()
        for language in Language:
            page.get_by_role("button", name=language.upper(), exact=True).click()
            assert Axe().run(page).response["violations"] == [], language
            for width, height in SIZES:
                page.set_viewport_size({"width": width, "height": height})
                assert overflowing(page, strict=False) == [], (language, width)
        page.get_by_role("button", name="EN", exact=True).click()
        page.get_by_role("button", name="Check in guests (3)").click()
        page.get_by_role("radio", name="Inspection").click()
        page.click("#confirm-do")
        expect(page.locator("#outcome")).to_have_text("Guests checked in: 3.")
        expect(page.locator("#guests-do")).to_be_disabled()  # the next guests say who pays again

        page.locator("#guest-number").focus()
        page.keyboard.type("2")  # behind the 1
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.locator("#own-reason").focus()
        page.keyboard.type("open day")
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_have_text("Guests checked in: 12.")
        page.fill("#guest-number", "100")
        expect(page.locator("#guests-do")).to_be_disabled()
        page.close()
    assert station.rows == [
        ("guests", "3", "guest", OPERATOR, "inspection"), ("guests", "12", "staff", OPERATOR, "open day"),
    ]  # fmt: skip
