"""A city's export in parts gives each school what the whole export gives it, faults and their lines as well."""

import zipfile
from pathlib import Path

import psycopg
import pytest

from sync.contract.oneroster.build import import_roster
from sync.contract.oneroster.tables import ExportRefused
from sync.ledger.registry import rosters, schools
from sync.ledger.registry.export_parts import ExportParts, part_export
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from tests.sync.ledger.registry.city_export import write_city
from tests.vectors import find_vector

ON = "2026-11-22"


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_each_school_gets_from_its_part_what_the_whole_gives_it(form: str, tmp_path: Path) -> None:
    names = write_city(tmp_path, 3, 45)
    whole, path = read_export(tmp_path), tmp_path
    if form == "zip":
        path = tmp_path / "export.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in tmp_path.glob("*.csv"):
                archive.write(file, f"export/{file.name}")
    with part_export(path) as parts:
        assert isinstance(parts, ExportParts)
        assert list(parts.schools) == names
        for name in names:
            files = parts.read(name)
            assert import_roster(files, name, date=ON).records == import_roster(whole, name, date=ON).records
            assert len(files["users.csv"].strip().split(b"\n\n")) > 1 or name == names[0], "others' lines are blank"


@pytest.mark.parametrize(
    ("name", "line", "wrong"),
    [
        ("users.csv", 60, "x,,,maybe,a,b,01"),
        ("cards.csv", 50, "nobody,04A2B3C4D5E601"),
        ("enrollments.csv", 70, "e,,,no-class,city-001,city-001-p1,student,,"),
        ("roles.csv", 80, "r,,,nobody,primary,student,,,city-001"),
    ],
)
def test_a_fault_is_named_by_its_line_in_the_whole(name: str, line: int, wrong: str, tmp_path: Path) -> None:
    names = write_city(tmp_path, 3, 45)
    lines = (tmp_path / name).read_text("utf-8").split("\n")
    lines[line - 1] = wrong
    (tmp_path / name).write_text("\n".join(lines), "utf-8")
    found = set()
    with part_export(tmp_path) as parts:
        assert isinstance(parts, ExportParts)
        for school in names:
            try:
                import_roster(parts.read(school), school, date=ON)
            except ExportRefused as refused:
                found |= {(fault.file, fault.line) for fault in refused.faults}
    assert (name, line) in found


def test_what_need_not_be_parted_is_read_whole() -> None:
    for export in ("bulk", "delta"):
        path = find_vector("canteen/oneroster12") / export
        with part_export(path) as files:
            assert files == read_export(path)


def test_a_city_is_imported_from_its_parts(db: psycopg.Connection, tmp_path: Path) -> None:
    names = write_city(tmp_path, 3, 45)
    for name in names[:2]:
        schools.add_school(db, name, name)
    with part_export(tmp_path) as parts:
        imported = import_export(db, parts, date=ON)
        assert [each.school for each in imported] == names[:2]
        assert [each.version for each in import_export(db, parts, date=ON)] == [1, 1]
    # Of the 45 two teach at the next school too, and two of another teach here.
    assert sum(record.__struct_config__.tag == "person" for record in rosters.read_records(db, names[0])) == 47
    kept = db.execute("SELECT count(*) FROM roster_source WHERE school = %s AND file = 'users.csv'", (names[0],))
    assert kept.fetchone() == (48,), "a school remembers its own people, and the file's own row"
