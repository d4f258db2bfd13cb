"""The pages in a real Chromium: every state, language and size, the staff's acts, and a lost agent."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from drivers.readings import FaultCause
from edge_agent.domain.feedback import Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.health import KioskHealth, LedgerState, ReaderReport
from edge_agent.runtime.operator_book import CommonPin, OperatorBook
from edge_agent.screen.assets import read_catalogue
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.state import Language
from tests.browser import run_browser
from tests.edge_agent.screen.desk import CLOCK, OPERATOR, PIN, FakeStaffDesk, run_screen

SIZES = ((1920, 1080), (1280, 800), (800, 480), (1080, 1920))
LONG_NAME = "Мұхаммедәлі-Нұрсұлтанбек"
STATES = [child for child in FeedbackKind if child is not FeedbackKind.IDLE]
ROOM = KioskHealth(palm=True, ledger=LedgerState.REACHABLE, roster_age_s=60)

# Lists the elements that are larger than their box or the screen, by id and text. A long name in the trail may end in
# an ellipsis.
FIND_OVERFLOWING = """() => [...document.querySelectorAll("body *")].filter((element) => {
  if (element.closest("svg") || element.closest("#trail span") || !element.checkVisibility()) return false;
  const box = element.getBoundingClientRect();
  const scrolls = getComputedStyle(element).overflowY === "auto";
  return (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline")
    || (!scrolls && element.id === "big" && element.scrollHeight > element.clientHeight + 1)
    || box.left < -1 || box.right > innerWidth + 1 || (STRICT && (box.top < -1 || box.bottom > innerHeight + 1));
}).map((element) => element.id + ": " + element.textContent.trim().slice(0, 40))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


@pytest.fixture
def screen() -> Iterator[ScreenServer]:
    with run_screen(heartbeat_s=0.2) as server:
        server.show_health(ROOM)
        yield server


def open_page(browser: Browser, screen: ScreenServer, path: str = "/", size: tuple[int, int] = (1280, 800)) -> Page:
    """Opens a page; an error in its scripts fails the test."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
    page.goto(f"http://127.0.0.1:{screen.port}{path}")
    return page


def overflowing(page: Page, *, strict: bool = True) -> object:
    return page.evaluate(FIND_OVERFLOWING.replace("STRICT", str(strict).lower()))


@pytest.mark.parametrize("size", SIZES)
def test_every_state_fits_in_every_language(browser: Browser, screen: ScreenServer, size: tuple[int, int]) -> None:
    page = open_page(browser, screen, size=size)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    number = 0
    for language in Language:
        for state in STATES:
            greeted = state in (FeedbackKind.WELCOME, FeedbackKind.GOODBYE)
            screen.show(Feedback(state, LONG_NAME if greeted else "", language))
            number += 1
            expect(page.locator("body")).to_have_attribute("data-number", str(number))
            expect(page.locator("body")).to_have_attribute("data-state", state)
            expect(page.locator("html")).to_have_attribute("lang", language)
            expect(page.locator("#title")).to_have_text(read_catalogue(language)[f"child.{state}.title"])
            expect(page.locator("#text")).to_have_text(read_catalogue(language)[f"child.{state}.text"])
            if greeted:
                expect(page.locator("#name")).to_have_text(LONG_NAME)
            assert overflowing(page) == [], (language, state)
    page.close()


@pytest.mark.parametrize("language", Language)
def test_the_invitation_fits_and_speaks_all_three_languages(browser: Browser, language: Language) -> None:
    with run_screen(language=language) as screen:
        screen.show_health(ROOM)
        page = open_page(browser, screen)
        expect(page.locator("#title")).to_have_text(read_catalogue(language)["child.invite.palm_or_card"])
        text = page.locator("#words").inner_text()
        assert all(read_catalogue(second)["child.invite.palm_or_card"] in text for second in Language)
        assert page.locator(".mark:visible").count() == 2
        expect(page.locator("#clock")).to_have_text(re.compile(r"^\d\d:\d\d$"))
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_function(f"innerWidth === {width} && innerHeight === {height}")
            page.evaluate("new Promise(requestAnimationFrame)")  # the page has fitted its words to the new size
            assert overflowing(page) == [], (width, height)
        screen.show_health(replace(ROOM, palm=False, card=False))
        expect(page.locator("#title")).to_have_text(read_catalogue(language)["child.invite.staff"])
        page.close()


def test_words_and_signs_are_big_enough_for_two_metres(browser: Browser, screen: ScreenServer) -> None:
    """On a 10-inch panel of 1280 × 800 (0.17 mm a pixel) the name is at least 15 mm high, the smallest words 5 mm."""
    page = open_page(browser, screen)
    screen.show(Feedback(FeedbackKind.WELCOME, "Айгерім", "kk"))
    expect(page.locator("#name")).to_have_text("Айгерім")
    pixels = {
        name: page.locator(name).evaluate("element => parseFloat(getComputedStyle(element).fontSize)")
        for name in ("#name", "#title", "#text")
    }
    assert pixels["#name"] >= 90
    assert pixels["#title"] >= 60
    assert pixels["#text"] >= 45
    page.close()


def test_ink_and_back_are_far_apart_in_every_state(browser: Browser, screen: ScreenServer) -> None:
    page = open_page(browser, screen)
    for number, state in enumerate(STATES, 1):
        screen.show(Feedback(state))
        expect(page.locator("body")).to_have_attribute("data-number", str(number))
        colours = page.evaluate(
            "() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; }"
        )
        ink, back = (luminance(colour) for colour in colours)
        assert (max(ink, back) + 0.05) / (min(ink, back) + 0.05) >= 7, state
    page.close()


def luminance(colour: str) -> float:
    """Returns the relative luminance of `rgb(r, g, b)`, defined by WCAG 2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("size", SIZES)
def test_in_a_burst_the_newest_is_big_and_those_before_stand_beside(
    browser: Browser, screen: ScreenServer, size: tuple[int, int]
) -> None:
    page = open_page(browser, screen, size=size)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    screen.show(Feedback(FeedbackKind.ASK_STAFF, language="ru"))
    screen.show(Feedback(FeedbackKind.NOT_RECORDED, language="kk"))
    for name in ("Ерасыл", LONG_NAME, "Анна", "Мадина", "Жан"):
        screen.show(Feedback(FeedbackKind.WELCOME, name, "en"))
    expect(page.locator("#name")).to_have_text("Жан")
    expect(page.locator("#trail li")).to_have_count(6)
    assert overflowing(page) == []
    page.close()


def test_a_name_is_text_and_never_markup(browser: Browser, screen: ScreenServer) -> None:
    page = open_page(browser, screen)
    screen.show(Feedback(FeedbackKind.WELCOME, "<img src=x onerror=alert(1)>", "en"))
    screen.show(Feedback(FeedbackKind.WELCOME, "<b>Анна</b>", "en"))
    expect(page.locator("#name")).to_have_text("<b>Анна</b>")
    assert page.locator("main img, footer img, main b").count() == 0
    page.close()


def test_a_silent_child_makes_no_sound_and_a_reloaded_page_repeats_none(browser: Browser, screen: ScreenServer) -> None:
    count_tones = "window.tones = 0; const S = OscillatorNode.prototype.start;"
    count_tones += "OscillatorNode.prototype.start = function (...a) { window.tones += 1; return S.apply(this, a); };"
    screen.show(Feedback(FeedbackKind.NOT_RECORDED, "Анна", "en"))  # has a sound, and lasts while a slow page loads
    page = browser.new_page()
    page.add_init_script(count_tones)
    page.goto(f"http://127.0.0.1:{screen.port}/")
    expect(page.locator("#name")).to_have_text("Анна")
    assert page.evaluate("window.tones") == 0
    screen.show(Feedback(FeedbackKind.WELCOME, "Мадина", "en", silent=True))
    expect(page.locator("#name")).to_have_text("Мадина")
    assert page.evaluate("window.tones") == 0
    screen.show(Feedback(FeedbackKind.WELCOME, "Жан", "en"))
    expect(page.locator("#name")).to_have_text("Жан")
    assert page.evaluate("window.tones") == 2
    page.close()


def test_the_page_shows_a_lost_agent_and_recovers(browser: Browser, screen: ScreenServer) -> None:
    page = open_page(browser, screen)
    screen.show(Feedback(FeedbackKind.WELCOME, "Анна", "ru"))
    expect(page.locator("#name")).to_have_text("Анна")
    port = screen.port
    screen.stop()
    expect(page.locator("body")).to_have_attribute("data-state", "offline")
    expect(page.locator("#name")).to_be_hidden()
    expect(page.locator("#text")).to_have_text("Подойдите к сотруднику столовой.")
    assert overflowing(page) == []
    with run_screen(port=port, heartbeat_s=0.2) as restarted:
        expect(page.locator("body")).to_have_attribute("data-state", "idle", timeout=15_000)
        restarted.show(Feedback(FeedbackKind.GOODBYE, "Жан", "en"))
        expect(page.locator("#title")).to_have_text("Goodbye!")
    page.close()


# ---- The staff's page.


def sign_in(page: Page) -> None:
    page.get_by_role("radio", name=OPERATOR).click()
    page.fill("#sign-pin", PIN)
    page.click("#sign-in button.strong")
    expect(page.locator("#desk")).to_be_visible()


def test_the_staffs_page_fits(browser: Browser, screen: ScreenServer) -> None:
    staff = StaffFeedback(
        "ambiguous", ("guest",), "p1", "Айгерім Сәрсенбаева", "3 «Б»", ("helper", "diet"), ("А Б",), "ab", 7
    )
    screen.show(Feedback(FeedbackKind.ASK_STAFF, staff=staff))
    screen.show_health(
        KioskHealth(
            recording=False,
            ledger=LedgerState.REFUSED,
            readers_gone=("door", "till"),
            queued=12_000,
            readers=(
                ReaderReport("door", "door needs the extra osdp: /opt/edge-agent/bin/python -m pip install 'libosdp'"),
                ReaderReport(
                    "till", "", "a random number (08…), as phones give: use a card", FaultCause.PHONE, 3, 0, 7
                ),
            ),
        )
    )
    page = open_page(browser, screen, "/staff")
    sign_in(page)
    expect(page.locator("#reader-list li")).to_have_count(2)
    expect(page.locator("#reader-list li").nth(1)).to_contain_text("3 рет, соңғысы 05:00")
    expect(page.locator("#reader-list li").nth(1)).to_contain_text("Түсініксіз жазбалар келді: 7")
    expect(page.locator("#feed .name")).to_have_text("Айгерім Сәрсенбаева")
    for width, height in (*SIZES, (600, 960)):
        page.set_viewport_size({"width": width, "height": height})
        for language in ("RU", "EN", "KK"):
            page.get_by_role("button", name=language, exact=True).click()
            assert overflowing(page, strict=False) == [], (width, height, language)
        page.fill("#find", "ай")
        page.click("#people button:not(.quiet)")
        assert overflowing(page, strict=False) == [], (width, height)
        page.click("#confirm-cancel")
    page.close()


def test_staff_enter_a_person_and_a_class_and_void_an_entry(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        staff = StaffFeedback(
            "guest", person="p1", name="Айгерім Сәрсенбаева", group="3 «Б»", entry_epoch="ab", entry_seq=7
        )
        screen.show(Feedback(FeedbackKind.WELCOME, staff=staff))
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        expect(page.locator("#feed .name")).to_have_text("Welcome!")  # nobody has signed in: no name
        sign_in(page)
        expect(page.locator("#feed .name")).to_have_text("Айгерім Сәрсенбаева")

        page.fill("#find", "айдар")
        page.locator("#people button:not(.quiet)", has_text="Айдар Сейтқали").click()
        expect(page.locator("#confirm-do")).to_be_disabled()
        page.get_by_role("radio", name="Forgot the card").click()
        page.click("#confirm-do")
        expect(page.locator("#outcome")).to_have_text("Айдар Сейтқали: checked in.")

        page.click("#tab-class")
        page.get_by_role("button", name="3 «Б»").click()
        expect(page.locator("#ticks-title")).to_have_text("3 «Б» · 1 of 2 here")
        expect(page.get_by_role("checkbox", name="Айгерім Сәрсенбаева")).to_be_disabled()
        expect(page.locator("#ticks-do")).to_be_disabled()
        page.get_by_role("checkbox", name="Анна Ли").check()
        page.click("#ticks-do")
        expect(page.locator("#confirm-who")).to_have_text("3 «Б»: check in 1. Absent: —")
        page.fill("#own-reason", "power was out")
        page.click("#confirm-do")
        expect(page.locator("#outcome")).to_have_text("3 «Б»: 1 pupils checked in.")
        expect(page.get_by_role("button", name="Undo: Анна Ли")).to_be_visible()
        assert Axe().run(page).response["violations"] == []

        page.locator("#feed").get_by_role("button", name="Undo").click()
        page.click("#confirm-cancel")
        page.locator("#feed").get_by_role("button", name="Undo").click()
        page.get_by_role("radio", name="Wrong person").click()
        page.click("#confirm-do")
        expect(page.locator("#feed li")).to_have_class(re.compile("voided"))
        page.close()
    assert station.rows == [
        ("enter", "p2", OPERATOR, "forgot_card"),
        ("enter", "p3", OPERATOR, "power was out"),
        ("void", "ab", "7", OPERATOR, "wrong_person"),
    ]


def test_staff_confirm_how_far_a_terminals_clock_was_off(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        expect(page.locator("#clocks")).to_be_hidden()
        sign_in(page)
        page.get_by_role("button", name="SN1: 3 h 0 min slow, 12 rows").click()
        page.get_by_role("radio", name="Compared with the right time").click()
        page.click("#confirm-do")
        expect(page.locator("#outcome")).to_have_text("SN1: 1 rows count now.")
        expect(page.locator("#clocks")).to_be_hidden()
        page.close()
    assert station.rows == [("clock", CLOCK.run, "None", OPERATOR, "compared")]


def test_who_waits_for_the_journal_is_listed_and_the_count_is_the_same_on_every_page(browser: Browser) -> None:
    station = FakeStaffDesk()
    station.writable = False
    with run_screen(station) as screen:
        screen.show_health(replace(ROOM, recording=False))
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        expect(page.locator("#count-more")).to_be_disabled()  # a number has a person behind it
        sign_in(page)
        for count in (1, 2):
            with page.expect_response("**/staff/count") as response:
                page.click("#count-more")
            assert response.value.json() == {"number": count}
            # As the agent does; a stream that opened with the sign-in may still have told of nobody.
            screen.show_health(replace(ROOM, recording=False, hand_count=count))
            expect(page.locator("#count-number")).to_have_text(str(count))
        page.fill("#find", "анна")
        page.locator("#people button:not(.quiet)", has_text="Анна Ли").click()
        page.get_by_role("radio", name="Forgot the card").click()
        page.click("#confirm-do")
        expect(page.locator("#outcome")).to_contain_text("Held in memory: 1")
        screen.show_health(replace(ROOM, recording=False, waiting=1, hand_count=2))
        expect(page.locator("#waiting-title")).to_have_text("Waiting to be recorded: 1")
        expect(page.locator("#waiting")).to_contain_text("leave the power on")
        expect(page.locator("#waiting-list li")).to_contain_text(["Анна Ли"])
        second = open_page(browser, screen, "/staff")
        expect(second.locator("#count-number")).to_have_text("2")
        expect(second.locator("#waiting-list li")).to_have_count(0)  # no name where nobody has signed in
        second.close()

        station.writable = True
        station.waiting.clear()
        screen.show_health(ROOM)
        expect(page.locator("#waiting")).to_be_hidden()
        expect(page.locator("#count")).to_be_hidden()
        page.close()
    assert station.rows == []


def test_without_a_pin_the_page_says_what_to_set(browser: Browser) -> None:
    with run_screen(pin=None) as screen:
        page = open_page(browser, screen, "/staff")
        expect(page.locator("#off")).to_contain_text("edge-agent operators add")
        expect(page.locator("#sign-in")).to_be_hidden()
        page.close()


def test_the_first_head_adds_a_cook_who_chooses_a_pin(browser: Browser, tmp_path: Path) -> None:
    book = OperatorBook(tmp_path, CommonPin("2468"))
    with run_screen(operators=book) as screen:
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        expect(page.locator("#sign-in")).to_be_hidden()
        page.fill("#first-name", "Анна Ли")
        page.fill("#first-pin", "2468")
        page.fill("#first-own-pin", "123456")
        page.click("#first-head button")
        expect(page.locator("#outcome")).to_have_text("This PIN is easily guessed. Choose another.")
        page.fill("#first-own-pin", "314159")
        page.click("#first-head button")
        expect(page.locator("#operator")).to_have_text("Анна Ли")
        expect(page.locator("#operator-list li")).to_have_count(1)

        page.fill("#operator-name", OPERATOR)
        page.click("#operator-add button")
        expect(page.locator("#outcome")).to_have_text("Choose at least one role.")
        page.get_by_label("Cook", exact=True).check()
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert overflowing(page, strict=False) == [], (width, height)
        page.click("#operator-add button")
        expect(page.locator("#operator-list li")).to_have_count(2)
        words = page.locator("#outcome").text_content() or ""
        given = re.search(r"PIN (\d{6})", words)
        assert given is not None, words
        page.click("#sign-out")

        page.get_by_role("radio", name=OPERATOR).click()
        page.fill("#sign-pin", given[1])
        page.click("#sign-in button.strong")
        expect(page.locator("#sign-new-pin")).to_be_visible()
        page.fill("#sign-new-pin", "271828")
        page.click("#sign-in button.strong")
        expect(page.locator("#desk")).to_be_visible()
        expect(page.locator("#operators")).to_be_hidden()
        page.click("#sign-out")

        page.get_by_role("radio", name="Анна Ли").click()
        page.fill("#sign-pin", "314159")
        page.click("#sign-in button.strong")
        page.get_by_role("button", name=f"Block: {OPERATOR}").click()
        page.get_by_role("button", name="Press once more").click()
        expect(page.locator("#operator-list li")).to_have_count(1)
        page.close()
    assert [row.is_blocked for row in book.list_all()].count(True) == 1
