"""Today on the staff's page, in a real Chromium: rows, filter, void after a reload, who has not eaten, the table."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from edge_agent.domain.feedback import Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.health import KioskHealth, LedgerState
from edge_agent.screen.ports import DayBoard
from edge_agent.screen.state import Language
from sync.contract.event import ClockQuality, Method
from tests.browser import run_browser
from tests.edge_agent.screen.desk import OPERATOR, FakeStaffDesk, run_screen
from tests.edge_agent.screen.test_page import SIZES, open_page, overflowing, sign_in


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def test_a_row_of_today_is_found_and_voided_after_a_reload(browser: Browser) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        page.reload()
        page.get_by_role("tab", name="Today").click()
        expect(page.get_by_role("button", name="Lunch: 1 came, 2 not yet")).to_be_visible()
        expect(page.locator("#today-rows li")).to_have_text(["Айгерім Сәрсенбаева 3 «Б» 09:47cardUndo"])
        page.fill("#today-filter", "айдар")
        expect(page.locator("#today-rows")).to_have_text("Nobody in this list.")
        page.fill("#today-filter", "айгерім")
        page.get_by_role("button", name="Undo: Айгерім").click()
        page.get_by_role("radio", name="Did not eat").click()
        page.click("#confirm-do")
        expect(page.locator("#today-rows li")).to_have_class("voided")
        expect(page.get_by_role("button", name="Lunch: 0 came, 3 not yet")).to_be_visible()
        page.close()
    assert station.rows == [("void", "ab", "7", OPERATOR, "did_not_eat")]


def test_who_has_not_eaten_is_entered_and_the_day_is_printed_and_saved(browser: Browser, tmp_path: Path) -> None:
    station = FakeStaffDesk()
    with run_screen(station) as screen:
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        page.get_by_role("tab", name="Today").focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Not yet eaten").click()
        expect(page.locator("#today-rows li")).to_have_count(2)
        page.get_by_role("button", name="Check in: Анна Ли").click()
        page.get_by_role("radio", name="Lost the card").click()
        page.click("#confirm-do")
        expect(page.locator("#today-rows li")).to_have_count(1)
        for language in Language:
            page.get_by_role("button", name=language.upper(), exact=True).click()
            assert Axe().run(page).response["violations"] == [], language
            for width, height in SIZES:
                page.set_viewport_size({"width": width, "height": height})
                assert overflowing(page, strict=False) == [], (language, width)
        page.get_by_role("button", name="EN", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as a table").click()
        download.value.save_as(tmp_path / "day.csv")
        page.evaluate("window.print = () => { window.printed = true; }")
        page.get_by_role("button", name="Print the summary").click()
        page.emulate_media(media="print")
        expect(page.locator("#sheet h1")).to_have_text("Meals on 2026-11-27")
        expect(page.locator("#sheet li")).to_have_count(3)
        expect(page.locator("#feed-side")).to_be_hidden()
        page.close()
    assert (tmp_path / "day.csv").read_text("utf-8-sig").splitlines() == [
        '"Time";"Name";"Class";"Meal";"How";"State";"Checked in by";"Reason"',
        '"09:47";"Айгерім Сәрсенбаева";"3 «Б»";"Lunch";"card";"came";"";""',
        '"09:48";"Анна Ли";"3 «Б»";"Lunch";"by hand";"came";"";""',
        '"";"Айдар Сейтқали";"7 «А»";"Lunch";"";"Not yet eaten";"";""',
    ]


def test_a_doubt_about_every_row_stands_once_at_the_top(browser: Browser) -> None:
    doubtful = KioskHealth(ledger=LedgerState.UNREACHABLE, roster_age_s=60, clock=ClockQuality.UNSYNCHRONISED)
    with run_screen(heartbeat_s=0.2) as screen:
        screen.show_health(doubtful)
        for number in range(3):
            staff = StaffFeedback("clock_uncertain", ("second_meal",), f"p{number}", f"Child {number}")
            screen.show(Feedback(FeedbackKind.WELCOME, staff=staff))
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        page.get_by_role("tab", name="Today").click()
        expect(page.locator("#today-doubt-list li")).to_have_text(
            [
                "Server not reachable: recording goes on, data will be sent later",
                "Clock not checked against the network",
            ],
        )
        expect(page.locator("#feed .why")).to_have_text(["Second time at this meal"] * 3)
        assert Axe().run(page).response["violations"] == []
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert overflowing(page, strict=False) == [], width
        sound = KioskHealth(ledger=LedgerState.REACHABLE, roster_age_s=60, clock=ClockQuality.SYNCHRONISED)
        screen.show_health(sound)
        expect(page.locator("#today-doubts")).to_be_hidden()
        expect(page.locator("#feed .why")).to_have_count(6)  # of rows from before, and of nobody else
        page.close()


class PalmDesk(FakeStaffDesk):
    """A desk whose first row was named by a palm, not wholly sure."""

    def read_day(self) -> DayBoard:
        board = super().read_day()
        named = {"method": Method.PALM, "score": 8_712, "rule": "palm_unconfirmed"}
        return replace(board, rows=tuple(replace(row, **named) for row in board.rows))  # type: ignore[arg-type]


def test_who_decides_against_the_machine_sees_why_it_named_the_child(browser: Browser) -> None:
    station = PalmDesk()
    with run_screen(station) as screen:
        page = open_page(browser, screen, "/staff")
        page.get_by_role("button", name="EN", exact=True).click()
        sign_in(page)
        page.get_by_role("tab", name="Today").click()
        why = "palm · palm alike by 87 % · The palm was not fully confirmed: ask who it is."
        expect(page.locator("#today-rows .why")).to_have_text(why)
        page.get_by_role("button", name="Undo: Айгерім").click()
        expect(page.locator("#confirm-who")).to_contain_text(why)
        page.get_by_role("radio", name="Wrong person").click()
        page.click("#confirm-do")
        expect(page.locator("#today-rows li")).to_have_class("voided")
        page.close()
    assert station.rows == [("void", "ab", "7", OPERATOR, "wrong_person")]
