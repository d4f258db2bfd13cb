"""A tablet in Chromium, which trusts the kiosk's authority through NSS: paired, used, revoked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, expect

from edge_agent.screen.state import Language
from tests.browser import run_browser, trust_authority
from tests.edge_agent.screen.tablets.lan import FIRST, HEAD, HEAD_PIN, KIOSK, SECOND, TabletKiosk, run_kiosk
from tests.edge_agent.screen.test_page import overflowing


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
        expect(desk.locator("#outcome")).to_contain_text("Paired: 3 «Б».")
        tablet.locator("#open a").click()
        tablet.get_by_role("button", name="EN", exact=True).click()
        sign_in_page(tablet)
        tablet.fill("#find", "ай")
        tablet.locator("#people button:not(.quiet)", has_text="Айгерім").click()
        tablet.locator("#reasons button").first.click()
        tablet.click("#confirm-do")
        expect(tablet.locator("#outcome")).to_contain_text("Айгерім")
        assert [row[:2] for row in kiosk.station.rows] == [("enter", "p1")]

        for language, words in (("RU", "Отключить"), ("KK", "Ажырату"), ("EN", "End pairing")):
            desk.get_by_role("button", name=language, exact=True).click()
            expect(desk.locator("#tablet-list button")).to_have_text(words)
        end = desk.locator("#tablet-list button")
        end.click()
        end.click()
        expect(desk.locator("#outcome")).to_have_text("3 «Б»: the pairing has ended.")
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


def test_a_page_outlives_a_change_of_address_and_the_new_one_is_trusted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        run_kiosk(tmp_path_factory.mktemp("state")) as kiosk,
        run_tablet(kiosk, tmp_path_factory.mktemp("home")) as tablets,
    ):
        tablet = open_tablet_page(tablets, kiosk, f"/pair#{kiosk.open_pairing()['code']}")
        tablet.locator("#open a").click()
        sign_in_page(tablet)
        kiosk.lan.addresses = (SECOND,)
        kiosk.until(lambda door: door.addresses == (SECOND,))
        expect(tablet.locator("#offline")).to_be_visible()
        # By its address the kiosk is another one to a browser: trusted, and not paired.
        other = open_tablet_page(tablets, kiosk, "/staff", str(SECOND))
        expect(other).to_have_url(f"https://{SECOND}:{kiosk.door.port}/pair")
        kiosk.lan.addresses = (SECOND, FIRST)  # where the tablet looks up the name
        expect(tablet.locator("#offline")).to_be_hidden(timeout=20_000)
        tablet.fill("#find", "ай")
        expect(tablet.locator("#people button:not(.quiet)")).to_have_count(2)


def test_a_wrong_code_is_said_and_the_right_one_can_be_typed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """On a phone, by the keyboard alone."""
    with (
        run_kiosk(tmp_path_factory.mktemp("state")) as kiosk,
        run_tablet(kiosk, tmp_path_factory.mktemp("home")) as tablets,
    ):
        code = str(kiosk.open_pairing()["code"])
        page = open_tablet_page(tablets, kiosk)
        page.set_viewport_size({"width": 360, "height": 640})
        for language in Language:
            page.get_by_role("button", name=language.upper(), exact=True).click()
            assert overflowing(page, strict=False) == [], language
            assert Axe().run(page).response["violations"] == [], language
        page.locator("#code").focus()
        page.keyboard.type("0000 0000" if code != "00000000" else "1111 1111")
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_have_text("This is not the code on the kiosk’s screen.")
        page.locator("#code").fill("")
        page.keyboard.type(f"{code[:4]} {code[4:]}")
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_have_text("Paired: 3 «Б».")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"https://{KIOSK}:{kiosk.door.port}/staff")


def test_pairing_at_the_kiosk_fits_every_screen_and_language(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, run_browser() as browser:
        kiosk.lan.addresses = (FIRST, SECOND)
        kiosk.until(lambda door: door.addresses == (FIRST, SECOND))
        desk = open_kiosk_page(browser, kiosk)
        desk.fill("#tablet-name", "Мұхаммедәлі-Нұрсұлтанбектің планшеті")
        desk.get_by_role("button", name="Pair a tablet").click()
        for step in ("#tablet-compare", "#tablet-scan"):
            expect(desk.locator(step)).to_be_visible()
            for size in ((1280, 800), (800, 480), (1080, 1920)):
                desk.set_viewport_size({"width": size[0], "height": size[1]})
                for language in Language:
                    desk.locator("#languages button", has_text=language.upper()).dispatch_event("click")
                    assert overflowing(desk, strict=False) == [], (step, size, language)
            assert Axe().run(desk).response["violations"] == [], step
            desk.locator("#tablet-hosts button").last.click()
            expect(desk.locator("#tablet-url")).to_contain_text(str(SECOND))
            if step == "#tablet-compare":
                desk.click("#tablet-agrees")
        desk.click("#tablet-cancel")
        expect(desk.locator("#tablet-pairing")).to_be_hidden()
        with kiosk.open_head() as head:
            assert head.get("/staff/tablets").json()["is_pairing"] is False


def test_the_page_of_the_certificate_fits_a_phone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state")) as kiosk, run_browser() as browser:
        kiosk.open_pairing()
        port = kiosk.until(lambda door: door.certificate_port != 0).certificate_port
        page = browser.new_page(viewport={"width": 360, "height": 640})
        page.goto(f"http://{FIRST}:{port}/")
        assert overflowing(page, strict=False) == []
        assert Axe().run(page).response["violations"] == []
        with page.expect_download() as download:
            page.locator("a").first.click()
        assert download.value.suggested_filename == "canteen-kiosk.crt"
        assert Path(download.value.path()).read_bytes() == kiosk.authority.certificate


def test_the_hall_waits_for_a_pairing_and_is_the_childrens_after_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_kiosk(tmp_path_factory.mktemp("state"), hall=True) as kiosk, run_browser() as browser:
        desk = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        desk.clock.install()
        desk.goto(f"http://127.0.0.1:{kiosk.screen.port}/staff")
        desk.get_by_role("button", name="EN", exact=True).click()
        sign_in_page(desk)
        desk.fill("#tablet-name", "3 «Б»")
        desk.get_by_role("button", name="Pair a tablet").click()
        expect(desk.locator("#tablet-pairing")).to_be_visible()
        desk.clock.fast_forward(90_000)
        expect(desk.locator("#tablet-pairing")).to_be_visible()
        desk.click("#tablet-cancel")
        expect(desk.locator("#tablet-pairing")).to_be_hidden()
        desk.clock.fast_forward(61_000)
        expect(desk).to_have_url(f"http://127.0.0.1:{kiosk.screen.port}/")
