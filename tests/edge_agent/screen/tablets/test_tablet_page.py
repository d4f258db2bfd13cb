"""A tablet in Chromium, which trusts the kiosk's authority through NSS: paired, used, revoked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.browser import run_browser, trust_authority
from tests.edge_agent.screen.tablets.lan import FIRST, HEAD, HEAD_PIN, KIOSK, TabletKiosk, run_kiosk


@contextmanager
def run_tablet(kiosk: TabletKiosk, home: Path, *, trusts: bool = True) -> Iterator[Browser]:
    """Yields a tablet's Chromium. The kiosk's name is looked up as mDNS would answer; no certificate is ignored."""
    if trusts:
        trust_authority(home, kiosk.authority.certificate)
    with run_browser(home=home, switches=[f"--host-resolver-rules=MAP {KIOSK} {FIRST}"]) as chromium:
        yield chromium


def open_tablet_page(browser: Browser, kiosk: TabletKiosk, path: str = "/", host: str = KIOSK) -> Page:
    page = browser.new_page(viewport={"width": 1024, "height": 768}, reduced_motion="reduce", has_touch=True)
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(f"https://{host}:{kiosk.door.port}{path}")
    return page


def open_kiosk_page(browser: Browser, kiosk: TabletKiosk) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(f"http://127.0.0.1:{kiosk.screen.port}/staff")
    page.get_by_role("button", name="EN", exact=True).click()
    sign_in_page(page)
    return page


def sign_in_page(page: Page) -> None:
    page.get_by_role("radio", name=HEAD).click()
    page.fill("#sign-pin", HEAD_PIN)
    page.click("#sign-in button.strong")
    expect(page.locator("#operator")).to_have_text(HEAD)


def test_a_tablet_is_paired_used_and_revoked(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        run_kiosk(tmp_path_factory.mktemp("state")) as kiosk,
        run_tablet(kiosk, tmp_path_factory.mktemp("home")) as tablets,
    ):
        desk = open_kiosk_page(tablets, kiosk)
        desk.fill("#tablet-name", "3 «Б»")
        desk.get_by_role("button", name="Pair a tablet").click()
        expect(desk.locator("#tablet-fingerprint")).to_have_text(kiosk.authority.fingerprint)
        expect(desk.locator("#tablet-code")).to_be_hidden()
        desk.click("#tablet-agrees")
        expect(desk.locator("#tablet-code")).to_be_visible()
        code = desk.locator("#tablet-code").inner_text().replace(" ", "")

        tablet = open_tablet_page(tablets, kiosk, f"/pair#{code}")
        expect(tablet.locator("#outcome")).to_contain_text("3 «Б»")
        expect(desk.locator("#outcome")).to_have_text("3 «Б» is paired.")
        tablet.locator("#open a").click()
        tablet.get_by_role("button", name="EN", exact=True).click()
        sign_in_page(tablet)
        tablet.fill("#find", "ай")
        tablet.locator("#people button:not(.quiet)", has_text="Айгерім").click()
        tablet.locator("#reasons button").first.click()
        tablet.click("#confirm-do")
        expect(tablet.locator("#outcome")).to_contain_text("Айгерім")
        assert [row[:2] for row in kiosk.station.rows] == [("enter", "p1")]

        end = desk.locator("#tablet-list button")
        end.click()
        end.click()
        expect(desk.locator("#outcome")).to_have_text("3 «Б» opens nothing here any more.")
        expect(tablet).to_have_url(f"https://{KIOSK}:{kiosk.door.port}/pair")
        tablet.goto(f"https://{KIOSK}:{kiosk.door.port}/staff")
        expect(tablet).to_have_url(f"https://{KIOSK}:{kiosk.door.port}/pair")


def test_a_tablet_without_the_authority_is_not_let_on_by_its_browser(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        run_kiosk(tmp_path_factory.mktemp("state")) as kiosk,
        run_tablet(kiosk, tmp_path_factory.mktemp("home"), trusts=False) as tablets,
        pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"),
    ):
        open_tablet_page(tablets, kiosk)
