"""An exported month of a real ledger is proved from its files alone, and fails at whichever line was touched."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from edge_agent.cli.ledger import app
from sync.audit.archive import AuditFailure, encode_line
from sync.audit.audit import AuditReport, TrustedKeys, audit_files
from sync.contract.contests import ContestAnswer, ContestOutcome, sign_answer
from sync.contract.event import Boot, Claim, ClockQuality, Exit, Manual, Method, Void
from sync.contract.reversals import Reversal, sign_reversal
from sync.contract.roster import Change, Entitlement, MealSession, Person
from sync.ledger import keys
from sync.ledger.billing import sheet_work, terms
from sync.ledger.billing.sheet_store import read_version
from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.judgement import contests, reversals
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.registry import rosters
from sync.ledger.server import LedgerServer
from sync.ledger.transparency import logs
from sync.ledger.transparency.archive_export import export_sheet
from sync.ledger.transparency.cosigner import cosign_log
from sync.ledger.transparency.statements import prove_meals, state_days
from sync.money.calendars import Calendar
from sync.money.sheet import SheetSubject
from sync.money.tariffs import TariffBook
from sync.proof.leaves import LogName, VersionedKind, version_leaf
from sync.proof.signer import LogSigner
from sync.proof.tree import HashTree, hash_leaf
from sync.proof.verify_meal import SlipKey, decode_base45, verify_meal
from tests.sync.ledger.billing.authority import Authority
from tests.sync.ledger.billing.test_sheets import CATERER, SCHOOL, Party
from tests.sync.ledger.kiosk import Kiosk, accepted, carry, entry
from tests.sync.ledger.transparency.test_witness import RunningWitness

MONTH = "2025-11"
NOW = datetime(2025, 12, 2, 9, tzinfo=UTC)
SCHOOL_YEAR = datetime(2025, 9, 1, tzinfo=UTC)
ROSTER: list[Change] = [
    *(Person(id=f"p{number}", given_name="Айгерім", family_name="Омар", grade="05") for number in range(6)),
    *(Entitlement(id=f"e{number}", person=f"p{number}", programme="state", sessions=("lunch",)) for number in range(5)),
    MealSession(id="lunch", name="Lunch", start="08:00", end="14:00"),
]


@dataclass(frozen=True, slots=True)
class ExportedMonth:
    """An export as its lines, with the keys that an auditor has on paper."""

    lines: list[bytes]
    trusted: TrustedKeys

    def audit(self, lines: list[bytes] | None = None) -> AuditReport:
        content = b"".join(self.lines if lines is None else lines)
        return audit_files({"export.ndjson": content}, self.trusted, ZoneInfo)


@pytest.fixture
def signer(server: LedgerServer, open_folder: Path) -> LogSigner:
    return keys.load_or_create_signer(open_folder / "ledger" / "log.key", "canteen.local")


@pytest.fixture
def witness(tmp_path: Path, signer: LogSigner) -> Iterator[RunningWitness]:
    running = RunningWitness(tmp_path, signer.ledger_key)
    yield running
    running.close()


def meal(kiosk: Kiosk, person: str, day: int, minute: int = 0, **more: object) -> Any:
    fields: dict[str, object] = {"claim": Claim.CLAIMABLE, "programme": "state", "roster": 1} | more
    return entry(person, school=kiosk.school, day=f"{MONTH}-{day:02}", minute=minute, **fields)


@pytest.fixture
def exported(
    db: psycopg.Connection, enrolled: Callable[[], Kiosk], signer: LogSigner, witness: RunningWitness,
    open_folder: Path, calendar: Calendar, tariffs: TariffBook,
) -> ExportedMonth:  # fmt: skip
    """A month with everything in it: voids, exits, a wrong clock, a carried event, decisions, contests, late events."""
    kiosk, other = enrolled(), enrolled()
    school, subject = kiosk.school, SheetSubject(kiosk.school, "state", MONTH)
    rosters.apply_changes(db, school, ROSTER, in_force=SCHOOL_YEAR)
    terms.import_calendar(db, school, calendar, by="city", now=NOW)
    terms.import_tariffs(db, school, tariffs, by="city", now=NOW)
    base = {"school": school, "boot": "b", "mono_ms": 1, "clock": ClockQuality.SYNCHRONISED}
    kiosk.record(
        Boot(**base | {"at": f"{MONTH}-04T03:00:00.000Z", "version": "1"}),  # type: ignore[arg-type]
        *(meal(kiosk, f"p{number}", 4, number) for number in range(6)),
        Exit(**base | {"at": f"{MONTH}-04T04:30:00.000Z", "person": "p0", "session": "lunch",
                       "entry_epoch": kiosk.epoch, "entry_seq": 2,
                       "service_date": f"{MONTH}-04"}),  # type: ignore[arg-type]
        Void(**base | {"at": f"{MONTH}-04T04:40:00.000Z", "void_epoch": kiosk.epoch, "void_seq": 3, "person": "p1",
                       "operator": "anna", "note": "wrong child"}),  # type: ignore[arg-type]
        meal(kiosk, "p2", 5, 1), meal(kiosk, "p2", 5, 40),
        meal(kiosk, "p3", 5, 2, clock=ClockQuality.UNSYNCHRONISED, at=f"{MONTH}-05T01:00:00.000Z", boot="c", mono_ms=0),
        meal(kiosk, "stranger", 5, 3),
    )  # fmt: skip
    accepted(kiosk.send(1, 5))
    accepted(kiosk.send(4, len(kiosk.payloads)))
    other.record(
        Boot(**base | {"at": f"{MONTH}-05T03:55:00.000Z", "version": "1"}),  # type: ignore[arg-type]
        Manual(**base | {"at": f"{MONTH}-05T05:00:00.000Z", "person": "p4", "session": "lunch", "operator": "anna",
                         "service_date": f"{MONTH}-05", "method": Method.MANUAL, "claim": Claim.CLAIMABLE}),  # type: ignore[arg-type]
    )  # fmt: skip
    accepted(other.send_all())
    # The kiosk's journal is repaired: what was not delivered travels in the next epoch.
    kiosk.record(meal(kiosk, "p4", 6, 5))
    successor = kiosk.twin()
    successor.parent, successor.epoch, successor.payloads = bytes(kiosk.hashes[-2]), type(kiosk.epoch)("0" * 16), []
    successor.record(carry(kiosk, len(kiosk.payloads)), meal(kiosk, "p0", 6, 9))
    accepted(successor.send_all())
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    reversals.add_officer(db, school, "dana", name="Дана", role="school", public_key=public, now=NOW)
    settle_days(db, school, now=NOW)
    state_days(db, school, now=NOW)
    visits = read_visits(db, school, date(2025, 11, 1), date(2025, 11, 30))
    of_person = {(visit.person, visit.day[-2:]): visit.id for visit in visits}
    stranger = of_person["stranger", "05"]
    reversals.store_reversal(db, *sign_reversal(Reversal(
        school=school, device=stranger.device, epoch=stranger.epoch, seq=stranger.seq, claim=Claim.NONE, reason="нет",
        officer="dana", decided_at="2025-12-01T09:00:00Z",
    ), key), public, NOW)  # fmt: skip
    for person, outcome in (("p0", ContestOutcome.UPHELD), ("p2", ContestOutcome.DECLINED)):
        name = contests.contest_entry(db, school, person, of_person[person, "06" if person != "p2" else "05"], "", NOW)
        answer = ContestAnswer(school=school, contest=name, outcome=outcome, reason="so", officer="dana",
                               decided_at="2025-12-01T09:00:00Z")  # fmt: skip
        contests.answer_contest(db, *sign_answer(answer, key), public, NOW)
    caterer, principal = Party(db, school, CATERER), Party(db, school, SCHOOL, base64.encodebytes)
    sheet_work.propose(db, subject, by="caterer", now=NOW)
    for party in (caterer, principal):
        party.hand_in(subject, read_version(db, subject).body)
    sheet_work.close(db, subject, by="city", now=NOW)
    # After the closing a family objects, and an event comes late: both are for a correction sheet.
    contests.contest_entry(db, school, "p4", of_person["p4", "06"], "", NOW)
    other.record(meal(other, "p3", 7, 7))
    accepted(other.send(3, 3))
    settle_days(db, school, now=NOW)
    state_days(db, school, now=NOW)
    for log in LogName:
        while logs.seal_log(db, school, log, signer, NOW):
            pass
        cosign_log(db, school, log, witness.peer)
    receipts_key = keys.load_or_create(open_folder / "ledger" / "receipt.key").public_key().public_bytes_raw()
    lines = export_sheet(db, subject, signer, receipts_key=receipts_key, witness_key=witness.witness.key, now=NOW)
    return ExportedMonth([encode_line(line) for line in lines], TrustedKeys(signer.ledger_key, witness.witness.key))


def test_a_closed_sheet_is_proved_while_another_programmes_is_open(
    db: psycopg.Connection, kiosk: Kiosk, signer: LogSigner, open_folder: Path, calendar: Calendar, tariffs: TariffBook
) -> None:
    school, subject = kiosk.school, SheetSubject(kiosk.school, "state", MONTH)
    rosters.apply_changes(db, school, [*ROSTER, Entitlement(id="e5", person="p5", programme="paid")])
    terms.import_calendar(db, school, calendar, by="city", now=NOW)
    terms.import_tariffs(db, school, tariffs, by="city", now=NOW)
    kiosk.record(meal(kiosk, "p0", 4), meal(kiosk, "p5", 4, 1))
    accepted(kiosk.send_all())
    sheet_work.propose(db, subject, by="caterer", now=NOW)
    for side in (CATERER, SCHOOL):
        Party(db, school, side).hand_in(subject, read_version(db, subject).body)
    sheet_work.close(db, subject, by="city", now=NOW)
    assert db.execute("SELECT count(*) FROM closed_month WHERE school = %s", (school,)).fetchone() == (0,)
    receipts_key = keys.load_or_create(open_folder / "ledger" / "receipt.key").public_key().public_bytes_raw()
    exported = export_sheet(db, subject, signer, receipts_key=receipts_key, witness_key=None, now=NOW)
    month = ExportedMonth([encode_line(line) for line in exported], TrustedKeys(signer.ledger_key, None))
    assert "signed by caterer (ed25519), school (ed25519), closed" in month.audit().steps[-1]
    without = [line for line in month.lines if json.loads(line)["line"] != "closed_month"]
    with pytest.raises(AuditFailure, match="the roster at its closing is missing"):
        month.audit(without)


def test_an_erasure_breaks_no_proof_of_the_closed_sheet_nor_of_other_children(
    exported: ExportedMonth, db: psycopg.Connection, signer: LogSigner, witness: RunningWitness, open_folder: Path
) -> None:
    school = json.loads(exported.lines[0])["school"]
    subject, log_key = SheetSubject(school, "state", MONTH), signer.log_key(school, LogName.CLAIMS)
    other = prove_meals(db, school, "p1", [f"{MONTH}-04"], log_key, witness.witness.key)
    erase_from_ledger(db, school, "p0", NOW)
    assert prove_meals(db, school, "p0", [f"{MONTH}-04"], log_key, witness.witness.key) == {}
    assert prove_meals(db, school, "p1", [f"{MONTH}-04"], log_key, witness.witness.key) == other != {}
    settle_days(db, school, now=NOW)
    state_days(db, school, now=NOW)
    for log in LogName:
        while logs.seal_log(db, school, log, signer, NOW):
            pass
        cosign_log(db, school, log, witness.peer)
    receipts_key = keys.load_or_create(open_folder / "ledger" / "receipt.key").public_key().public_bytes_raw()
    lines = export_sheet(db, subject, signer, receipts_key=receipts_key, witness_key=witness.witness.key, now=NOW)
    report = exported.audit([encode_line(line) for line in lines])
    assert any("rows of statements said of people who were erased" in part for part in report.unproved)
    for meal_proof in prove_meals(db, school, "p1", [f"{MONTH}-04"], log_key, witness.witness.key).values():
        slip = SlipKey(str(log_key), 1), SlipKey(str(witness.witness.key), 4)
        assert verify_meal(decode_base45(meal_proof.text), *slip)["person"] == "p1"


def kinds(lines: list[bytes]) -> set[str]:
    return {json.loads(line)["line"] for line in lines}


def changed_texts(line: bytes) -> Iterator[bytes]:
    """Yields the line with one value changed, for each of its values."""
    record = json.loads(line)
    for name, value in record.items():
        if name == "line":
            continue
        match value:
            case str() if len(value) > 8:
                half = len(value) // 2
                yield (
                    json.dumps(
                        record | {name: value[:half] + ("0" if value[half] != "0" else "1") + value[half + 1 :]}
                    ).encode()
                    + b"\n"
                )
            case str():
                yield json.dumps(record | {name: value + "A"}).encode() + b"\n"
            case int():
                yield json.dumps(record | {name: value + 1}).encode() + b"\n"
            case _:
                pass


# What an export says without proof: the report names it, or it decides nothing.
UNPROVED_VALUES = {
    ("subject", "exported_at"), ("subject", "witness_key"), ("subject", "ledger_key"), ("batch", "received_at"),
    ("batch", "content_encoding"), ("contest", "contest"), ("signer", "name"), ("act", "signer"), ("act", "scheme"),
}  # fmt: skip


CHANGED_LINES_MAX = 3  # of each kind; every line is left out once


def test_a_month_is_proved_and_every_touched_line_is_found(exported: ExportedMonth) -> None:
    report = exported.audit()
    assert "signed by caterer (ed25519), school (ed25519), closed" in "\n".join(report.steps)
    assert report.steps[-1].endswith("what came later is for a correction sheet")
    assert [text.split(":")[0] for text in report.unproved] == ["that these keys are the kiosks'"]
    assert kinds(exported.lines) >= {
        "subject", "device", "batch", "receipt", "leaf", "checkpoint", "roster_version", "roster_record", "officer",
        "reversal", "contest", "calendar", "tariff", "statement", "row", "sheet", "act", "signer",
    }  # fmt: skip
    text = b"".join(exported.lines).decode()
    for secret in ("Омар", "Айгерім"):
        assert secret not in text
    unnoticed, changed_kinds = [], Counter[str]()
    for number, line in enumerate(exported.lines):
        without = exported.lines[:number] + exported.lines[number + 1 :]
        if not fails(exported, without):
            unnoticed.append(("removed", line))
        kind = json.loads(line)["line"]
        changed_kinds[kind] += 1
        for changed in changed_texts(line) if changed_kinds[kind] <= CHANGED_LINES_MAX else ():
            before, after = json.loads(line), json.loads(changed)
            [name] = [name for name in before if before[name] != after[name]]
            if (before["line"], name) in UNPROVED_VALUES:
                continue
            if not fails(exported, [*exported.lines[:number], changed, *exported.lines[number + 1 :]]):
                unnoticed.append((name, line))
    removable = {"contest", "receipt"}  # a declined contest changes nothing; neither does a second receipt of an event
    assert [(what, line[:300]) for what, line in unnoticed if json.loads(line)["line"] not in removable] == []


def fails(exported: ExportedMonth, lines: list[bytes]) -> bool:
    try:
        exported.audit(lines)
    except AuditFailure:
        return True
    return False


def check_that_the_first_line_is_named(exported: ExportedMonth) -> None:
    for kind, reason in (
        ("batch", "not signed by any key"), ("receipt", "signature"), ("leaf", "signed root"), ("row", "hash"),
        ("sheet", "canonical form"), ("reversal", "signature"),
    ):  # fmt: skip
        number = next(number for number, line in enumerate(exported.lines) if json.loads(line)["line"] == kind)
        record = json.loads(exported.lines[number])
        name = "leaf" if kind == "leaf" else "signature" if kind == "reversal" else "body"
        middle = len(record[name]) // 2
        letter = "0" if record[name][middle] != "0" else "1"
        record[name] = record[name][:middle] + letter + record[name][middle + 1 :]
        lines = [*exported.lines[:number], json.dumps(record).encode() + b"\n", *exported.lines[number + 1 :]]
        with pytest.raises(AuditFailure) as failure:
            exported.audit(lines)
        assert reason in str(failure.value) or kind in ("receipt", "sheet"), str(failure.value)
        assert kind == "leaf" or str(failure.value).startswith(f"export.ndjson line {number + 1}:")


def check_added_and_doubled_lines(exported: ExportedMonth) -> None:
    for kind in sorted(kinds(exported.lines)):
        line = next(line for line in exported.lines if json.loads(line)["line"] == kind)
        assert fails(exported, [*exported.lines, line]), kind
        assert fails(exported, [*exported.lines, json.dumps(json.loads(line)).encode() + b"\n"]), kind
    for wrong in (b"\n", b"{}\n", b'{"line":"other"}\n', b"\xff\n", b'{"line":"device","device":"k"}\n'):
        with pytest.raises(AuditFailure, match="line"):
            exported.audit([*exported.lines[:3], wrong, *exported.lines[3:]])


def check_signers(exported: ExportedMonth) -> None:
    """One party that has signed for both sides has agreed alone."""
    lines = [json.loads(line) for line in exported.lines]
    caterer = next(line for line in lines if line["line"] == "signer" and line["side"] == "caterer")
    one = [line | {"material": caterer["material"]} if line["line"] == "signer" else line for line in lines]
    acts = {line["side"]: line["signature"] for line in lines if line["line"] == "act" and line["kind"] == "signature"}
    for line in one:
        if line["line"] == "act" and line["kind"] == "signature":
            line["signature"] = acts["caterer"]
    with pytest.raises(AuditFailure, match="that of the caterer: one party has agreed alone"):
        exported.audit([json.dumps(line).encode() + b"\n" for line in one])


def check_rosters_time(exported: ExportedMonth) -> None:
    """When a roster came into force is under its leaf: a move of a second is found."""
    number = next(number for number, line in enumerate(exported.lines) if b'"roster_version"' in line)
    record = json.loads(exported.lines[number])
    assert record["in_force"] == "2025-09-01T00:00:00Z"
    for moved in ("2025-09-01T00:00:01Z", "2025-08-31T23:59:59.999999Z"):
        changed = json.dumps(record | {"in_force": moved}).encode() + b"\n"
        with pytest.raises(AuditFailure, match=f"line {number + 1}: the log has no such version"):
            exported.audit([*exported.lines[:number], changed, *exported.lines[number + 1 :]])


def test_a_rosters_leaf_without_its_time_holds_and_the_report_says_so(
    exported: ExportedMonth, signer: LogSigner
) -> None:
    records = [json.loads(line) for line in exported.lines]
    school = records[0]["school"]
    records[0]["witness_key"] = ""
    leaves = [record for record in records if record["line"] == "leaf" and record["log"] == "events"]
    dated = next(leaf for leaf in leaves if base64.b64decode(leaf["leaf"]).startswith(b"canteen roster v2\n"))
    _, _, number, since, digest, _ = base64.b64decode(dated["leaf"]).decode().split("\n")
    assert since == "2025-09-01T00:00:00.000000+00:00"
    former = version_leaf(VersionedKind.ROSTER, school, int(number), bytes.fromhex(digest))
    dated["leaf"] = base64.b64encode(former).decode()
    root = HashTree(hash_leaf(base64.b64decode(leaf["leaf"])) for leaf in leaves).root()
    note = str(signer.sign(school, LogName.EVENTS, len(leaves), root))
    for record in records:
        if record["line"] == "checkpoint" and record["log"] == "events":
            record["note"] = note
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    report = audit_files({"e": lines}, TrustedKeys(exported.trusted.ledger), ZoneInfo)
    assert "from when on each of these rosters was in force: 1 2025-09-01 00:00" in report.unproved


def check_erased_rows(exported: ExportedMonth) -> None:
    """A person who was erased leaves hashes; the report says so, and nothing else may hide behind that."""
    rows = [number for number, line in enumerate(exported.lines) if json.loads(line)["line"] == "row"]
    lines = list(exported.lines)
    for number in rows[:2]:
        lines[number] = json.dumps(json.loads(lines[number]) | {"body": "", "salt": ""}).encode() + b"\n"
    assert "2 rows of statements" in "\n".join(exported.audit(lines).unproved)


def check_other_keys(exported: ExportedMonth) -> None:
    other = LogSigner("canteen.local", Ed25519PrivateKey.generate()).ledger_key
    with pytest.raises(AuditFailure, match="signatures of"):
        audit_files({"e": b"".join(exported.lines)}, TrustedKeys(other, exported.trusted.witness), ZoneInfo)
    own_word = audit_files({"e": b"".join(exported.lines)}, TrustedKeys(), ZoneInfo)
    assert len(own_word.unproved) == 3


def sign_by_cms(exported: ExportedMonth, authority: Authority) -> list[bytes]:
    """Returns the export as if the caterer had signed by a certificate, handed in today."""
    lines = [json.loads(line) for line in exported.lines]
    sheet = next(line for line in lines if line["line"] == "sheet")
    signature = authority.sign("caterer", base64.b64decode(sheet["body"]))
    today = datetime.now(UTC).isoformat()
    changed = {
        "scheme": "cms", "signer": "Caterer", "signature": base64.b64encode(signature).decode(), "at": today
    }  # fmt: skip
    for line in lines:
        if line["line"] == "act" and line["kind"] == "signature" and line["side"] == "caterer":
            line.update(changed)
    lines.append({"line": "signer", "side": "caterer", "scheme": "cms", "material": "OU=BIN1", "name": "Caterer"})
    return [json.dumps(line).encode() + b"\n" for line in lines]


def test_cms_signatures_are_checked_against_the_authority(exported: ExportedMonth, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    Authority(tmp_path / "other")
    authority.issue("caterer", "/CN=Асхана/OU=BIN1")
    lines = sign_by_cms(exported, authority)
    path, certificates, wrong = tmp_path / "all.ndjson", tmp_path / "ca" / "ca.pem", tmp_path / "other" / "ca.pem"

    def verify(changed: list[bytes], *more: str) -> str:
        path.write_bytes(b"".join(changed))
        return CliRunner().invoke(app, ["verify", str(path), *more]).output

    assert "signed by caterer (cms, not checked), school (ed25519)" in verify(lines)
    assert "the signature of Caterer for the caterer: give the authority's certificates" in verify(lines)
    assert "signed by caterer (cms), school (ed25519)" in verify(lines, "--authority", str(certificates))
    number = next(number for number, line in enumerate(lines) if b'"Caterer"' in line)
    place = f"DOES NOT HOLD: all.ndjson line {number + 1}: the signature of Caterer for the caterer: "
    assert f"{place}openssl does not verify" in verify(lines, "--authority", str(wrong))
    late = [line.replace(b'"at": "2', b'"at": "3') if number == at else line for at, line in enumerate(lines)]
    assert f"{place}openssl does not verify" in verify(late, "--authority", str(certificates))  # it had expired by then
    unregistered = [line.replace(b"OU=BIN1", b"OU=BIN2") for line in lines]
    assert f"{place}the certificate of" in verify(unregistered, "--authority", str(certificates))
    assert verify(lines, "--authority", str(tmp_path / "missing")) == ""


def test_lines_are_named_and_added_ones_and_other_keys_found(exported: ExportedMonth) -> None:
    check_that_the_first_line_is_named(exported)
    check_added_and_doubled_lines(exported)
    check_signers(exported)
    check_rosters_time(exported)
    check_erased_rows(exported)
    check_other_keys(exported)


def test_the_commands_export_and_prove_and_name_the_line(
    exported: ExportedMonth, tmp_path: Path, server: LedgerServer, open_folder: Path
) -> None:
    path, runner = tmp_path / "all.ndjson", CliRunner()
    school = json.loads(exported.lines[0])["school"]
    to = tmp_path / "files"
    database = ["--data", str(open_folder / "ledger"), "--database-url", server.database_url]
    written = runner.invoke(app, ["export", school, "state", MONTH, "--to", str(to), *database])
    assert written.exit_code == 0, written.output
    proved = runner.invoke(app, ["verify", *map(str, sorted(to.iterdir()))])
    assert proved.exit_code == 0, proved.output
    assert "not proved by these files" in proved.output
    path.write_bytes(b"".join(exported.lines))
    good = runner.invoke(app, ["verify", str(path), "--ledger-key", str(exported.trusted.ledger), "--json"])
    assert good.exit_code == 0, good.output
    assert json.loads(good.output)["holds"] is True
    path.write_bytes(b"".join(exported.lines[:-1]))
    bad = runner.invoke(app, ["verify", str(path)])
    assert bad.exit_code != 0
    assert "DOES NOT HOLD" in bad.output
