"""Enrolment day with the real daemon: consent, both hands, the next child; killed anywhere, and taken up again."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from edge_agent.journal.verify import verify_journal
from tests.browser import run_browser
from tests.edge_agent.screen.test_page import FIND_OVERFLOWING, SIZES
from tests.system.daemon import START_S, facts
from tests.system.enrolment_kiosk import EnrolmentKiosk, open_enrolment

CLASSES = {"3 «Б»": ("u-1", "u-2", "u-3"), "10 «А»": ("u-4",)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def paper(person: str, number: str = "17/2026", signed_on: str = "2026-11-01") -> dict[str, str]:
    return {"person": person, "paper": number, "given_by": "mother", "signed_on": signed_on}


def order(person: str, *hands: str) -> dict[str, object]:
    return {"person": person, "hands": hands or ("left", "right"), "language": "en"}


def wait_progress(client: httpx.Client, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    until = time.monotonic() + START_S
    while True:
        progress: dict[str, Any] = client.get("/staff/enrol/progress").json()
        if holds(progress):
            return progress
        assert time.monotonic() < until, progress
        time.sleep(0.05)


def templates(kiosk: EnrolmentKiosk) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{kiosk.journal}?mode=ro", uri=True)) as database:
        return database.execute("SELECT person, hand FROM template ORDER BY person, hand").fetchall()


def test_a_kill_anywhere_loses_at_most_the_hand_in_progress(tmp_path: Path) -> None:
    with EnrolmentKiosk(tmp_path, CLASSES) as kiosk:
        kiosk.start()
        kiosk.make_head()

        def restart() -> httpx.Client:
            kiosk.kill()
            kiosk.hands.clear()
            kiosk.start()
            kiosk.until(lambda status: not status["palm"]["why"])
            return kiosk.sign_in()

        client = kiosk.sign_in()
        assert client.post("/staff/enrol/start", json=order("u-1")).status_code == 200
        refused = wait_progress(client, lambda progress: not progress["running"])
        assert (refused["step"], refused["failed"]) == ("not_agreed", True)
        assert client.post("/staff/enrol/consent", json=paper("u-1")).status_code == 200
        assert client.post("/staff/enrol/mark", json={"person": "u-3", "mark": "absent"}).status_code == 200

        client = restart()  # after the consent
        assert templates(kiosk) == []
        rows = {row["person"]: row for row in client.post("/staff/enrol/class", json={"group": "3 «Б»"}).json()}
        assert (rows["u-1"]["agreed"], rows["u-1"]["paper"], rows["u-3"]["mark"]) == (True, "17/2026", "absent")

        assert client.post("/staff/enrol/start", json=order("u-1")).status_code == 200
        wait_progress(client, lambda progress: progress["step"] == "show")
        kiosk.hands.show("u-1", "left", 2)
        wait_progress(client, lambda progress: progress["good"] == 2)
        client = restart()  # within the first hand
        assert templates(kiosk) == []

        assert client.post("/staff/enrol/start", json=order("u-1")).status_code == 200
        busy = client.post("/staff/enrol/start", json=order("u-2"))
        assert (busy.status_code, busy.json()["why"]) == (409, "enrolling")
        wait_progress(client, lambda progress: progress["step"] == "show")
        kiosk.hands.show("u-1", "left")
        wait_progress(client, lambda progress: progress["done"] == ["left"] and progress["step"] == "show")
        kiosk.hands.show("u-1", "right", 1)
        wait_progress(client, lambda progress: progress["good"] == 1)
        client = restart()  # within the second hand
        assert templates(kiosk) == [("u-1", "left")]

        assert client.post("/staff/enrol/consent", json=paper("u-2", "18")).status_code == 200
        assert client.post("/staff/enrol/start", json=order("u-2")).status_code == 200
        wait_progress(client, lambda progress: progress["step"] == "show")
        kiosk.hands.show("u-1", "left", 1)
        known = wait_progress(client, lambda progress: not progress["running"])
        assert (known["step"], known["known_as"]) == ("known_as_another", "Әлия Family-u-1 3 «Б»")

        gone = client.post("/staff/enrol/withdraw", json={"person": "u-1"}).json()
        assert (gone["samples"], gone["name"]) == (3, "Әлия Family-u-1")
        assert templates(kiosk) == []
        older = client.post("/staff/enrol/consent", json=paper("u-1", "19"))
        assert (older.status_code, older.json()["why"]) == (409, "consent_older")
        client = restart()  # after the withdrawal
        rows = {row["person"]: row for row in client.post("/staff/enrol/class", json={"group": "3 «Б»"}).json()}
        assert (rows["u-1"]["agreed"], rows["u-2"]["agreed"]) == (False, True)

        noted = list(facts(kiosk.rows(), "consent_noted"))
        assert [(fact["person"], fact["paper"], fact["given_by"]) for fact in noted] == [
            ("u-1", "17/2026", "mother"),
            ("u-2", "18", "mother"),
        ]
        (receipt,) = facts(kiosk.rows(), "consent_withdrawn")
        assert (receipt["person"], receipt["templates_deleted"]) == ("u-1", 3)
        assert receipt["operator"] == noted[0]["operator"]
        assert kiosk.stop() == 0
    assert verify_journal(kiosk.journal).whole


def check(page: Page) -> None:
    """The page is usable in every language and size."""
    for language in ("KK", "RU", "EN"):
        page.get_by_role("button", name=language, exact=True).click()
        assert Axe().run(page).response["violations"] == [], language
        for width, height in (*SIZES, (600, 960)):
            page.set_viewport_size({"width": width, "height": height})
            found = page.evaluate(FIND_OVERFLOWING.replace("STRICT", "false"))
            assert found == [], (language, width, found)


def test_a_class_is_enrolled_on_the_page(browser: Browser, tmp_path: Path) -> None:
    with EnrolmentKiosk(tmp_path, CLASSES) as kiosk:
        kiosk.start()
        kiosk.make_head()
        page = browser.new_page(reduced_motion="reduce")
        page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
        open_enrolment(page, kiosk)
        expect(page.locator("#classes button")).to_have_text(["0 of 3 done3 «Б»", "0 of 1 done10 «А»"])
        page.get_by_role("button", name="3 «Б»").click()
        expect(page.locator("#list-title")).to_have_text("3 «Б» · 0 of 3 done")
        page.get_by_role("button", name="Әлия Family-u-1").click()
        expect(page.locator("#agreed")).to_contain_text("no consent yet")
        check(page)

        page.evaluate("window.print = () => { window.printed = true; }")
        for language, title in (("KK", "Сенің алақаның"), ("RU", "Твоя ладонь"), ("EN", "Your palm")):
            page.get_by_role("button", name=language, exact=True).click()
            page.locator("#form").click()
            expect(page.locator("#sheet h1").last).to_contain_text(title)
        assert page.evaluate("window.printed")
        page.fill("#paper", "17")  # from here by keyboard alone
        page.locator("#paper").press("Tab")
        page.keyboard.press("Enter")
        page.locator("#signed-on").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#start")).to_be_focused()
        expect(page.locator("#agreed")).to_have_text("Consent: paper 17, signed by the mother.")
        page.keyboard.press("Enter")
        expect(page.locator("#say")).to_contain_text("Show the palm")
        kiosk.hands.show("u-1", "left")
        expect(page.locator("#hand-left b")).to_have_text("✓", timeout=20_000)
        check(page)
        page.reload()  # the page of another helper goes on with the same child
        expect(page.locator("#hand-right[data-now]")).to_be_visible()
        kiosk.hands.show("u-1", "right")
        expect(page.locator("#say")).to_have_text("Both are done. Thank you!", timeout=20_000)
        expect(page.locator("#next")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#child-name")).to_have_text("Әлия Family-u-2")
        page.get_by_role("button", name="Absent").click()
        expect(page.locator("#child-name")).to_have_text("Әлия Family-u-3")
        page.get_by_role("button", name="Refused").click()
        expect(page.locator("#outcome")).to_have_text("Nobody is left in this class.")
        page.get_by_role("button", name="All classes").click()
        expect(page.locator("#classes button").first).to_have_text("1 of 3 done · absent: 1 · refused: 13 «Б»")

        page.fill("#find", "family-u-1")
        page.get_by_role("button", name="Әлия Family-u-1").click()
        page.evaluate("window.print = () => { window.printed = true; }")
        page.get_by_role("button", name="New card").click()
        page.get_by_label("Or the number printed on the card").fill("0013267382")
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_have_text(re.compile("Әлия Family-u-1 has the new card"))
        expect(page.locator("#next")).to_be_focused()
        assert [event["person"] for event in facts(kiosk.rows(), "card_replaced")] == ["u-1"]
        page.get_by_role("button", name="Withdraw the consent").click()
        page.locator("#sure-cancel").click()
        assert len(templates(kiosk)) == 2
        page.get_by_role("button", name="Withdraw the consent").click()
        page.get_by_role("button", name="Withdraw, and print").click()
        expect(page.locator("#outcome")).to_have_text("The consent is withdrawn. Samples deleted: 6.")
        assert page.evaluate("window.printed")
        page.emulate_media(media="print")
        expect(page.locator("#sheet")).to_contain_text("Әлия Family-u-1, 3 «Б». Withdrawn on")
        expect(page.locator("#child-side")).to_be_hidden()
        page.close()
        assert templates(kiosk) == []


def test_the_kiosks_own_screen_has_a_keyboard_and_goes_back(browser: Browser, tmp_path: Path) -> None:
    with EnrolmentKiosk(tmp_path, CLASSES, hall="on") as kiosk:
        kiosk.start()
        kiosk.make_head()
        page = browser.new_page(viewport={"width": 800, "height": 480}, reduced_motion="reduce")
        page.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
        page.clock.install()
        open_enrolment(page, kiosk)
        expect(page).to_have_url(re.compile(r"/enrol$"))
        page.get_by_role("button", name="3 «Б»").click()
        page.get_by_role("button", name="Әлия Family-u-1").click()
        keys = page.locator("#keyboard")
        keys.get_by_role("button", name="123", exact=True).click()
        for digit in "17":
            keys.get_by_role("button", name=digit, exact=True).click()
        expect(page.locator("#paper")).to_have_value("17")
        page.locator("#signed-on").focus()
        expect(keys).to_be_hidden()
        page.clock.fast_forward(61_000)
        expect(page).to_have_url(re.compile(r":\d+/$"))
        page.close()
