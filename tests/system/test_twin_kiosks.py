"""Two real daemons with one identity, as a copied memory card makes them, against a real ledger: everybody is told."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, expect

from drivers.simulated.card_peer import CardPeer
from sync.ledger.pages.access import PageRole
from sync.ledger.pages.catalogues import load_catalogues
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.twins import list_twins
from sync.ledger.server import LedgerServer
from tests.browser import run_browser
from tests.sync.ledger.pages.test_app import get, open_account
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader
from tests.system.staff_page import open_desk

CARDS = {"u-1": "010A1B2C3D", "u-2": "010A1B2C3E"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as chromium:
        yield chromium


def make_kiosk(folder: Path) -> Daemon:
    folder.mkdir()
    return Daemon(folder, serial_reader("door", "em4100", folder / "door"))


def register(kiosk: Daemon, server: LedgerServer, code: str) -> None:
    edge_agent("register", server.url, code, "--config", str(kiosk.config))


def has_twin(status: dict[str, Any]) -> bool:
    return bool(status["ledger"] and status["ledger"]["twin_heard"])


def wait_answer(kiosk: Daemon, db: psycopg.Connection, since: datetime) -> dict[str, Any]:
    """Returns the status of a kiosk once it has the answer to a heartbeat of a run that began since then."""

    def is_answered(status: dict[str, Any]) -> bool:
        row = db.execute(  # its second heartbeat goes out after the first one's answer came
            "SELECT FROM heartbeat WHERE device = %s AND first_at > %s AND received_at > first_at",
            (status["device"], since),
        ).fetchone()
        return row is not None

    return kiosk.until(is_answered)


def find_identity(kiosk: Daemon) -> list[dict[str, str]]:
    """Returns what the doctor finds about the kiosk's identity."""
    report = edge_agent("doctor", "--json", "--config", str(kiosk.config), check=False)
    return [finding for finding in json.loads(report.stdout) if finding["part"] == "identity"]


def test_both_kiosks_and_the_ledger_say_it_until_one_has_an_identity_of_its_own(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str, browser: Browser
) -> None:
    export = school_export(tmp_path / "export", school, {person: ("em4100", uid) for person, uid in CARDS.items()})
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    with (
        make_kiosk(tmp_path / "first") as first,
        make_kiosk(tmp_path / "second") as second,
        CardPeer(tmp_path / "first" / "door") as left,
        CardPeer(tmp_path / "second" / "door") as right,
    ):
        register(first, server, schools.issue_code(db, school, "left door", datetime.now(UTC)))
        first.start()
        first.until(lambda status: status["roster"]["people"] == len(CARDS))
        assert first.stop() == 0
        shutil.copytree(first.state_dir, second.state_dir)  # the memory card is copied
        device = str(first.start()["device"])
        assert second.start()["device"] == device
        left.present(bytes.fromhex(CARDS["u-1"]), frames=3)
        right.present(bytes.fromhex(CARDS["u-2"]), frames=3)
        for kiosk in (first, second):
            status = kiosk.until(has_twin)
            [finding] = find_identity(kiosk)
            assert finding["state"] == "fails"
            assert "register it there anew: edge-agent register URL CODE" in finding["next_step"]
            page = open_desk(browser, str(status["screen"]))
            expect(page.locator("#health")).to_contain_text("Another kiosk works under this kiosk's name")
            page.close()
            lines = httpx.get(f"{status['screen']}health").json()
            assert "identity" in json.dumps(lines)
        assert [row.name for row in list_twins(db, school, datetime.now(UTC))] == ["left door"]
        auditor = open_account(db, school, PageRole.AUDITOR)
        words = [catalogue["twins"].replace("{kiosk}", "left door") for catalogue in load_catalogues().values()]
        for path in ("/", f"/schools/{school}"):
            text = get(server, auditor, path).text
            assert any(word.split("(")[0] in text for word in words), text
        # The technician does what the doctor says: the copy gets an identity of its own.
        register(second, server, schools.issue_code(db, school, "right door", datetime.now(UTC)))
        assert second.stop() == first.stop() == 0
        restarted = datetime.now(UTC)
        first.start()
        second.start()
        assert str(second.status()["device"]) != device
        for kiosk in (first, second):
            assert not has_twin(wait_answer(kiosk, db, restarted))
            assert find_identity(kiosk) == []
            kiosk.until(lambda status: status["journal"]["queue"] == 0)
    stored = db.execute(  # what a later epoch carried has its own table
        "SELECT count(DISTINCT person) FROM (SELECT person, kind FROM event WHERE school = %(school)s"
        " UNION ALL SELECT person, kind FROM carried WHERE school = %(school)s) AS rows WHERE kind = 'entry'",
        {"school": school},
    ).fetchone()
    assert stored == (len(CARDS),), "nobody's meal is lost in the meantime"
