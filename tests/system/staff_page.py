"""The staff's page of a real daemon in Chromium, opened and signed in to as the staff do."""

import pytest
from playwright.sync_api import Browser, Page, expect


def open_desk(browser: Browser, screen: str, size: tuple[int, int] = (1280, 800)) -> Page:
    """Opens the staff's page in English; an error of the page fails the test."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(f"{screen}staff")
    page.get_by_role("button", name="EN", exact=True).click()
    return page


def sign_in_first(page: Page, name: str, given: str, own: str) -> None:
    """Signs in with a given PIN, and chooses an own one."""
    page.get_by_role("radio", name=name).click()
    page.fill("#sign-pin", given)
    page.click("#sign-in button.strong")
    page.fill("#sign-new-pin", own)
    page.click("#sign-in button.strong")
    expect(page.locator("#operator")).to_have_text(name)
