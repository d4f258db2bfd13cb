"""An import of many schools: nobody waits for another school's, and what ends in the middle is all or a named part."""

from collections.abc import Callable, Mapping

import psycopg
import pytest

from sync.contract.roster_diff import TooManyVanished
from sync.ledger.errors import ImportStopped
from sync.ledger.registry import rosters
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export, import_schools
from sync.ledger.server import LedgerServer
from tests.sync.ledger.kiosk import new_school
from tests.vectors import find_vector

ON = "2026-11-22"
BULK = find_vector("canteen/oneroster12") / "bulk"


@pytest.fixture
def two(db: psycopg.Connection) -> tuple[str, str]:
    first, second = sorted((new_school(db), new_school(db)))
    return first, second


def make_export(first: str, second: str, pupils: int = 2) -> Mapping[str, bytes]:
    """Returns an export of two schools."""
    files = read_export(BULK)
    schools, people, roles = [], [], []
    for school in (first, second):
        schools.append(f"{school},,,№ 1,school,1,")
        for number in range(pupils):
            person = f"{school}-u{number}"
            people.append(f"{person},,,true,Әлия,Қасымова,01")
            roles.append(f"r-{person},,,{person},primary,student,,,{school}")
    headers = {
        "orgs.csv": ["sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId", *schools],
        "users.csv": ["sourcedId,status,dateLastModified,enabledUser,givenName,familyName,grades", *people],
        "roles.csv": [
            "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId", *roles
        ],
    }  # fmt: skip
    absent = {name: b"" for name in files if name not in headers and name != "manifest.csv"}
    manifest = files["manifest.csv"].decode()
    for name in absent:
        manifest = manifest.replace(
            f"file.{name.removesuffix('.csv')},bulk", f"file.{name.removesuffix('.csv')},absent"
        )
    return {"manifest.csv": manifest.encode(), **{name: "\n".join(rows).encode() for name, rows in headers.items()}}


def read_versions(db: psycopg.Connection, schools: tuple[str, str]) -> list[int]:
    return [rosters.read_version(db, school) for school in schools]


def test_no_other_school_waits_and_no_batch_of_the_own(
    server: LedgerServer, db: psycopg.Connection, two: tuple[str, str]
) -> None:
    seen: list[str] = []
    with psycopg.connect(server.database_url, autocommit=True) as other:

        def look(importing: psycopg.Connection, school: str) -> None:
            (elsewhere,) = set(two) - {school}
            other.execute("SELECT 1 FROM school WHERE school = %s FOR UPDATE NOWAIT", (elsewhere,))
            # As the foreign keys of a batch do at the own school; a second import waits.
            other.execute("SELECT 1 FROM school WHERE school = %s FOR KEY SHARE NOWAIT", (school,))
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("SELECT 1 FROM school WHERE school = %s FOR NO KEY UPDATE NOWAIT", (school,))
            seen.append(school)

        import_export(db, make_export(*two), two, date=ON, note=look)
    assert seen == list(two)
    assert read_versions(db, two) == [1, 1]


def test_all_schools_are_compared_before_one_is_changed(db: psycopg.Connection, two: tuple[str, str]) -> None:
    import_export(db, make_export(*two), two, date=ON)
    import_export(db, make_export(*two, pupils=9), two[1:], date=ON)
    with pytest.raises(TooManyVanished):
        import_export(db, make_export(*two, pupils=4), two, date=ON)
    assert read_versions(db, two) == [1, 2], "the first would have gained pupils"


def end_connection(db: psycopg.Connection) -> Callable[[psycopg.Connection], None]:
    def end(importing: psycopg.Connection) -> None:
        db.execute("SELECT pg_terminate_backend(%s, 5000)", (importing.info.backend_pid,))

    return end


def lose_pupils(importing: psycopg.Connection) -> None:
    raise TooManyVanished(2, 2, 0.1)


@pytest.mark.parametrize("cause", ["killed", "refused"])
def test_an_import_that_ends_in_the_middle_names_its_part_and_goes_on(
    cause: str, server: LedgerServer, db: psycopg.Connection, two: tuple[str, str]
) -> None:
    end = end_connection(db) if cause == "killed" else lose_pupils

    def stop_at_second(importing: psycopg.Connection, school: str) -> None:
        if school == two[1]:
            end(importing)

    with (
        psycopg.connect(server.database_url, autocommit=True) as importing,
        pytest.raises(ImportStopped, match=f"(?s)stopped at {two[1]}.*in force are {two[0]}: import it again"),
    ):
        import_export(importing, make_export(*two), two, date=ON, note=stop_at_second)
    assert read_versions(db, two) == [1, 0]
    import_export(db, make_export(*two), two, date=ON)
    assert read_versions(db, two) == [1, 1], "the first has it already"


def test_an_import_tells_how_far_it_is(db: psycopg.Connection, two: tuple[str, str]) -> None:
    def steps(schools: tuple[str, ...], *, dry_run: bool) -> list[tuple[int, int]]:
        noted: list[tuple[int, int]] = []
        imported = import_schools(
            db, make_export(*two), schools, date=ON, org="", vanish_share_max=0.1, dry_run=dry_run, keep_ids=False,
            note=lambda connection, school: None, progress=lambda done, total: noted.append((done, total)),
        )  # fmt: skip
        assert len(list(imported)) == len(schools)
        return noted

    assert steps(two, dry_run=True) == [(1, 2), (2, 2)]
    assert steps(two, dry_run=False) == [(1, 4), (2, 4), (3, 4), (4, 4)], "compared, then imported"
    assert steps(two[:1], dry_run=False) == [(1, 1)], "one school is not compared before"
