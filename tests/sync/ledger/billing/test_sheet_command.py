"""A month through the command line: from a kiosk's events to a closed sheet and its correction."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from openpyxl import load_workbook
from typer.testing import CliRunner

from edge_agent.cli.ledger import app
from edge_agent.errors import AgentError
from sync.contract import batch
from sync.contract.batch import NamedHole
from sync.contract.contests import ContestAnswer, ContestOutcome, sign_answer
from sync.contract.event import Claim, ClockQuality, Manual
from sync.ledger.billing import sheet_work
from sync.ledger.billing.sheet_facts import read_school_month
from sync.ledger.billing.sheet_obstacles import find_open_questions
from sync.ledger.intake import holes
from sync.ledger.judgement import contests
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.server import LedgerServer
from sync.money.building import group_visits
from sync.money.errors import ActRefused, TermsMissing
from sync.money.months import Month
from sync.money.sheet import SheetSubject
from tests.sync.ledger.billing.authority import Authority
from tests.sync.ledger.billing.sheet_school import Command, boot, import_terms, meal
from tests.sync.ledger.kiosk import Kiosk, accepted, new_school, read_reply

BIN = "OU=BIN123456789012"


def test_a_month_from_events_to_a_closed_sheet_and_its_correction(
    lunch: str, kiosk: Kiosk, command: Command, tmp_path: Path
) -> None:
    kiosk.record(
        meal("u1", lunch, 3), meal("u2", lunch, 3, 1), meal("u1", lunch, 4), boot(lunch, 4, 30), meal("u2", lunch, 5)
    )  # fmt: skip
    accepted(kiosk.send_all())
    month = (lunch, "state", "2025-11")
    with pytest.raises(TermsMissing, match="has no tariffs; import them with `edge-agent ledger tariff import"):
        command("sheet", "propose", *month, "--by", "cook")
    import_terms(command, lunch)
    with pytest.raises(TermsMissing, match="no calendar of kind 'school' speaks for 2025-07"):
        command("sheet", "propose", lunch, "state", "2025-07", "--by", "cook")
    taught = json.loads(command("calendar", "list", lunch, "--json"))
    assert sum(row["taught_days"] for row in taught) == 165

    proposed = json.loads(command("sheet", "propose", *month, "--by", "cook", "--json"))
    assert (proposed["state"], proposed["version"]) == ("proposed", 1)
    shown = json.loads(command("sheet", "show", *month, "--json"))
    rows = {row["line"]: (row["days"], row["absent"], row["down"]) for row in shown["rows"]}
    assert rows == {"u1:lunch": ("3 4", 18, 0), "u2:lunch": ("3 5", 18, 1), "u3:lunch": ("", 20, 1)}
    assert (shown["meals"], shown["tiyn"]) == (4, 4 * 90100)

    sheet_file = tmp_path / "sheet"
    command("sheet", "sign-request", *month, sheet_file)
    sign_for_the_caterer(command, month, sheet_file, tmp_path)
    sign_for_the_school(command, month, sheet_file, tmp_path)
    assert json.loads(command("sheet", "list", lunch, "--json"))[0]["state"] == "agreed"
    closed = json.loads(command("sheet", "close", *month, "--by", "city", "--json"))
    assert (closed["state"], closed["digest"]) == ("closed", proposed["digest"])
    assert "nothing has changed" in command("sheet", "close", *month, "--by", "city")

    with pytest.raises(ActRefused, match="there is nothing to correct"):
        command("sheet", "correction", *month, "--by", "cook")
    kiosk.record(meal("u3", lunch, 6))
    accepted(kiosk.send(6, 6))
    with pytest.raises(ActRefused, match="put what came later into a correction sheet"):
        command("sheet", "propose", *month, "--by", "cook")
    assert "sign-request --number 1" in command("sheet", "correction", *month, "--by", "cook")
    corrected = json.loads(command("sheet", "show", *month, "--number", 1, "--json"))
    assert [(row["line"], row["days"], row["tiyn"]) for row in corrected["rows"]] == [("u3:lunch", "+6", 90100)]
    wanted = json.loads(command("sheet", "sign-request", *month, sheet_file, "--number", 1, "--json"))
    assert wanted["next"].endswith(f" {sheet_file} SIGNATURE --side SIDE --by NAME --number 1`")
    signers = json.loads(command("sheet", "signers", lunch, "--json"))
    assert [(row["side"], row["name"]) for row in signers] == [("caterer", "Асхана"), ("school", "Director")]
    assert BIN in command("sheet", "signers", lunch)


def sign_for_the_caterer(command: Command, month: tuple[str, str, str], sheet_file: Path, folder: Path) -> None:
    """With a certificate of an authority, as ЭЦП is."""
    authority = Authority(folder / "ca")
    authority.issue("caterer", f"/CN=Асхана/{BIN}")
    signature = folder / "caterer.cms"
    signature.write_bytes(authority.sign("caterer", sheet_file.read_bytes()))
    command("sheet", "signer", month[0], "Асхана", BIN, "--side", "caterer", "--by", "city")
    words = ("--side", "caterer", "--by", "cook", "--authority", folder / "ca/ca.pem")
    assert "signature of Асхана" in command("sheet", "hand-in", *month, sheet_file, signature, *words)
    assert "nothing has changed" in command("sheet", "hand-in", *month, sheet_file, signature, *words)


def sign_for_the_school(command: Command, month: tuple[str, str, str], sheet_file: Path, folder: Path) -> None:
    """With a key of its own."""
    key = Ed25519PrivateKey.generate()
    signature = folder / "school.sig"
    signature.write_bytes(key.sign(sheet_file.read_bytes()))
    public = key.public_key().public_bytes_raw().hex()
    command("sheet", "signer", month[0], "Director", public, "--side", "school", "--by", "city", "--scheme", "ed25519")
    words = ("--side", "school", "--by", "office", "--scheme", "ed25519")
    command("sheet", "hand-in", *month, sheet_file, signature, *words)


def test_objected_confirmed_and_exported(lunch: str, kiosk: Kiosk, command: Command, tmp_path: Path) -> None:
    kiosk.record(meal("u1", lunch, 3))
    accepted(kiosk.send_all())
    import_terms(command, lunch)
    categories = tmp_path / "categories.csv"
    categories.write_text("person,category\nu1,c2\n", "utf-8")
    empty = tmp_path / "empty.csv"
    empty.write_text("person,category\n", "utf-8")  # nobody has one any more
    assert "0 people with a category" in command("tariff", "categories", empty, "--school", lunch)
    empty.write_text("", "utf-8")
    with pytest.raises(AgentError, match="has no columns person and category"):
        command("tariff", "categories", empty, "--school", lunch)
    command("tariff", "categories", categories, "--school", lunch)
    month = (lunch, "state", "2025-11")
    command("sheet", "propose", *month, "--by", "cook")
    command("sheet", "confirm", *month, "--side", "school", "--by", "office")
    said = ("--side", "school", "--by", "office", "--text", "was away", "--version", 1)
    assert "next version made" in command("sheet", "object", *month, "u1:lunch", *said)
    assert "objection" in command("sheet", "show", *month)
    with pytest.raises(ActRefused, match="no signature of the caterer and school"):
        command("sheet", "close", *month, "--by", "city")
    form = tmp_path / "form.toml"
    form.write_text(read_form_text(), "utf-8")
    for kind in ("csv", "xlsx", "html"):
        command("sheet", "export", *month, tmp_path / f"sheet.{kind}", "--language", "ru", "--form", form)
    assert "Әлиев Арман" in (tmp_path / "sheet.csv").read_text("utf-8-sig")
    assert load_workbook(tmp_path / "sheet.xlsx").sheetnames == ["5 «А»", "Итого по табелю"]
    assert "1\N{NO-BREAK SPACE}050,00" in (tmp_path / "sheet.html").read_text("utf-8")
    with pytest.raises(AgentError, match=r"name the file .csv, .xlsx, .html or .pdf"):
        command("sheet", "export", *month, tmp_path / "sheet.doc")


def read_form_text() -> str:
    text = CliRunner().invoke(app, ["sheet", "form"]).stdout
    assert re.search(r"^field = \"days\"$", text, re.MULTILINE)
    return text


def test_the_database_groups_visits_as_the_rule_does(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk, command: Command
) -> None:
    kiosk.record(
        meal("u1", lunch, 3), meal("u1", lunch, 3, 20), meal("u2", lunch, 3, 1), meal("u1", lunch, 4),
        msgspec.structs.replace(meal("stranger", lunch, 5), programme=""), meal("u9", lunch, 6),
    )  # fmt: skip
    accepted(kiosk.send_all())
    settle_days(db, lunch, now=datetime.now(UTC))
    month = Month(2025, 11)
    grouped = group_visits(read_visits(db, lunch, month.first, month.last), month)
    assert {group.claim for group in grouped} == {Claim.CLAIMABLE, Claim.HELD}
    assert sorted(read_school_month(db, lunch, month).visits) == sorted(grouped)


def test_a_month_with_a_hole_has_obstacles(db: psycopg.Connection, lunch: str, kiosk: Kiosk, command: Command) -> None:
    kiosk.record(meal("u1", lunch, 3), meal("u2", lunch, 6, 1))
    accepted(kiosk.send_all())
    import_terms(command, lunch)
    subject = SheetSubject(lunch, "state", "2025-11")
    now = datetime.now(UTC)
    sheet_work.propose(db, subject, by="cook", now=now)
    assert sheet_work.find_obstacles(db, subject, now=now) == []
    holes.note_holes(db, lunch, kiosk.device, [NamedHole("f" * 16, 3, 5, "0" * 64)])
    assert [each.what for each in sheet_work.find_obstacles(db, subject, now=now)] == [
        f"events that are missing: {kiosk.device} {'f' * 16} 3-5"
    ]
    september, november = (find_open_questions(db, lunch, Month(2025, month)) for month in (9, 11))
    assert [each.what for each in september] == [each.what for each in november]


def test_a_contested_meal_is_held_at_the_closing_and_its_answer_makes_a_correction(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk, command: Command, tmp_path: Path
) -> None:
    kiosk.record(meal("u1", lunch, 3), meal("u1", lunch, 4), meal("u2", lunch, 4, 1))
    accepted(kiosk.send_all())
    import_terms(command, lunch)
    now = datetime.now(UTC)
    settle_days(db, lunch, now=now)
    (doubted,) = (each for each in read_visits(db, lunch, date(2025, 11, 4), date(2025, 11, 4)) if each.person == "u1")
    contest = contests.contest_entry(db, lunch, "u1", doubted.id, "", now)
    absence = contests.contest_absence(db, lunch, "u3", "2025-11-05", "lunch", "", now)
    month = (lunch, "state", "2025-11")
    command("sheet", "propose", *month, "--by", "cook")
    sheet_file = tmp_path / "sheet"
    command("sheet", "sign-request", *month, sheet_file)
    sign_for_the_caterer(command, month, sheet_file, tmp_path)
    sign_for_the_school(command, month, sheet_file, tmp_path)
    closed = command("sheet", "close", *month, "--by", "city")
    assert f"open contest {contest}: 2025-11-04 u1" in closed
    assert f"open contest {absence}: 2025-11-05 u3" in closed
    rows = {row["line"]: row["days"] for row in json.loads(command("sheet", "show", *month, "--json"))["rows"]}
    assert rows == {"u1:lunch": "3", "u2:lunch": "4", "u3:lunch": ""}

    key_file = tmp_path / "dana.pem"
    words = ("--school", lunch, "--name", "Dana", "--role", "school", "--new-key", key_file)
    command("officer", "add", "dana", *words)
    key = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    answer = ContestAnswer(
        school=lunch, contest=contest, outcome=ContestOutcome.DECLINED, reason="seen", officer="dana",
        decided_at="2025-12-02T05:00:00.000Z",
    )  # fmt: skip
    contests.answer_contest(db, *sign_answer(answer, key), key.public_key().public_bytes_raw(), now)
    command("sheet", "correction", *month, "--by", "cook")
    corrected = json.loads(command("sheet", "show", *month, "--number", 1, "--json"))
    assert [(row["line"], row["days"]) for row in corrected["rows"]] == [("u1:lunch", "+4")]


def test_no_wrong_clock_and_no_late_row_moves_a_hole_out_of_its_month(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk
) -> None:
    astray = msgspec.structs.replace(meal("u1", lunch, 3), clock=ClockQuality.UNSYNCHRONISED, service_date="")
    paper = Manual(**msgspec.structs.asdict(msgspec.structs.replace(meal("u2", lunch, 12), service_date="2025-10-30")))
    late = msgspec.structs.replace(meal("u3", lunch, 12), boot="terminal left 7", at="2025-10-29T04:00:00.000Z")
    kiosk.record(
        meal("u1", lunch, 3), msgspec.structs.replace(astray, at="2099-01-01T00:00:00.000Z"), meal("u2", lunch, 6),
        msgspec.structs.replace(astray, at="1970-01-01T00:00:00.000Z"), paper, late, meal("u1", lunch, 13),
    )  # fmt: skip
    accepted(kiosk.send(1, 2))
    lost = NamedHole(kiosk.epoch, 3, 3, kiosk.hashes[3].hex())
    header = msgspec.structs.replace(kiosk.header(4, 7), holes=(lost,))
    accepted(read_reply(kiosk.post_body(batch.encode(header, kiosk.payloads[3:]))))
    october, november, december = (find_open_questions(db, lunch, Month(2025, month)) for month in (10, 11, 12))
    assert [each.what for each in november if "missing" in each.what] == [
        f"events that are missing: {kiosk.device} {kiosk.epoch} 3-3"
    ]
    assert not [each for each in [*october, *december] if "missing" in each.what]


def test_the_sheets_of_all_schools_are_made_and_a_school_without_terms_is_named(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk, command: Command, server: LedgerServer
) -> None:
    kiosk.record(meal("u1", lunch, 3))
    accepted(kiosk.send_all())
    import_terms(command, lunch)
    bare = new_school(db)
    words = ["sheet", "propose-all", "state", "2025-11", "--by", "city", "--school", lunch, "--school", bare, "--json"]
    done = CliRunner().invoke(app, words, env={"LEDGER_DATABASE_URL": server.database_url})
    assert done.exit_code == 1
    made, refused = json.loads(done.stdout)
    assert (made["school"], made["state"], made["problem"]) == (lunch, "proposed", "")
    assert "has no tariffs; import them" in refused["problem"]
