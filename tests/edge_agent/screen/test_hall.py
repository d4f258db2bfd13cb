"""The staff's page on the kiosk's own screen, in Chromium: the held corner, the keyboard on it, scans meanwhile."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.screen.ports import DayBoard
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.state import Language
from tests.browser import run_browser
from tests.edge_agent.screen.desk import OPERATOR, PIN, FakeStaffDesk, open_client, run_screen
from tests.edge_agent.screen.test_page import ROOM, SIZES, overflowing

STAFF_PAGE = re.compile(r"/staff$")
CHILDS_PAGE = re.compile(r":\d+/$")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def open_child_page(browser: Browser, screen: ScreenServer, *, touch: bool = False) -> Page:
    context = browser.new_context(viewport={"width": 800, "height": 480}, reduced_motion="reduce", has_touch=touch)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.clock.install()
    page.goto(f"http://127.0.0.1:{screen.port}/")
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    return page


def open_staff_page(browser: Browser, screen: ScreenServer, *, touch: bool = False) -> Page:
    """Opens the staff's page by its address, as a technician does who has read the manual."""
    context = browser.new_context(viewport={"width": 1024, "height": 768}, reduced_motion="reduce", has_touch=touch)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(f"http://127.0.0.1:{screen.port}/staff")
    return page


def press_keys(page: Page, words: str) -> None:
    for letter in words:
        page.locator("#keyboard").get_by_role("button", name=letter, exact=True).tap()


def test_a_child_is_entered_with_the_page_alone_and_scans_go_on(browser: Browser) -> None:
    """Everything here is touched: the corner, the names, and each letter."""
    station = FakeStaffDesk()
    with run_screen(station, hall=True, heartbeat_s=0.2) as screen:
        screen.show_health(ROOM)
        page = open_child_page(browser, screen, touch=True)
        page.locator("#corner").dispatch_event("pointerdown")
        page.clock.fast_forward(1900)
        page.locator("#corner").dispatch_event("pointerup")
        page.clock.fast_forward(5000)
        expect(page).to_have_url(CHILDS_PAGE)
        page.locator("#corner").dispatch_event("pointerdown")
        page.clock.fast_forward(2000)
        expect(page).to_have_url(STAFF_PAGE)

        page.get_by_role("button", name="RU", exact=True).tap()
        page.get_by_role("radio", name=OPERATOR).tap()
        press_keys(page, PIN)
        assert overflowing(page, strict=False) == []
        page.get_by_role("button", name="Готово").tap()
        expect(page.locator("#keyboard")).to_have_attribute("data-layout", "ru")
        press_keys(page, "аха")
        page.get_by_role("button", name="Стереть букву").tap()
        page.get_by_role("button", name="Стереть букву").tap()
        press_keys(page, "й")
        expect(page.locator("#find")).to_have_value("ай")
        for language in Language:
            page.locator("#languages button", has_text=language.upper()).dispatch_event("click")
            violations = Axe().run(page).response["violations"]
            assert [violation["id"] for violation in violations] == [], language
        page.clock.fast_forward(200)
        page.locator("#people button:not(.quiet)", has_text="Айгерім").tap()
        page.locator("#own-reason").tap()
        expect(page.locator("dialog #keyboard")).to_be_visible()
        page.get_by_role("button", name="Capital letter").tap()
        press_keys(page, "Ұмы")
        page.locator("#confirm-do").tap()
        expect(page.locator("#outcome")).to_contain_text("Айгерім")
        assert station.rows == [("enter", "p1", OPERATOR, "Ұмы")]

        for kind in FeedbackKind:
            if kind is not FeedbackKind.IDLE:
                screen.show(Feedback(kind, "Айгерім", "kk"))
                expect(page.locator("#band")).to_have_attribute("data-state", kind)
        expect(page.locator("#band strong")).to_have_text("Айгерім")
        assert Axe().run(page).response["violations"] == []
        page.context.close()


def test_a_child_is_found_in_kazakh_and_undone_by_touch(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station, hall=True, heartbeat_s=0.2) as screen:
        page = open_staff_page(browser, screen, touch=True)
        page.get_by_role("button", name="KK", exact=True).tap()
        page.get_by_role("radio", name=OPERATOR).tap()
        press_keys(page, PIN)
        page.get_by_role("button", name="Дайын").tap()
        expect(page.locator("#keyboard")).to_have_attribute("data-layout", "kk")
        press_keys(page, "сәрсен")
        expect(page.locator("#find")).to_have_value("сәрсен")
        page.locator("#people button:not(.quiet)", has_text="Айгерім").tap()
        page.locator("#reasons button").first.tap()
        page.locator("#confirm-do").tap()
        expect(page.locator("#outcome")).to_contain_text("Айгерім")
        page.locator("#tab-today").tap()
        page.locator("#today-rows button").first.tap()
        page.locator("#reasons button").first.tap()
        page.locator("#confirm-do").tap()
        expect(page.locator("#today-rows li").first).to_have_class("voided")
        page.context.close()
    assert [row[0] for row in station.rows] == ["enter", "void"]


def test_who_pays_is_not_shown_to_the_hall(browser: Browser) -> None:
    """Not in Today, on its sheet, in its table or in the guests' tab; where children see nothing, it is shown."""
    station = FakeStaffDesk()
    station.enter_guests(3, "guest", OPERATOR, "inspection")
    for hall in (True, False):
        with run_screen(station, hall=hall) as screen:
            page = open_staff_page(browser, screen)
            page.get_by_role("button", name="EN", exact=True).click()
            page.get_by_role("radio", name=OPERATOR).click()
            page.fill("#sign-pin", PIN)
            page.keyboard.press("Enter")
            expect(page.locator("#tab-today")).to_be_visible()
            expect(page.locator("#tab-guests")).to_be_visible(visible=not hall)
            page.locator("#tab-today").click()
            page.evaluate("window.print = () => {}")
            page.get_by_role("button", name="Print").click()
            with page.expect_download() as download:
                page.locator("#today-save").click()
            shown = [
                page.locator("#today-rows li").first.inner_text(),
                page.locator("#sheet").text_content() or "",
                download.value.path().read_text("utf-8"),
            ]
            for text in shown:
                assert "Guests: 3" in text
                assert ("Their own organisation" in text) is not hall
            page.context.close()


class UnpaidDesk(FakeStaffDesk):
    """A desk whose entries nobody pays for."""

    def read_day(self) -> DayBoard:
        board = super().read_day()
        return replace(board, rows=tuple(replace(row, rule="no_entitlement") for row in board.rows))


def test_the_hall_gets_no_payer_by_any_request() -> None:
    station = UnpaidDesk()
    station.enter_guests(3, "guest", OPERATOR, "inspection")
    with run_screen(station, hall=True) as screen, open_client(screen) as client:
        client.post("/staff/sign-in", json={"operator": OPERATOR, "pin": PIN})
        assert client.get("/staff/session").json()["hall"] is True
        guests = client.post("/staff/guests", json={"counted": 1, "payer": "guest", "reason": "open day"})
        for refused in (client.get("/staff/payers"), guests):
            assert (refused.status_code, refused.json()) == (403, {"why": "in_hall"})
        rows = client.get("/staff/today").json()["rows"]
        assert {(row.get("payer", ""), row.get("rule", "")) for row in rows} == {("", "")}
    assert len(station.rows) == 1


def test_an_untouched_page_is_the_childrens_again_and_signs_out(browser: Browser) -> None:
    """By the keyboard alone; a page that is in use stays."""
    with run_screen(hall=True, heartbeat_s=0.2) as screen, open_client(screen) as other:
        page = open_child_page(browser, screen)
        page.keyboard.press("Tab")
        page.keyboard.down("Enter")
        page.clock.fast_forward(2000)
        expect(page).to_have_url(STAFF_PAGE)
        page.keyboard.up("Enter")
        page.locator("#sign-operators button").focus()
        page.keyboard.press("Enter")
        page.keyboard.type(PIN)
        page.keyboard.press("Enter")
        expect(page.locator("#desk")).to_be_visible()
        expect(page.locator("#keyboard")).to_be_hidden()
        (session,) = page.context.cookies()
        other.cookies.set(session["name"], session["value"])
        page.clock.fast_forward(40_000)
        page.keyboard.type("ай")
        page.clock.fast_forward(40_000)
        expect(page.locator("#people button:not(.quiet)")).to_have_count(2)
        assert other.get("/staff/session").json()["operator"] == OPERATOR
        page.clock.fast_forward(20_000)
        expect(page).to_have_url(CHILDS_PAGE)
        assert other.get("/staff/session").json()["operator"] == ""
        page.context.close()


@pytest.mark.parametrize("size", SIZES)
def test_the_keyboard_fits(browser: Browser, size: tuple[int, int]) -> None:
    with run_screen(hall=True, heartbeat_s=0.2) as screen:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
        page.goto(f"http://127.0.0.1:{screen.port}/staff")
        page.get_by_role("radio", name=OPERATOR).click()
        expect(page.locator("#keyboard")).to_be_visible()
        for name in ("123", "ҚАЗ", "РУС"):
            if name != "123":
                page.locator("#keyboard").get_by_role("button", name=name, exact=True).click()
            assert overflowing(page, strict=False) == [], name
            smallest = page.evaluate(
                "Math.min(...[...document.querySelectorAll('#keyboard button')]"
                ".flatMap(key => [key.offsetWidth, key.offsetHeight]))"
            )
            assert smallest >= 44
            field, keyboard = page.locator("#sign-pin").bounding_box(), page.locator("#keyboard").bounding_box()
            assert field is not None
            assert keyboard is not None
            assert field["y"] + field["height"] <= keyboard["y"], name
        page.close()
