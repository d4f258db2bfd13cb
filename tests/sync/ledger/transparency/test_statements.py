"""Statements of a real ledger's days: numbered, never edited, and proved to whoever has the slip."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.event import Claim, ClockQuality, Void
from sync.contract.roster import MealSession, Person, Record
from sync.ledger.judgement.day_publisher import list_due_schools, publish_days
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.registry import rosters
from sync.ledger.server import LedgerOptions, LedgerServer
from sync.ledger.transparency import logs, statements
from sync.ledger.transparency.cosigner import cosign_log
from sync.proof.leaves import LogName
from sync.proof.roster_digest import digest_judged, encode_judged
from sync.proof.signer import LogSigner
from sync.proof.statements import MealRow, make_row, read_row, state_day
from sync.proof.verify_meal import SlipKey, decode_base45, verify_meal
from tests.sync.ledger.kiosk import Kiosk, accepted, entry
from tests.sync.ledger.transparency.test_witness import RunningWitness

DAY = "2026-11-20"
NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
SIGNER = LogSigner("canteen.example", Ed25519PrivateKey.from_private_bytes(b"log".ljust(32, b".")))


def state(db: psycopg.Connection, school: str, now: datetime = NOW) -> tuple[str, ...]:
    settle_days(db, school, now=now)
    return statements.state_days(db, school, now=now)


def test_a_day_is_stated_once_and_again_when_its_visits_change(db: psycopg.Connection, kiosk: Kiosk) -> None:
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(5)))
    accepted(kiosk.send_all())
    assert statements.state_days(db, kiosk.school, now=NOW) == ()  # it waits to be judged
    assert state(db, kiosk.school) == (DAY,)
    assert state(db, kiosk.school) == ()
    [first] = statements.read_statements(db, kiosk.school, DAY, DAY)
    visits = read_visits(db, kiosk.school, date(2026, 11, 20), date(2026, 11, 20))
    bodies = [make_row(visit).encode() for visit in visits]
    assert read_bodies(db, kiosk.school, 1) == bodies
    kiosk.record(
        Void(
            school=kiosk.school, at=f"{DAY}T05:00:00.000Z", boot="b", mono_ms=9, clock=ClockQuality.SYNCHRONISED,
            void_epoch=kiosk.epoch, void_seq=2, person="p1", operator="anna", note="wrong child",
        )
    )  # fmt: skip
    accepted(kiosk.send(6, 6))
    assert state(db, kiosk.school, NOW + timedelta(hours=1)) == (DAY,)
    again, second = statements.read_statements(db, kiosk.school, DAY, DAY)
    assert again == first
    assert (second.statement.number, second.statement.rows) == (2, 5)
    assert read_bodies(db, kiosk.school, 1) == bodies
    [voided] = [read_row(body) for body in read_bodies(db, kiosk.school, 2) if body not in bodies]
    assert (voided.person, voided.closing, voided.claim) == ("p1", "void", "none")
    for number, entry_of in ((1, again), (2, second)):
        hashes = statements.read_row_hashes(db, kiosk.school, DAY, number)
        assert state_day(DAY, number, NOW, hashes).root == entry_of.statement.root


def read_bodies(db: psycopg.Connection, school: str, number: int) -> list[bytes]:
    rows = db.execute(
        "SELECT body FROM statement_row WHERE school = %s AND day = %s AND number = %s ORDER BY place",
        (school, DAY, number),
    )
    return [row[0] for row in rows]


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[RunningWitness]:
    running = RunningWitness(tmp_path)
    yield running
    running.close()


def test_a_meal_is_proved_from_the_tables_and_an_erased_one_is_not(
    db: psycopg.Connection, kiosk: Kiosk, witness: RunningWitness
) -> None:
    school, claims = kiosk.school, LogName.CLAIMS
    log_key, witness_key = SIGNER.log_key(school, claims), witness.witness.key
    slip = SlipKey(str(log_key), 1), SlipKey(str(witness_key), 4)
    facts = [entry(f"p{number}", school=school, minute=number, claim=Claim.CLAIMABLE) for number in range(9)]
    kiosk.record(*facts, entry("p3", school=school, minute=59))
    accepted(kiosk.send_all())
    with db.transaction(force_rollback=True):  # so that the running checkpointer's own key stays out of it
        assert state(db, school) == (DAY,)
        assert statements.prove_meals(db, school, "p3", [DAY], log_key, witness_key) == {}
        logs.seal_log(db, school, claims, SIGNER, NOW)
        assert statements.prove_meals(db, school, "p3", [DAY], log_key, witness_key) == {}
        cosign_log(db, school, claims, witness.peer)
        proofs = statements.prove_meals(db, school, "p3", [DAY, "2026-11-19"], log_key, witness_key)
        assert sorted(proofs) == [(kiosk.device, kiosk.epoch, "10"), (kiosk.device, kiosk.epoch, "4")]
        for (_, _, seq), proof in proofs.items():
            stated = verify_meal(decode_base45(proof.text), *slip)
            assert (stated["person"], stated["day"], stated["seq"], stated["school"]) == ("p3", DAY, seq, school)
            assert (stated["number"], stated["stated_at"]) == ("1", "2026-11-21T05:00:00.000Z")
        before = statements.prove_meals(db, school, "p4", [DAY], log_key, witness_key)
        assert statements.erase_person(db, school, "p3") == 2
        assert statements.prove_meals(db, school, "p3", [DAY], log_key, witness_key) == {}
        assert statements.prove_meals(db, school, "p4", [DAY], log_key, witness_key) == before


def test_a_row_reads_back_and_nothing_else_does() -> None:
    row = MealRow("p", "", "card", "k", "aa", "7", "", "", "void", "ұлттық", "none", "voided")
    assert read_row(row.encode()) == row
    for wrong in (b"", row.encode()[:-1], row.encode() + b"\0\0", b"\0" + row.encode()):
        with pytest.raises(ValueError):
            read_row(wrong)
    with pytest.raises(ValueError, match="field of"):
        MealRow("p" * 70_000, "", "", "", "", "", "", "", "", "", "", "").encode()


def test_the_running_ledger_judges_and_states_by_itself(
    db: psycopg.Connection, server: LedgerServer, kiosk: Kiosk, open_folder: Path
) -> None:
    kiosk.record(entry("p1", school=kiosk.school))
    accepted(kiosk.send_all())
    options = LedgerOptions(folder=open_folder / "ledger", port=0, settle_interval_s=0.2)
    with LedgerServer(server.database_url, options):
        for _ in range(600):
            if statements.read_statements(db, kiosk.school, DAY, DAY):
                break
            time.sleep(0.05)
    assert len(statements.read_statements(db, kiosk.school, DAY, DAY)) == 1


def test_each_roster_version_is_logged_without_names(db: psycopg.Connection, school: str) -> None:
    people: list[Record] = [
        Person(id="p1", given_name="Айгерім", family_name="Омар", grade="01"),
        MealSession(id="lunch", name="Lunch", start="12:00", end="14:00"),
    ]
    rosters.apply_changes(db, school, people, in_force=datetime(2026, 9, 1, tzinfo=UTC))
    rosters.apply_changes(db, school, people)  # nothing new
    renamed: list[Record] = [Person(id="p1", given_name="Айша", family_name="Омар", grade="01")]
    rosters.apply_changes(db, school, renamed, in_force=datetime(2026, 9, 2, 1, 2, 3, 4, tzinfo=UTC))
    leaves = [row[0] for row in db.execute("SELECT leaf FROM log_leaf WHERE school = %s ORDER BY entry", (school,))]
    digest = digest_judged(people)
    assert digest == digest_judged([renamed[0], people[1]])
    assert leaves == [
        b"canteen roster v2\n%s\n1\n2026-09-01T00:00:00.000000+00:00\n%s\n" % (school.encode(), digest.hex().encode()),
        b"canteen roster v2\n%s\n2\n2026-09-02T01:02:03.000004+00:00\n%s\n" % (school.encode(), digest.hex().encode()),
    ]
    assert "Омар" not in encode_judged(people).decode()
    assert digest != digest_judged([Person(id="p1", given_name="", family_name="", grade="02"), people[1]])


def test_a_day_that_a_report_has_judged_is_stated_by_the_publisher(db: psycopg.Connection, kiosk: Kiosk) -> None:
    kiosk.record(entry("p1", school=kiosk.school, day=DAY))
    accepted(kiosk.send_all())
    settle_days(db, kiosk.school, now=NOW)
    publish_days(db, lambda: NOW, lambda: False)
    assert len(statements.read_statements(db, kiosk.school, DAY, DAY)) == 1
    assert kiosk.school not in list_due_schools(db)
