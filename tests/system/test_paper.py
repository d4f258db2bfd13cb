"""Paper and guests at the staff's page of the real daemon: a class without electricity, and visitors."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from drivers.simulated.card_peer import CardPeer
from edge_agent.control import ask
from edge_agent.control_api import ROSTER_APPLY, RosterApplyArguments
from edge_agent.journal.verify import verify_journal
from sync.contract.roster import Credential, Entitlement, MealSession, Person, Programme, Record, RosterPage
from tests.browser import run_browser
from tests.system.daemon import Daemon, edge_agent, facts, serial_reader
from tests.system.staff_page import open_desk, sign_in_first

CARD = "015A3C9601"
OWN, FOREIGN = "3 «Ә»", "10 «Б»"
RECORDS: list[Record] = [
    Person(id="p1", given_name="Айша", family_name="Әлі", group=OWN),
    Person(id="p2", given_name="Болат", family_name="Қасым", group=OWN),
    Person(id="p3", given_name="Дана", family_name="Ли", group=OWN),
    Person(id="p4", given_name="Ерлан", family_name="Цой", group=FOREIGN),
    *(Entitlement(id=f"e{number}", person=f"p{number}", programme="state") for number in range(1, 5)),
    Programme(id="state", name="State"),
    Credential(id="c1", person="p1", value=CARD, technology="em4100"),
    MealSession(id="lunch", name="Lunch", start="00:00", end="00:00"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def confirm(page: Page, reason: str) -> None:
    page.get_by_role("radio", name=reason).click()
    page.click("#confirm-do")


def read_entries(daemon: Daemon, kind: str = "manual") -> list[dict[str, Any]]:
    return [dict(event) for event in facts(sorted(daemon.rows(), key=lambda row: row["seq"]), kind)]


def test_a_class_on_paper_and_guests(tmp_path: Path, browser: Browser) -> None:
    now = datetime.now(ZoneInfo("Asia/Almaty"))
    today = now.date().isoformat()
    with (
        CardPeer(tmp_path / "door") as peer,
        Daemon(tmp_path, serial_reader("door", "em4100", peer.port), kiosk='school = "sch-1"') as daemon,
    ):
        daemon.start()
        page_of_roster = RosterPage(school="sch-1", since=0, version=7, changes=tuple(RECORDS), whole=True)
        list(ask(daemon.run_dir, ROSTER_APPLY, RosterApplyArguments(page=page_of_roster)))
        config = ("--config", str(daemon.config))
        head = json.loads(edge_agent("operators", "add", "Сауле", "--role", "head", *config, "--json").stdout)
        teacher = ("Мира", "--role", "class_teacher", "--class", OWN)
        given = json.loads(edge_agent("operators", "add", *teacher, *config, "--json").stdout)
        peer.present(bytes.fromhex(CARD))
        daemon.wait_lights(1)

        printed = edge_agent("paper", "list", OWN, "--language", "ru", *config).stdout
        codes = {line.split(maxsplit=3)[-1]: line.split()[2] for line in printed.splitlines() if line.startswith("[ ]")}
        assert printed.startswith(f"Список питания  {OWN}\n")
        assert list(codes) == ["Айша Әлі", "Болат Қасым", "Дана Ли"]  # as the Kazakh alphabet has them
        assert len(edge_agent("paper", "list", *config).stdout.split("\f")) == 2

        page = open_desk(browser, str(daemon.status()["screen"]), (1024, 768))
        sign_in_first(page, "Сауле", head["pin"], "274916")
        page.get_by_role("tab", name="Paper").click()
        page.select_option("#paper-group", OWN)
        rows = page.locator("#paper-rows input")
        expect(rows).to_have_count(3)
        expect(rows.nth(0)).to_be_disabled()  # came by card
        page.evaluate("window.print = () => { window.printed = true; }")
        page.get_by_role("button", name="Print this list").click()
        assert page.evaluate("window.printed")
        assert page.locator("#sheet td.code").all_text_contents() == list(codes.values())
        page.get_by_role("checkbox", name="Қасым").check()
        page.fill("#paper-since", "00:00")
        page.click("#paper-do")
        confirm(page, "No electricity")
        expect(page.locator("#outcome")).to_have_text("From paper: 1 entered; already there: 1.")
        page.get_by_role("textbox", name="Or the codes").fill(f"{codes['Дана Ли']} {codes['Болат Қасым']} 1234567")
        expect(page.locator("#paper-wrong")).to_contain_text("1234567")
        expect(page.locator("#paper-do")).to_have_text("Enter those ticked (1)")
        page.click("#paper-do")
        confirm(page, "No electricity")
        expect(page.locator("#outcome")).to_have_text("From paper: 1 entered; already there: 1.")
        page.select_option("#paper-group", OWN)
        expect(page.locator("#paper-rows input:disabled")).to_have_count(3)
        page.click("#paper-do")
        expect(page.locator("#outcome")).to_have_text(
            "This list is entered already: all 3 have this meal. Nothing was added."
        )
        entries = read_entries(daemon)
        assert [(entry["person"], entry["paper"], entry["note"]) for entry in entries] == [
            ("p2", f"{today} lunch {OWN}", "no_power"), ("p3", f"{today} lunch codes", "no_power"),
        ]  # fmt: skip
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        assert entries[0]["eaten_from"] == midnight.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        assert {entry["operator"] for entry in entries} == {head["id"]}

        page.get_by_role("tab", name="Guests").click()
        page.fill("#guest-number", "3")
        page.get_by_role("radio", name="They themselves").click()
        page.click("#guests-do")
        confirm(page, "Parents")
        expect(page.locator("#outcome")).to_have_text("Guests checked in: 3.")
        page.close()

        daemon.stop()
        daemon.start()
        page = open_desk(browser, str(daemon.status()["screen"]), (1024, 768))
        page.get_by_role("radio", name="Сауле").click()
        page.fill("#sign-pin", "274916")
        page.click("#sign-in button.strong")
        page.get_by_role("tab", name="Today").click()
        expect(page.get_by_role("button", name="Lunch: 3 came, 1 not yet; guests: 3")).to_be_visible()
        for name in ("Guests: 3", "Дана Ли"):
            page.get_by_role("button", name=f"Undo: {name}").click()
            confirm(page, "Did not eat")
            expect(page.locator("#today-rows li.voided", has_text=name)).to_be_visible()
        expect(page.locator("#today-rows li", has_text="Қасым")).to_contain_text("from paper · No electricity · Сауле")
        expect(page.get_by_role("button", name="Lunch: 2 came, 2 not yet")).to_be_visible()

        page.click("#sign-out")
        sign_in_first(page, "Мира", given["pin"], "183527")
        page.get_by_role("tab", name="A class").click()
        page.locator("#groups").get_by_role("button", name=FOREIGN).click()
        expect(page.locator("#outcome")).to_have_text("You may enter your own class only. Ask the head.")
        page.locator("#groups").get_by_role("button", name=OWN).click()
        expect(page.locator("#tick-rows li")).to_have_count(3)
        told = page.evaluate(
            "body => import('/page/request.js').then((page) => page.request('/staff/tick', body))",
            {"people": ["p4"], "reason": "forgot_card"},
        )
        assert told["why"] == "not_your_class", "nor by a request that no button makes"
        page.get_by_role("tab", name="Paper").click()
        for group, outcome in (
            (FOREIGN, "You may enter your own class only. Ask the head."),
            (OWN, "From paper: 1 entered; already there: 2."),
        ):
            page.select_option("#paper-group", group)
            page.locator("#paper-rows input:enabled").first.check()
            page.click("#paper-do")
            confirm(page, "Kiosk not working")
            expect(page.locator("#outcome")).to_have_text(outcome)
        page.close()
        assert [entry["person"] for entry in read_entries(daemon)] == ["p2", "p3", "p3"]
        daemon.stop()
        assert verify_journal(daemon.journal).whole
