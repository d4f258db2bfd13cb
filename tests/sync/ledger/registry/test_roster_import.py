"""An export into the ledger and out to a kiosk: whole or not at all."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from sync.contract import wire
from sync.contract.oneroster.tables import ExportRefused
from sync.contract.roster import DeletedRecord, DynamicCode, Person, Record, RosterPage, SchoolOperator, from_json
from sync.contract.roster_diff import TooManyVanished
from sync.ledger.errors import NotUnderstood
from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.registry import rosters, schools
from sync.ledger.registry.payer_numbers import read_numbers
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogates
from sync.proof.roster_digest import digest_judged
from tests.sync.ledger.kiosk import Kiosk
from tests.vectors import find_vector

SAMPLES = find_vector("canteen/oneroster12")
ON = "2026-11-22"
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def people(db: psycopg.Connection, school: str) -> list[str]:
    """Returns the source's ids of everybody on the roster."""
    rows = db.execute("SELECT surrogate, source_id FROM person_surrogate WHERE school = %s", (school,))
    source_ids: dict[str, str] = dict(rows.fetchall())
    return sorted(source_ids[record.id] for record in rosters.read_records(db, school) if isinstance(record, Person))


def surrogate(db: psycopg.Connection, school: str, source_id: str) -> str:
    return find_surrogates(db, school, [source_id])[source_id]


def source_numbers(db: psycopg.Connection, school: str) -> dict[str, tuple[str, ...]]:
    """Returns the source's ids of the people of each keyed hash."""
    names = {surrogate(db, school, source_id): source_id for source_id in ("u-1", "u-2")}
    numbers = read_numbers(db, school)
    return {number: tuple(sorted(names[person] for person in found)) for number, found in numbers.items()}


def test_bulk_and_delta_reach_a_kiosk(db: psycopg.Connection, school: str, kiosk: Kiosk) -> None:
    (first,) = import_export(db, read_export(SAMPLES / "bulk"), [school], date=ON, org="sch-0151")
    assert (first.version, len(people(db, school))) == (1, 6)
    delta = read_export(SAMPLES / "delta")
    (second,) = import_export(db, delta, [school], date=ON, org="sch-0151", vanish_share_max=0.5)
    assert (second.version, people(db, school)) == (2, ["u-1", "u-3", "u-5", "u-6", "u-7"])
    (again,) = import_export(db, delta, [school], date=ON, org="sch-0151", vanish_share_max=0.5)
    assert (again.version, again.difference.changes) == (2, ())
    page = wire.read_json(
        RosterPage, kiosk.call("GET", wire.roster_path(school), query=wire.roster_query(1)).content
    )  # fmt: skip
    assert (page.version, page.whole, len(page.changes)) == (2, False, 4)


def test_an_erased_person_is_named_in_no_roster_and_comes_again_as_somebody_new(
    db: psycopg.Connection, school: str
) -> None:
    """The judged part of former rosters stays, under a name that is nobody's: the logs need it."""
    files = read_export(SAMPLES / "bulk")
    cards = b"userSourcedId,number\nu-2,04A2B3C4D5E602\nu-4,04A2B3C4D5E604\nu-1,04A2B3C4D5E601\n"
    import_export(db, {**files, "cards.csv": cards}, [school], date=ON, org="sch-0151")
    digest = digest_judged(read_states(db, school, 1))
    first = surrogate(db, school, "u-2")
    assert find_texts(db, school, "Нұрлан", "04A2B3C4D5E602") == 4
    erased = erase_from_ledger(db, school, first, NOW)
    assert erased.records == 2
    assert people(db, school) == ["u-1", "u-3", "u-4", "u-5", "u-6"]
    assert find_texts(db, school, "Нұрлан", "04A2B3C4D5E602", '"u-2"') == 0
    assert find_texts(db, school, "Анна", "04A2B3C4D5E604") == 4
    assert digest_judged(read_states(db, school, 1)) == digest
    delta = read_export(SAMPLES / "delta")  # it says that u-2 has left, with everything of the row
    left = {**delta, "cards.csv": cards.split(b"u-2")[0] + b"u-1,04A2B3C4D5E601\n"}
    import_export(db, left, [school], date=ON, org="sch-0151", vanish_share_max=0.5)
    assert find_texts(db, school, "Нұрлан", '"u-2"') == 0
    again = {**files, "cards.csv": cards}
    import_export(db, again, [school], date=ON, org="sch-0151", vanish_share_max=0.5)
    assert "u-2" in people(db, school)
    assert surrogate(db, school, "u-2") not in (first, "u-2")


def test_an_erasure_takes_the_rows_of_an_export_of_several_schools(db: psycopg.Connection, school: str) -> None:
    """A school that got the same export and does not have the person forgets the rows; one that has them does not."""
    other, third = f"{school}-b", f"{school}-c"
    for name in (other, third):
        schools.add_school(db, name, name)
    files = read_export(SAMPLES / "bulk")
    import_export(db, files, [school], date=ON, org="sch-0151")
    import_export(db, files, [third], date=ON, org="sch-0151")
    elsewhere = {name: b"".join(content.splitlines(keepends=True)[:1]) for name, content in files.items()}
    elsewhere |= {name: files[name] for name in ("manifest.csv", "users.csv", "orgs.csv")}
    import_export(db, elsewhere, [other], date=ON, org="sch-0151")
    assert people(db, other) == []
    assert find_texts(db, other, "Нұрлан") == 1
    erase_from_ledger(db, school, surrogate(db, school, "u-2"), NOW)
    assert find_texts(db, school, "Нұрлан") == 0
    assert find_texts(db, other, "Нұрлан") == 0
    assert find_texts(db, third, "Нұрлан") == 2


def read_states(db: psycopg.Connection, school: str, version: int) -> list[Record]:
    """Returns the records of a version of the roster."""
    rows = db.execute(
        "SELECT body FROM roster_record WHERE school = %s AND body IS NOT NULL AND version <= %s"
        " AND (superseded IS NULL OR superseded > %s)",
        (school, version, version),
    )
    return [from_json(body) for (body,) in rows]


def find_texts(db: psycopg.Connection, school: str, *texts: str) -> int:
    """Returns in how many stored records and rows of the source one of these texts stands."""
    rows = db.execute(
        "SELECT body FROM roster_record WHERE school = %(school)s AND body IS NOT NULL"
        " UNION ALL SELECT kept FROM roster_source WHERE school = %(school)s",
        {"school": school},
    )
    return sum(any(text in stored for text in texts) for (stored,) in rows)


def test_too_many_gone_changes_nothing(db: psycopg.Connection, school: str) -> None:
    import_export(db, read_export(SAMPLES / "bulk"), [school], date=ON, org="sch-0151")
    with pytest.raises(TooManyVanished, match="2 of 6"):
        import_export(db, read_export(SAMPLES / "delta"), [school], date=ON, org="sch-0151")
    assert len(people(db, school)) == 6
    # And it was not remembered either: the same delta still finds its bulk untouched.
    (imported,) = import_export(
        db, read_export(SAMPLES / "delta"), [school], date=ON, org="sch-0151", vanish_share_max=1
    )  # fmt: skip
    assert len(imported.difference.removed) == 2


def test_a_delta_first_is_refused(db: psycopg.Connection, school: str) -> None:
    with pytest.raises(ExportRefused, match="no bulk import before it"):
        import_export(db, read_export(SAMPLES / "delta"), [school], date=ON, org="sch-0151")


def test_a_dry_run_keeps_nothing(db: psycopg.Connection, school: str) -> None:
    (would,) = import_export(db, read_export(SAMPLES / "bulk"), [school], date=ON, org="sch-0151", dry_run=True)
    assert len(would.difference.added) == 8
    assert rosters.read_version(db, school) == 0


def test_schools_of_the_export_are_found(db: psycopg.Connection, school: str) -> None:
    with pytest.raises(NotUnderstood, match="no such school"):
        import_export(db, read_export(SAMPLES / "bulk"), date=ON)
    schools.add_school(db, "sch-0151", "№ 151")
    (imported,) = import_export(db, read_export(SAMPLES / "bulk"), date=ON)
    assert imported.school == "sch-0151"


def test_keyed_hashes_come_with_the_roster_and_go_to_no_kiosk(
    db: psycopg.Connection, school: str, kiosk: Kiosk
) -> None:
    files, first, second, stranger = read_export(SAMPLES / "bulk"), "1" * 64, "2" * 64, "3" * 64

    def bring(*rows: str, whole: dict[str, bytes] = files) -> None:
        numbers = {"payer_numbers.csv": "\n".join(["userSourcedId,numberHash", *rows]).encode()} if rows else {}
        import_export(db, whole | numbers, [school], date=ON, org="sch-0151", vanish_share_max=0.5)

    bring(f"u-1,{first.upper()}", f"u-2,{second}", f"u-2,{first}")
    assert source_numbers(db, school) == {first: ("u-1", "u-2"), second: ("u-2",)}
    bring()  # without the file what it brought stays
    bring(f"u-1,{first}", f"u-2,{second}")
    assert source_numbers(db, school) == {first: ("u-1",), second: ("u-2",)}
    bring(f"u-1,{first}", whole=read_export(SAMPLES / "delta"))  # u-2 has left, and last month's sheet still names it
    assert source_numbers(db, school) == {first: ("u-1",), second: ("u-2",)}
    assert rosters.read_version(db, school) == 2
    pulled = kiosk.call("GET", wire.roster_path(school), query=wire.roster_query(0)).content
    stored = db.execute("SELECT kept FROM roster_source WHERE school = %s", (school,)).fetchall()
    for number_hash in (first, second):
        assert number_hash not in pulled.decode()
        assert number_hash not in str(stored)
    for rows, reason in (
        (["u-1,990101300123"], "64 hex digits"), ([f"u-99,{stranger}"], "an id from users.csv"),
        ([f"u-1,{first}", f"u-1,{first.upper()}"], "the same as line 2"),
    ):  # fmt: skip
        with pytest.raises(ExportRefused, match=reason) as refused:
            bring(*rows)
        assert "990101300123" not in str(refused.value)


def test_zip_with_a_folder_and_a_macs_shadows(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (SAMPLES / "bulk").iterdir():
            archive.write(file, f"export/{file.name}")
            archive.writestr(f"__MACOSX/export/._{file.name}", b"shadow")
        archive.writestr("export/readme.txt", b"hello")
    assert read_export(path) == read_export(SAMPLES / "bulk")


def test_what_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no zip")
    with pytest.raises(ExportRefused, match="folder or zip"):
        read_export(tmp_path / "file")
    with pytest.raises(ExportRefused, match="folder or zip"):
        read_export(tmp_path / "missing")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"users{number}.csv", bytes(60 * 1024 * 1024))
    with pytest.raises(ExportRefused, match="at most"):
        read_export(path)


SEALED = "A" * 64


def test_a_changing_code_reaches_kiosks_that_know_it_and_leaves_no_trace(
    db: psycopg.Connection, school: str, kiosk: Kiosk
) -> None:
    files = read_export(SAMPLES / "bulk")
    codes = f"userSourcedId,surrogate,sealed\nu-1,sur-1,{SEALED}\nu-2,sur-2,{SEALED}\n".encode()
    import_export(db, {**files, "dynamic_codes.csv": codes}, [school], date=ON, org="sch-0151")

    def fetch(since: int, *knows: str) -> RosterPage:
        answer = kiosk.call("GET", wire.roster_path(school), query=wire.roster_query(since, "", knows))
        return wire.read_json(RosterPage, answer.content)

    def surrogates(page: RosterPage) -> list[str]:
        return [change.surrogate for change in page.changes if isinstance(change, DynamicCode)]

    assert set(surrogates(fetch(0, "dynamic_code", "of_the_future"))) == {"sur-1", "sur-2"}
    old = fetch(0)
    assert surrogates(old) == []
    assert len(old.changes) == len(fetch(0, "dynamic_code").changes) - 2
    assert fetch(1).changes == ()

    changed = codes.replace(SEALED.encode(), b"B" * 64, 1).splitlines(keepends=True)[:2]
    import_export(db, {**files, "dynamic_codes.csv": b"".join(changed)}, [school], date=ON, org="sch-0151")
    bodies = db.execute("SELECT body FROM roster_record WHERE school = %s AND type = 'dynamic_code'", (school,))
    assert [SEALED in (body or "") for (body,) in bodies.fetchall()] == [False, False]
    deleted = [change for change in fetch(1, "dynamic_code").changes if isinstance(change, DeletedRecord)]
    assert [change.id for change in deleted] == [f"{surrogate(db, school, 'u-2')}.dynamic"]
    kept = db.execute("SELECT kept FROM roster_source WHERE school = %s AND file = 'dynamic_codes.csv'", (school,))
    assert not any(SEALED in text for (text,) in kept.fetchall())

    without_u1 = files | {"users.csv": b"".join(
        line for line in files["users.csv"].splitlines(keepends=True) if not line.startswith((b"u-1,", b'"u-1"'))
    )}  # fmt: skip
    for name in ("roles.csv", "enrollments.csv"):
        lines = files[name].splitlines(keepends=True)
        without_u1[name] = b"".join(line for line in lines if b"u-1" not in line)
    import_export(db, without_u1, [school], date=ON, org="sch-0151", vanish_share_max=1)
    everything = db.execute("SELECT kept FROM roster_source WHERE school = %s", (school,)).fetchall()
    assert not any("B" * 64 in text for (text,) in everything)
    bodies = db.execute("SELECT body FROM roster_record WHERE school = %s AND type = 'dynamic_code'", (school,))
    assert [body for (body,) in bodies.fetchall() if body] == []


@pytest.mark.parametrize(
    ("row", "where"),
    [
        (f"u-1,sur-1,{SEALED}\nu-2,sur-1,{SEALED}", "another person"),
        ("u-1,sur-1,JBSWY3DPEHPK3PXP", "seal-codes"),
        (f"u-1,s,{SEALED}", "surrogate id"),
    ],
)
def test_a_secret_that_is_not_sealed_is_refused_and_not_shown(
    db: psycopg.Connection, school: str, row: str, where: str
) -> None:
    codes = f"userSourcedId,surrogate,sealed\n{row}\n".encode()
    files = {**read_export(SAMPLES / "bulk"), "dynamic_codes.csv": codes}
    with pytest.raises(ExportRefused, match=where) as refused:
        import_export(db, files, [school], date=ON, org="sch-0151")
    assert "JBSWY" not in str(refused.value)


def test_an_operator_reaches_kiosks_that_know_the_type_and_no_former_name_stays(
    db: psycopg.Connection, school: str, kiosk: Kiosk
) -> None:
    files = read_export(SAMPLES / "bulk")
    staff = "sourcedId,name,roles\nt-1,Гүлнар Ахметова,head\nt-7,Анна Ли,cook\n".encode()
    import_export(db, {**files, "operators.csv": staff}, [school], date=ON, org="sch-0151")

    def fetch(since: int, *knows: str) -> RosterPage:
        answer = kiosk.call("GET", wire.roster_path(school), query=wire.roster_query(since, "", knows))
        return wire.read_json(RosterPage, answer.content)

    def names(page: RosterPage) -> list[str]:
        return [change.name for change in page.changes if isinstance(change, SchoolOperator)]

    assert names(fetch(0, "dynamic_code", "operator")) == ["Гүлнар Ахметова", "Анна Ли"]
    for knows in ((), ("dynamic_code",)):  # kiosks of before
        assert names(fetch(0, *knows)) == []
        assert len(fetch(0, *knows).changes) == len(fetch(0, "operator").changes) - 2

    left = "sourcedId,name,roles\nt-1,Гүлнар Ахметова,head\n".encode()
    import_export(db, {**files, "operators.csv": left}, [school], date=ON, org="sch-0151")
    assert [change.id for change in fetch(1, "operator").changes if isinstance(change, DeletedRecord)] == ["t-7"]
    assert fetch(1, "dynamic_code").changes == ()
    for table, text in (("roster_record", "body"), ("roster_source", "kept")):
        rows = db.execute(f"SELECT {text} FROM {table} WHERE school = %s", (school,)).fetchall()
        assert not any("Анна Ли" in (row or "") for (row,) in rows), table
