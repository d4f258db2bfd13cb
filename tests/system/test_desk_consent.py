"""A consent noted at the desk of one kiosk, two daemons and a real ledger: the palm reaches the other one, and ends."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg

from edge_agent.palm.protection.school_key import to_paper
from edge_agent.palms import keys as palm_keys
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogate
from sync.ledger.server import LedgerServer
from tests.system.daemon import Daemon, edge_agent, facts, school_export
from tests.system.enrolment_kiosk import PIN, DrawnHands

CARDS = {"u-1": ("em4100", "010A1B2C3D"), "u-2": ("em4100", "010A1B2C3E")}


def templates(daemon: Daemon) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True)) as journal:
        return journal.execute("SELECT person, hand FROM template").fetchall()


def start_kiosk(daemon: Daemon, url: str, db: psycopg.Connection, school: str) -> httpx.Client:
    """Registers and starts a kiosk; returns a client of its head."""
    code = schools.issue_code(db, school, daemon.folder.name, datetime.now(UTC))
    edge_agent("register", url, code, "--config", str(daemon.config))
    daemon.start()
    screen = daemon.until(lambda status: status["roster"]["people"] == len(CARDS) and not status["palm"]["why"])[
        "screen"
    ]
    added = edge_agent("operators", "add", "Head", "--role", "head", "--json", "--config", str(daemon.config))
    given = json.loads(added.stdout)
    client = httpx.Client(base_url=str(screen), timeout=20)
    body = {"operator": given["id"], "pin": given["pin"], "new_pin": PIN}
    assert client.post("/staff/pin", json=body).status_code == 200
    return client


def test_a_consent_of_one_desk_counts_at_the_other_kiosk_and_ends_there_too(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    export = school_export(tmp_path / "export", school, CARDS)
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    person = find_surrogate(db, school, "u-1")
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    hands = [DrawnHands(folder / "hands", 1.4) for folder in folders]
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(Daemon(folder, drawn.settings)) for folder, drawn in zip(folders, hands, strict=True)
        )
        for daemon in (first, second):
            daemon.state_dir.mkdir(0o700)
        key = palm_keys.make(first.state_dir)
        palm_keys.restore(second.state_dir, " ".join(to_paper(key)))
        at_first, at_second = (start_kiosk(daemon, server.url, db, school) for daemon in (first, second))
        stack.callback(at_first.close)
        stack.callback(at_second.close)

        def holds(client: httpx.Client, found: Callable[[dict[str, object]], bool]) -> bool:
            rows = client.post("/staff/enrol/find", json={"text": "u-1"}).json()
            return any(row["person"] == person and found(row) for row in rows)

        paper = {"person": person, "paper": "17/2026", "given_by": "mother", "signed_on": "2026-11-01"}
        assert at_first.post("/staff/enrol/consent", json=paper).status_code == 200
        second.until(lambda _: holds(at_second, lambda row: bool(row["agreed"])))

        order = {"person": person, "hands": ["left"], "language": "en"}
        assert at_first.post("/staff/enrol/start", json=order).status_code == 200
        first.until(lambda _: at_first.get("/staff/enrol/progress").json()["step"] == "show")
        hands[0].show("u-1", "left")
        first.until(lambda _: templates(first) == [(person, "left")])
        second.until(lambda _: templates(second) == [(person, "left")])

        gone = at_second.post("/staff/enrol/withdraw", json={"person": person}).json()
        assert gone["samples"] == 3
        assert templates(second) == []
        first.until(lambda _: templates(first) == [])
        first.until(lambda _: holds(at_first, lambda row: not row["agreed"]))
        receipts = list(facts(first.rows(), "consent_withdrawn"))
        assert {receipt["person"] for receipt in receipts} == {person}
        assert sum(receipt["templates_deleted"] for receipt in receipts) == 3
        assert db.execute("SELECT 1 FROM palm WHERE school = %s AND sealed IS NOT NULL", (school,)).fetchall() == []
        again = at_first.post("/staff/enrol/consent", json=paper)
        assert (again.status_code, again.json()["why"]) == (409, "consent_older"), "an older paper is none here either"
