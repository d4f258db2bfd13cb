"""The search of the staff's page in a real Chromium: by keyboard alone, and a list too long to show at once."""

from collections.abc import Iterator, Sequence

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from edge_agent.domain.feedback import Feedback, FeedbackKind, StaffFeedback
from edge_agent.screen.ports import RosterPerson
from edge_agent.screen.state import Language
from sync.contract.event import PersonId
from tests.browser import run_browser
from tests.edge_agent.screen.desk import OPERATOR, FakeStaffDesk, run_screen
from tests.edge_agent.screen.test_page import open_page, sign_in

NAMESAKES = [RosterPerson(PersonId(f"n{number}"), "Айгерім Ким", "3 «Б»", f"{number:04}") for number in range(27)]


class CrowdedStaffDesk(FakeStaffDesk):
    """Finds twenty-seven namesakes of one class."""

    def find_people(self, text: str) -> Sequence[RosterPerson]:
        return NAMESAKES if text == "ким" else super().find_people(text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def test_a_list_that_is_too_long_says_so_and_shows_the_rest(browser: Browser) -> None:
    with run_screen(CrowdedStaffDesk()) as screen:
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        page.fill("#find", "ким")
        expect(page.locator("#people .hint")).to_have_text(
            "27 found, the first 20 are shown. Type more letters to see fewer."
        )
        expect(page.locator("#people button:not(.quiet)", has_text="Айгерім Ким")).to_have_count(20)
        page.get_by_role("button", name="Show all 27").click()
        expect(page.locator("#people button:not(.quiet)", has_text="Айгерім Ким")).to_have_count(27)
        expect(page.locator("#people button:not(.quiet)", has_text="card …0026")).to_be_visible()
        for language in Language:
            page.get_by_role("button", name=language.upper(), exact=True).click()
            assert Axe().run(page).response["violations"] == [], language
        page.close()


def test_four_letters_and_two_acts_enter_a_child_by_keyboard_alone(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        staff = StaffFeedback("blocked", person="p2", name="Айдар Сейтқали", group="7 «А»")
        screen.show(Feedback(FeedbackKind.ASK_STAFF, staff=staff))
        page = open_page(browser, screen, "/staff")
        sign_in(page)
        expect(page.locator("#find")).to_be_focused()
        expect(page.locator("#feed .name")).to_have_text("Айдар Сейтқали")
        page.keyboard.type("айда")
        expect(page.locator("#people button:not(.quiet)")).to_have_count(1)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#confirm-do")).to_be_focused()  # the row said why
        page.keyboard.press("Enter")
        expect(page.locator("#find")).to_be_focused()
        page.close()
    assert station.rows == [("enter", "p2", OPERATOR, "lost_card")]


def test_a_row_that_asks_for_a_person_enters_whom_the_reader_meant(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        known = StaffFeedback("blocked", person="p2", name="Айдар Сейтқали", group="7 «А»")
        screen.show(Feedback(FeedbackKind.ASK_STAFF, staff=StaffFeedback("ambiguous", candidates=("Анна Ли",))))
        screen.show(Feedback(FeedbackKind.ASK_STAFF, staff=known))
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        page.get_by_role("button", name="Check in Айдар Сейтқали").click()
        page.click("#confirm-do")
        expect(page.locator("#find")).to_be_focused()
        page.get_by_role("button", name="Check in Анна Ли").click()
        expect(page.locator("#find")).to_have_value("Анна Ли")
        page.locator("#people button:not(.quiet)").click()
        page.click("#confirm-do")
        expect(page.locator("#outcome")).to_have_text("Анна Ли: checked in.")
        page.get_by_role("button", name="Not this child").first.click()
        expect(page.locator("#find")).to_be_focused()
        assert Axe().run(page).response["violations"] == []
        page.close()
    assert station.rows == [("enter", "p2", OPERATOR, "lost_card"), ("enter", "p3", OPERATOR, "palm_unread")]


def test_a_click_that_has_begun_on_a_row_is_not_lost_when_another_child_comes(browser: Browser) -> None:
    with run_screen(FakeStaffDesk()) as screen:
        known = StaffFeedback("blocked", person="p2", name="Айдар Сейтқали", group="7 «А»")
        screen.show(Feedback(FeedbackKind.ASK_STAFF, staff=known))
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        meant = page.get_by_role("button", name="Check in Айдар Сейтқали")
        meant.hover()
        page.mouse.down()
        screen.show(Feedback(FeedbackKind.WELCOME, "Анна", staff=StaffFeedback("", name="Анна Ли", group="2 «Б»")))
        expect(page.locator("#feed li")).to_have_count(2)
        meant.hover()
        page.mouse.up()
        expect(page.locator("#confirm-do")).to_be_visible()
        page.close()
