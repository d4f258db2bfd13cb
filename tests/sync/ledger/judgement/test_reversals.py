"""Named persons decide about claims: registered, signed, counted, and checked again at each judgement."""

import stat
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner

from edge_agent.cli.main import build
from sync.contract.event import Claim
from sync.contract.reversals import Reversal, sign_reversal
from sync.contract.roster import Person
from sync.contract.visits import ClaimReason, Visit
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement import reversals
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.judgement.report import build_report
from sync.ledger.registry import rosters
from sync.ledger.server import LedgerServer
from tests.sync.ledger.judgement.test_attacks import lunch, paid
from tests.sync.ledger.kiosk import Kiosk, accepted

__all__ = ["lunch"]

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)


def judged(db: psycopg.Connection, school: str) -> list[Visit]:
    settle_days(db, school, now=NOW)
    return read_visits(db, school, DAY, DAY)


def verdicts(db: psycopg.Connection, school: str) -> list[tuple[Claim, ClaimReason]]:
    return [(visit.claim, visit.why) for visit in judged(db, school)]


def add_officer(db: psycopg.Connection, school: str, role: str = "school", officer: str = "o1") -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    reversals.add_officer(
        db, school, officer, name="Д. Омарова", role=role, public_key=key.public_key().public_bytes_raw(), now=NOW
    )
    return key


def decide(
    db: psycopg.Connection, kiosk: Kiosk, key: Ed25519PrivateKey, claim: Claim, *, seq: int = 1, officer: str = "o1",
    programme: str = "",
) -> None:  # fmt: skip
    decision = Reversal(
        school=kiosk.school, device=kiosk.device, epoch=kiosk.epoch, seq=seq, claim=claim, reason="she is new",
        officer=officer, decided_at="2026-11-30T09:00:00Z", programme=programme,
    )  # fmt: skip
    body, signature = sign_reversal(decision, key)
    reversals.store_reversal(db, body, signature, key.public_key().public_bytes_raw(), NOW)


@pytest.fixture
def newcomer(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> Kiosk:
    """A kiosk whose only entry is held, since the roster does not know the child."""
    kiosk.record(paid(lunch, "newcomer"))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [(Claim.HELD, ClaimReason.UNKNOWN_PERSON)]
    return kiosk


def test_the_newest_decision_counts(db: psycopg.Connection, newcomer: Kiosk) -> None:
    key = add_officer(db, newcomer.school)
    decide(db, newcomer, key, Claim.CLAIMABLE)
    assert verdicts(db, newcomer.school) == [(Claim.CLAIMABLE, ClaimReason.REVERSED)]
    decide(db, newcomer, key, Claim.NONE)
    decide(db, newcomer, key, Claim.NONE)  # handed in twice, stored once
    assert verdicts(db, newcomer.school) == [(Claim.NONE, ClaimReason.REVERSED)]
    assert db.execute("SELECT max(number) FROM reversal WHERE school = %s", (newcomer.school,)).fetchone() == (2,)


def test_a_meal_that_no_sheet_would_bill_is_not_decided_to_be_billed(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk
) -> None:
    key = add_officer(db, lunch)
    rosters.apply_changes(db, lunch, [Person(id="n1", given_name="Ә", family_name="Қ")])
    kiosk.record(paid(lunch, "n1", claim=Claim.NONE, programme=""), paid(lunch, "n1", 1, programme="kitchen"))
    accepted(kiosk.send_all())
    settle_days(db, lunch, now=NOW)
    with pytest.raises(NotUnderstood, match="nobody pays for this meal by the roster: say who does with --programme"):
        decide(db, kiosk, key, Claim.CLAIMABLE)
    with pytest.raises(NotUnderstood, match="'kitchen' is no programme of school"):
        decide(db, kiosk, key, Claim.CLAIMABLE, seq=2)
    with pytest.raises(NotUnderstood, match="'stat' is no programme of school"):
        decide(db, kiosk, key, Claim.HELD, programme="stat")
    decide(db, kiosk, key, Claim.NONE)
    decide(db, kiosk, key, Claim.CLAIMABLE, programme="state")
    assert [(visit.claim, visit.programme) for visit in judged(db, lunch)] == [
        (Claim.CLAIMABLE, "state"), (Claim.HELD, "kitchen"),
    ]  # fmt: skip


def test_who_may_not_decide(db: psycopg.Connection, newcomer: Kiosk) -> None:
    with pytest.raises(NotUnderstood, match="no officer's"):
        decide(db, newcomer, Ed25519PrivateKey.generate(), Claim.CLAIMABLE)
    for role in ("caterer", "auditor"):
        with pytest.raises(NotUnderstood, match="decides about no claim"):
            decide(db, newcomer, add_officer(db, newcomer.school, role, role), Claim.CLAIMABLE, officer=role)
    key = add_officer(db, newcomer.school)
    with pytest.raises(NotUnderstood, match="names the officer o2"):
        decide(db, newcomer, key, Claim.CLAIMABLE, officer="o2")
    with pytest.raises(NotUnderstood, match="no judged entry"):
        decide(db, newcomer, key, Claim.CLAIMABLE, seq=2)
    reversals.retire_officer(db, newcomer.school, "o1", NOW)
    with pytest.raises(NotUnderstood, match="no officer's"):
        decide(db, newcomer, key, Claim.CLAIMABLE)
    assert verdicts(db, newcomer.school) == [(Claim.HELD, ClaimReason.UNKNOWN_PERSON)]


def test_a_retired_officers_decisions_stay(db: psycopg.Connection, newcomer: Kiosk) -> None:
    decide(db, newcomer, add_officer(db, newcomer.school), Claim.CLAIMABLE)
    reversals.retire_officer(db, newcomer.school, "o1", NOW)
    assert verdicts(db, newcomer.school) == [(Claim.CLAIMABLE, ClaimReason.REVERSED)]


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE reversal SET seq = 2 WHERE school = %s",
        "UPDATE reversal SET signature = overlay(signature placing '\\x00' from 1) WHERE school = %s",
        "UPDATE reversal SET body = body || '\\x20' WHERE school = %s",
        "UPDATE officer SET public_key = sha256('') WHERE school = %s",
    ],
)
def test_who_can_write_the_tables_cannot_decide(db: psycopg.Connection, newcomer: Kiosk, forgery: str) -> None:
    newcomer.record(paid(newcomer.school, "another", 2))
    accepted(newcomer.send(2, 2))
    decide(db, newcomer, add_officer(db, newcomer.school), Claim.CLAIMABLE)
    db.execute(forgery.encode(), (newcomer.school,))
    assert verdicts(db, newcomer.school) == [(Claim.HELD, ClaimReason.UNKNOWN_PERSON)] * 2
    notices = build_report(db, newcomer.school, DAY, DAY, now=NOW).notices
    assert [notice.count for notice in notices if notice.kind == "reversal without an officer's signature"] == [1]


def test_on_the_command_line(db: psycopg.Connection, server: LedgerServer, newcomer: Kiosk, tmp_path: Path) -> None:
    key, place = tmp_path / "omarova.pem", ["--database-url", server.database_url]

    def run(*words: str) -> str:
        done = CliRunner().invoke(build("ledger"), ["ledger", *words, *place])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    person = ["--school", newcomer.school, "--name", "Д. Омарова", "--role", "school", "--new-key", str(key)]
    assert "keep no copy" in run("officer", "add", "omarova", *person)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "omarova" in run("officer", "list", "--school", newcomer.school)
    entry = f"{newcomer.device}/{newcomer.epoch}/1"
    run("reverse", entry, "--claim", "claimable", "--reason", "she is new", "--key", str(key))
    assert "2026-11-20" in run("settle", "--school", newcomer.school)
    (visit,) = read_visits(db, newcomer.school, DAY, DAY)
    assert (visit.claim, visit.why) == (Claim.CLAIMABLE, ClaimReason.REVERSED)
    run("officer", "retire", "omarova", "--school", newcomer.school)
    tables = db.execute("SELECT body, signature, public_key FROM reversal WHERE school = %s", (newcomer.school,))
    private_key = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private_key, Ed25519PrivateKey)
    secret = private_key.private_bytes_raw()
    assert not any(secret in bytes(column) for row in tables for column in row)
