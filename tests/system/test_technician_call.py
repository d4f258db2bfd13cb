"""The technician is called from the row of an unknown card; the ledger hears of it until the call is answered."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from drivers.simulated.card_peer import CardPeer
from sync.ledger.fleet.alarms import AlarmKind, judge_kiosk
from sync.ledger.fleet.reading import read_kiosks
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.server import LedgerServer
from tests.browser import run_browser
from tests.system.daemon import Daemon, edge_agent, facts, school_export, serial_reader
from tests.system.staff_page import open_desk, sign_in_first

KNOWN, UNKNOWN = "010A1B2C3D", "010A1B2C3E"
PIN = "507391"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def sign_in(browser: Browser, screen: str, name: str, given: str) -> Page:
    page = open_desk(browser, screen)
    sign_in_first(page, name, given, PIN)
    return page


def wait_report(daemon: Daemon, db: psycopg.Connection, device: str, details: list[str]) -> None:
    """Waits until the ledger's last heartbeat of a kiosk says this of the technician."""

    def says(_: object) -> bool:
        row = db.execute(
            "SELECT body FROM heartbeat WHERE device = %s ORDER BY received_at DESC LIMIT 1", (device,)
        ).fetchone()
        parts = json.loads(bytes(row[0])).get("health", []) if row else []
        return [part["detail"] for part in parts if part["part"] == "technician"] == details

    daemon.until(says)


def test_the_technician_is_called_from_a_row_until_somebody_answers(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str, browser: Browser
) -> None:
    export = school_export(tmp_path / "export", school, {"u-1": ("em4100", KNOWN)})
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    (tmp_path / "kiosk").mkdir()
    door = tmp_path / "kiosk" / "door"
    with CardPeer(door) as peer, Daemon(tmp_path / "kiosk", serial_reader("door", "em4100", door)) as daemon:
        code = schools.issue_code(db, school, "door", datetime.now(UTC))
        edge_agent("register", server.url, code, "--config", str(daemon.config))
        daemon.start()
        status = daemon.until(lambda status: status["roster"]["people"] == 1)
        config = ("--config", str(daemon.config))
        head = json.loads(edge_agent("operators", "add", "Сауле", "--role", "head", *config, "--json").stdout)
        cook = json.loads(edge_agent("operators", "add", "Айгүл", "--role", "cook", *config, "--json").stdout)
        device = str(status["device"])
        page = sign_in(browser, str(status["screen"]), "Айгүл", cook["pin"])
        expect(page.locator("#desk")).to_be_visible()
        peer.present(bytes.fromhex(UNKNOWN), frames=3)
        page.get_by_role("button", name="Call the technician").first.click()
        expect(page.locator("#outcome")).to_contain_text("The technician is called")
        expect(page.locator("#find")).to_be_focused()
        expect(page.locator("#health")).to_contain_text("Technician called")
        expect(page.locator("#call-answer")).to_be_hidden()  # a cook cannot answer
        page.screenshot(path=tmp_path / "called.png")
        page.close()
        wait_report(daemon, db, device, ["called by the staff: unknown_card"])
        now = datetime.now(UTC)
        (kiosk,) = [row for row in read_kiosks(db, now, school) if row.device == device]
        assert AlarmKind.TECHNICIAN in {alarm.kind for alarm in judge_kiosk(kiosk, now)}
        assert (kiosk.roster, kiosk.roster_age_s >= 0, kiosk.readers_gone) == (1, True, ())
        last_scan = kiosk.scanned
        assert last_scan is not None
        daemon.kill()  # a call survives it
        status = daemon.start()
        page = sign_in(browser, str(status["screen"]), "Сауле", head["pin"])
        expect(page.locator("#health")).to_contain_text("Technician called")
        page.get_by_role("button", name="The call is answered").click()
        expect(page.locator("#health")).not_to_contain_text("Technician called")
        page.close()
        wait_report(daemon, db, device, [])
        (kiosk,) = [row for row in read_kiosks(db, now, school) if row.device == device]
        assert kiosk.scanned is not None, "a start finds the last scan in the journal"
        assert abs(kiosk.scanned - last_scan) < timedelta(minutes=1)
        calls = [(call["operator"], call.get("answered", False)) for call in facts(daemon.rows(), "technician_call")]
        assert calls == [(cook["id"], False), (head["id"], True)]
