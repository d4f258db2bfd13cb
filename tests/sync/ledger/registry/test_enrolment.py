"""A code gives one kiosk one identity."""

import json
import threading
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import wire
from sync.ledger.errors import NotUnderstood
from sync.ledger.registry import schools
from sync.ledger.server import LedgerServer
from tests.sync.ledger.billing.sheet_school import Command
from tests.sync.ledger.kiosk import Kiosk, ask_identity

NOW = datetime.now(UTC)


def test_the_code_is_kept_as_a_hash(db: psycopg.Connection, school: str) -> None:
    code = schools.issue_code(db, school, "", NOW)
    (row,) = db.execute("SELECT * FROM enrolment_code WHERE school = %s", (school,)).fetchall()
    assert code.removeprefix(f"{school}-") not in str(row)


def test_a_race_for_one_code_has_one_winner(db: psycopg.Connection, server: LedgerServer, school: str) -> None:
    code = schools.issue_code(db, school, "", NOW)
    answers: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            answers.append(ask_identity(http, code, Ed25519PrivateKey.generate()).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [201, *[403] * 7]
    assert db.execute("SELECT count(*) FROM device WHERE school = %s", (school,)).fetchone() == (1,)


def test_the_same_key_gets_the_same_identity_again(db: psycopg.Connection, server: LedgerServer, school: str) -> None:
    code = schools.issue_code(db, school, "", NOW)
    kiosk = Kiosk.enrol(server.url, code)
    again = ask_identity(kiosk.http, f" {code.lower().replace(school, school)} ", kiosk.key)
    assert again.status_code == 200
    assert wire.read_json(wire.RegistrationReply, again.content).device == kiosk.device
    assert kiosk.device.startswith(f"{school}-")
    kiosk.close()


def test_an_expired_code_is_refused(db: psycopg.Connection, server: LedgerServer, school: str) -> None:
    code = schools.issue_code(db, school, "", NOW, timedelta(seconds=-1))
    with httpx.Client(base_url=server.url) as http:
        reply = ask_identity(http, code, Ed25519PrivateKey.generate())
    assert reply.status_code == 403
    assert reply.json()["type"] == wire.ProblemType.CODE_REFUSED
    assert code not in reply.text


def test_the_shown_key_must_sign(db: psycopg.Connection, server: LedgerServer, school: str) -> None:
    code = schools.issue_code(db, school, "", NOW)
    with httpx.Client(base_url=server.url) as http:
        unsigned = http.post(
            wire.REGISTRATIONS_PATH, json={"code": code, "public_key": "ab" * 32}, headers={"content-type": wire.JSON}
        )
    assert unsigned.status_code == 401


def test_codes_are_listed_without_the_code_and_withdrawn(
    db: psycopg.Connection, server: LedgerServer, school: str, command: Command
) -> None:
    used, waiting = (schools.issue_code(db, school, name, NOW) for name in ("left door", "right door"))
    schools.issue_code(db, school, "old", NOW - timedelta(days=9))
    kiosk = Kiosk.enrol(server.url, used)
    listed = {row["kiosk"]: row for row in json.loads(command("codes", school, "--json"))}
    assert {kiosk: row["state"] for kiosk, row in listed.items()} == {
        "left door": "used", "right door": "waiting", "old": "expired",
    }  # fmt: skip
    assert listed["left door"]["device"] == kiosk.device
    secret = waiting.removeprefix(f"{school}-")
    assert secret not in command("codes", school, "--json") + command("codes", school)
    assert "withdrawn" in command("codes", school, "--withdraw", listed["right door"]["name"])
    assert ask_identity(kiosk.http, waiting, Ed25519PrivateKey.generate()).status_code == 403
    with pytest.raises(NotUnderstood, match=f"suspend {kiosk.device}"):
        command("codes", school, "--withdraw", listed["left door"]["name"])
    with pytest.raises(NotUnderstood, match="no code"):
        command("codes", school, "--withdraw", "0" * 12)
    kiosk.close()
