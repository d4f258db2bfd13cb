"""A payer's file against a real ledger: what kiosks sent, what rosters said, and what the file counts."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from openpyxl import Workbook

from edge_agent.errors import AgentError
from sync.contract.event import Claim, ClockQuality, Void
from sync.contract.roster import DeletedRecord, Entitlement, MealSession, Person
from sync.ledger.billing.column_maps import list_maps
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.days import settle_days
from sync.ledger.registry import rosters, schools
from tests.sync.ledger.billing.sheet_school import Command, boot, import_terms, meal
from tests.sync.ledger.kiosk import Kiosk, accepted, new_school

MAP = """
id = "wallet"
shape = "long"
[columns]
number = "ИИН"
name = "ФИО"
group = "Класс"
date = "Дата"
session = "Приём"
[sessions]
"Обед" = "lunch"
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "map.toml").write_text(MAP, "utf-8")
    (tmp_path / "key").write_text("a key of the payer's own", "utf-8")
    return tmp_path


def numbered(command: Command, files: Path, school: str, people: list[str]) -> None:
    """Hashes the payer's numbers where they are, and imports the hashes."""
    plain = files / "numbers.csv"
    plain.write_text("number,person\n" + "".join(f"99{each[1:]},{each}\n" for each in people), "utf-8")
    hashes = files / "hashes.csv"
    hashes.write_text(command("payer", "hash", plain, "--key-file", files / "key"), "utf-8")
    assert "99" + people[0][1:] + "," not in hashes.read_text("utf-8")
    command("payer", "numbers", hashes, "--school", school)


def write(file: Path, rows: list[tuple[str, ...]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows([("ИИН", "ФИО", "Класс", "Дата", "Приём"), *rows])
    return file


def read_differences(printed: str) -> dict[tuple[str, str], tuple[str, str, str]]:
    lines = json.loads(printed)["differences"]
    return {(line["person"], line["day"]): (line["why"], line["lines"], line["events"]) for line in lines}


def test_differences_between_a_payers_file_and_what_kiosks_sent(
    db: psycopg.Connection, lunch: str, enrolled: Callable[[], Kiosk], command: Command, files: Path
) -> None:
    kiosk = enrolled()
    kiosk.record(
        meal("u1", lunch, 3), meal("u2", lunch, 3, 1), meal("u3", lunch, 3, 2),
        Void(
            school=lunch, at="2025-11-03T04:10:00.000Z", boot="b", mono_ms=(3 * 1440 + 10) * 60_000,
            clock=ClockQuality.SYNCHRONISED, void_epoch=kiosk.epoch, void_seq=2, person="u2", operator="o", note="x",
        ),
        meal("u1", lunch, 4), meal("u1", lunch, 4, 20), boot(lunch, 5, 30),
    )  # fmt: skip
    accepted(kiosk.send_all())
    import_terms(command, lunch)
    numbered(command, files, lunch, ["u1", "u2", "u3"])
    other_school(db, enrolled, command, files)
    their_file = write(files / "theirs.csv", [
        ("991", "", "", "03.11.2025", "Обед"),
        ("992", "", "", "03.11.2025", "Обед"),
        ("991", "", "", "04.11.2025", "Обед"),
        ("991", "", "", "04.11.2025", "Обед"),
        ("992", "", "", "05.11.2025", "Обед"),
        ("993", "", "", "06.11.2025", "Обед"),
        ("994", "", "", "06.11.2025", "Обед"),
    ])  # fmt: skip
    options = ("--map", files / "map.toml", "--key-file", files / "key")
    made_at = ("--made-at", "2025-12-01T09:00")
    words = ("payer", "compare", lunch, "state", "2025-11", their_file, *options)
    printed = command(*words, *made_at, "--csv", files / "out.csv", "--json")
    device, epoch = kiosk.device, kiosk.epoch
    explained = read_differences(printed)
    assert explained[("u2", "2025-11-03")] == ("void", "3", f"{device}/{epoch}/2 {device}/{epoch}/4")
    assert explained[("u3", "2025-11-03")] == ("late", "", f"{device}/{epoch}/3")  # all came a year later
    assert explained[("u1", "2025-11-04")] == ("second_meal", "5", f"{device}/{epoch}/6 {device}/{epoch}/5")
    assert explained[("u2", "2025-11-05")] == ("theirs_without_ours", "6", f"{device}/{epoch}/7")
    assert explained[("u3", "2025-11-06")][0] == "other_school"
    assert len(explained) == 5
    assert json.loads(printed)["unmatched"] == [{"line": 8, "meals": 1, "why": "nobody", "may_be": ""}]
    assert json.loads(printed)["totals"] == {"ours": 3, "theirs": 7}
    assert "second_meal" in (files / "out.csv").read_text("utf-8-sig")
    assert "cannot be matched" in command(*words, *made_at)
    # Nobody says when the payer counted, and what is missing came together with what is there.
    assert read_differences(command(*words, "--json"))[("u3", "2025-11-03")][0] == "ours_without_theirs"


def other_school(db: psycopg.Connection, enrolled: Callable[[], Kiosk], command: Command, files: Path) -> None:
    """u3 eats at another school on the 6th, where the id is another one, and the number the same."""
    there = new_school(db)
    rosters.apply_changes(db, there, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        Person(id="x3", given_name="Арман", family_name="Әлиев"),
        Entitlement(id="x3.state", person="x3", programme="state"),
    ])  # fmt: skip
    url = str(enrolled().http.base_url)
    kiosk = Kiosk.enrol(url, schools.issue_code(db, there, "door", datetime.now(UTC)))
    numbered(command, files, there, ["x3"])
    kiosk.record(meal("x3", there, 6))
    accepted(kiosk.send_all())
    kiosk.close()
    settle_days(db, there, now=datetime.now(UTC))


def test_what_rosters_changed_between_kiosk_and_sheet_is_explained(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk, command: Command, files: Path
) -> None:
    """u1's voucher ended on the 5th, u2's was given backdated, u3's was taken off the roster."""
    unknown = msgspec.structs.replace(meal("u2", lunch, 6, 1), programme="", claim=Claim.NONE)
    doubtful = msgspec.structs.replace(meal("u2", lunch, 7, 1), claim=Claim.HELD)
    kiosk.record(meal("u1", lunch, 6), unknown, meal("u3", lunch, 6, 2), doubtful)
    accepted(kiosk.send_all())
    rosters.apply_changes(db, lunch, [
        Entitlement(id="u1.state", person="u1", programme="state", last="2025-11-05"),
        DeletedRecord(deleted_type="entitlement", id="u3.state"),
    ])  # fmt: skip
    import_terms(command, lunch)
    numbered(command, files, lunch, ["u1", "u2", "u3"])
    rows = [("991", "06"), ("993", "06")]
    their_file = write(files / "theirs.csv", [(number, "", "", f"{day}.11.2025", "Обед") for number, day in rows])
    options = ("--map", files / "map.toml", "--key-file", files / "key", "--json")
    explained = read_differences(command("payer", "compare", lunch, "state", "2025-11", their_file, *options))
    place = f"{kiosk.device}/{kiosk.epoch}"
    assert explained == {
        ("u1", "2025-11-06"): ("withdrawn_voucher", "2", f"{place}/1"),
        ("u2", "2025-11-06"): ("roster_version", "", f"{place}/2"),
        ("u3", "2025-11-06"): ("roster_version", "3", f"{place}/3"),
        ("u2", "2025-11-07"): ("held", "", f"{place}/4"),
    }


def test_names_count_once_somebody_has_confirmed_them(lunch: str, kiosk: Kiosk, command: Command, files: Path) -> None:
    kiosk.record(meal("u1", lunch, 3))
    accepted(kiosk.send_all())
    import_terms(command, lunch)
    book = Workbook()
    book.worksheets[0].append(["ИИН", "ФИО", "Класс", "Дата", "Приём"])
    book.worksheets[0].append(["", "АЛИЕВ АРМАН ЕРЛАНҰЛЫ", "5А", datetime(2025, 11, 3), "обед"])
    content = io.BytesIO()
    book.save(content)
    (files / "theirs.xlsx").write_bytes(content.getvalue())
    options = ("--map", files / "map.toml")
    compare = ("payer", "compare", lunch, "state", "2025-11", files / "theirs.xlsx", *options, "--json")
    before = json.loads(command(*compare))
    assert [line["why"] for line in before["differences"]] == ["not_matched"]
    assert before["unmatched"][0]["why"] == "not_confirmed"
    command("payer", "confirm", lunch, "2025-11", files / "theirs.xlsx", *options, "--by", "office")
    after = json.loads(command(*compare))
    assert (after["differences"], after["unmatched"]) == ([], [])


def test_a_void_at_another_kiosk_is_named(
    lunch: str, enrolled: Callable[[], Kiosk], command: Command, files: Path
) -> None:
    kiosk, other = enrolled(), enrolled()
    kiosk.record(meal("u1", lunch, 3))
    accepted(kiosk.send_all())
    other.record(Void(
        school=lunch, at="2025-11-03T04:10:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        void_epoch=kiosk.epoch, void_seq=1, person="u1", operator="o", note="x",
    ))  # fmt: skip
    accepted(other.send_all())
    import_terms(command, lunch)
    numbered(command, files, lunch, ["u1"])
    theirs = write(files / "theirs.csv", [("991", "", "", "03.11.2025", "Обед")])
    options = ("--map", files / "map.toml", "--key-file", files / "key", "--json")
    explained = read_differences(command("payer", "compare", lunch, "state", "2025-11", theirs, *options))
    events = f"{kiosk.device}/{kiosk.epoch}/1 {other.device}/{other.epoch}/1"
    assert explained == {("u1", "2025-11-03"): ("void", "2", events)}


def test_lessons_are_set_beside_meals(lunch: str, kiosk: Kiosk, command: Command, files: Path) -> None:
    kiosk.record(meal("u1", lunch, 3), meal("u2", lunch, 3, 1), meal("u1", lunch, 4))
    accepted(kiosk.send_all())
    import_terms(command, lunch)
    numbered(command, files, lunch, ["u1", "u2", "u3"])
    present = write(files / "present.csv", [("991", "", "", "03.11.2025", ""), ("993", "", "", "03.11.2025", "")])
    options = ("--map", files / "map.toml", "--key-file", files / "key", "--json")
    lines = json.loads(command("payer", "lessons", lunch, "state", "2025-11", present, *options))["differences"]
    assert [(line["day"], line["person"], line["look_at"], line["events"]) for line in lines] == [
        ("2025-11-03", "u2", "meal_without_presence", f"{kiosk.device}/{kiosk.epoch}/2"),
        ("2025-11-03", "u3", "presence_without_meal", ""),
    ]


def test_lessons_of_today_are_set_beside_todays_meals_and_accuse_nobody_whom_a_line_may_mean(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk, command: Command, files: Path
) -> None:
    """The sheet was proposed before lunch; and of two children with one name nobody knows which was at lessons."""
    twins = [Person(id=each, given_name="Асан", family_name="Ким", grade="05", group="5 «А»") for each in ("t1", "t2")]
    paying = [Entitlement(id=f"{twin.id}.state", person=twin.id, programme="state") for twin in twins]
    rosters.apply_changes(db, lunch, [*twins, *paying])
    import_terms(command, lunch)
    command("sheet", "propose", lunch, "state", "2025-11", "--by", "cook")
    kiosk.record(meal("t1", lunch, 3), meal("t2", lunch, 3, 1), meal("u1", lunch, 3, 2), meal("u2", lunch, 3, 3))
    accepted(kiosk.send_all())
    numbered(command, files, lunch, ["u1"])
    present = write(
        files / "present.csv", [("991", "", "", "03.11.2025", ""), ("", "Ким Асан", "5 «А»", "03.11.2025", "")]
    )
    options = ("--map", files / "map.toml", "--key-file", files / "key", "--json")
    found = json.loads(command("payer", "lessons", lunch, "state", "2025-11", present, *options))
    assert [(line["person"], line["look_at"]) for line in found["differences"]] == [("u2", "meal_without_presence")]
    assert len(found["unmatched"]) == 1


def test_a_map_is_kept_for_the_pages(db: psycopg.Connection, lunch: str, command: Command, files: Path) -> None:
    command("payer", "map", files / "map.toml", "--by", "office", "--school", lunch)
    assert [each.sessions for each in list_maps(db, lunch)] == [{"Обед": "lunch"}]


def test_a_plain_number_never_comes_to_the_ledger(lunch: str, command: Command, files: Path) -> None:
    (files / "plain.csv").write_text("number_hash,person\n990101500001,u1\n", "utf-8")
    with pytest.raises(NotUnderstood, match="hash the numbers where they are"):
        command("payer", "numbers", files / "plain.csv", "--school", lunch)
    (files / "short").write_text("key", "utf-8")
    with pytest.raises(AgentError, match="take at least 16"):
        command("payer", "hash", files / "plain.csv", "--key-file", files / "short")
    with pytest.raises(AgentError, match="no columns number and person"):
        command("payer", "hash", files / "plain.csv", "--key-file", files / "key")
