"""A tablet on the real daemon: paired by what a camera reads on the kiosk's screen, used, and there after a restart."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from drivers.simulated.card_peer import CardPeer
from tests.browser import run_browser, trust_authority
from tests.system.daemon import Daemon, edge_agent, facts, school_export, serial_reader
from tests.system.staff_page import open_desk, sign_in_first

NAME = "kiosk.local"
ALIYA, PIN = "010A1B2C3D", "507391"
TABLETS = """[tablets]
enabled = true
port = {port}
certificate_port = {certificate_port}
name = "kiosk.local"
networks = ["127.0.0.0/8"]
"""


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[Daemon]:
    export = school_export(tmp_path / "export", "sch-1", {"aliya": ("em4100", ALIYA)})
    (tmp_path / "kiosk").mkdir()
    door = tmp_path / "kiosk" / "door"
    port, certificate_port = free_ports()
    tables = TABLETS.format(port=port, certificate_port=certificate_port)
    with (
        CardPeer(door),
        Daemon(
            tmp_path / "kiosk", serial_reader("door", "em4100", door), kiosk='school = "sch-1"', tables=tables
        ) as daemon,
    ):
        edge_agent("roster", "import", "--local", str(export), "--config", str(daemon.config))
        daemon.start()
        yield daemon


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def read_code(page: Page) -> str:
    """Returns what a camera reads on this page."""
    picture = page.locator("#tablet-qr svg").screenshot()
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    text, *_ = cv2.QRCodeDetector().detectAndDecode(pixels)
    return text


def read_tablets(daemon: Daemon) -> dict[str, Any]:
    """Returns the door's status once it listens."""
    status = daemon.until(lambda status: status["tablets"]["addresses"])
    return dict(status["tablets"])


def open_head(browser: Browser, daemon: Daemon) -> Page:
    given = json.loads(
        edge_agent(
            "operators", "add", "Aigul Sadykova", "--role", "head", "--json", "--config", str(daemon.config)
        ).stdout
    )
    page = open_desk(browser, daemon.status()["screen"])
    sign_in_first(page, "Aigul Sadykova", given["pin"], PIN)
    return page


def test_a_tablet_is_paired_by_the_drawings_used_and_there_after_a_restart(
    kiosk: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    door = read_tablets(kiosk)
    # The authority is what the kiosk gives by the address in its first drawing, as the tablet would get it.
    with run_browser() as screens:
        desk = open_head(screens, kiosk)
        desk.fill("#tablet-name", "3-B")
        desk.get_by_role("button", name="Pair a tablet").click()
        expect(desk.locator("#tablet-fingerprint")).to_have_text(door["fingerprint"])
        certificate = httpx.get(read_code(desk) + "canteen-kiosk.crt").content
        desk.context.storage_state(path=home / "desk.json")
    trust_authority(home, certificate)
    with run_browser(home=home, switches=[f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]) as browser:
        desk = browser.new_context(storage_state=home / "desk.json").new_page()
        desk.goto(f"{kiosk.status()['screen']}staff")
        desk.fill("#tablet-name", "3-B")
        desk.get_by_role("button", name="Pair a tablet").click()
        desk.click("#tablet-agrees")
        scanned = read_code(desk)
        assert scanned.startswith(f"https://{NAME}:{door['port']}/pair#")
        tablet = browser.new_page(viewport={"width": 1024, "height": 768}, reduced_motion="reduce")
        tablet.on("pageerror", lambda error: pytest.fail(f"the page broke: {error}"))
        tablet.goto(scanned)
        expect(tablet.locator("#outcome")).to_contain_text("3-B")
        tablet.locator("#open a").click()
        use_tablet(tablet)
        tablet.click("#enrolment")
        expect(tablet.locator("#operator")).to_have_text("Aigul Sadykova")
        expect(tablet.locator("#shut")).to_be_hidden()
        tablet.click("#back")
        doctor = json.loads(edge_agent("doctor", "--json", "--config", str(kiosk.config), check=False).stdout)
        (finding,) = [row for row in doctor if row["part"] == "tablets"]
        assert (finding["state"], finding["detail"].split("; ")[:2]) == (
            "ok", [f"https://{NAME}:{door['port']}/ at 127.0.0.1", "paired: 1"],
        )  # fmt: skip

        kiosk.stop()
        expect(tablet.locator("#offline")).to_be_visible()
        kiosk.start()
        expect(tablet.locator("#offline")).to_be_hidden(timeout=30_000)
        expect(tablet.locator("#sign-in")).to_be_visible()
        sign_in_tablet(tablet)
        entries = list(facts(kiosk.rows(), "manual"))
        assert [entry["person"] for entry in entries] == ["aliya"]


def sign_in_tablet(tablet: Page) -> None:
    tablet.get_by_role("radio", name="Aigul Sadykova").click()
    tablet.fill("#sign-pin", PIN)
    tablet.click("#sign-in button.strong")
    expect(tablet.locator("#operator")).to_have_text("Aigul Sadykova")


def use_tablet(tablet: Page) -> None:
    """Signs in with the PIN and enters the one child by hand."""
    sign_in_tablet(tablet)
    tablet.fill("#find", "al")
    tablet.locator("#people button:not(.quiet)").first.click()
    tablet.locator("#reasons button").first.click()
    tablet.click("#confirm-do")
    expect(tablet.locator("#outcome")).not_to_be_empty()
