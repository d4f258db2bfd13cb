"""The ledger on a cluster: `CITUS_URL` names an empty database on its coordinator.

The other tests of the ledger run there too: `CITUS_URL=… pytest tests/sync/ledger`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import psycopg
import pytest

from sync.ledger.distribution import distribute_tables, prepare_distribution
from sync.ledger.migrate import migrate, steps
from sync.ledger.pages.overview import read_schools
from sync.ledger.recovery.purging import purge_files
from sync.ledger.registry.schools import issue_code
from sync.ledger.server import LedgerServer
from tests.conftest import CITUS_URL
from tests.sync.ledger.distribution.test_schema_files import DISTRIBUTED_SINCE
from tests.sync.ledger.kiosk import Kiosk, accepted, entry, new_school

pytestmark = pytest.mark.skipif(
    not CITUS_URL, reason="no cluster: set CITUS_URL to an empty database on a Citus coordinator"
)


def test_every_table_with_a_school_lies_with_its_school(server: LedgerServer, db: psycopg.Connection) -> None:
    tables = db.execute(
        "SELECT t.table_name::text, t.citus_table_type, t.distribution_column, t.colocation_id, a.attname IS NOT NULL"
        " FROM citus_tables t LEFT JOIN pg_attribute a ON a.attrelid = t.table_name AND a.attname = 'school'"
    ).fetchall()
    of_schools = [row for row in tables if row[4]]
    assert {row[1:3] for row in of_schools} == {("distributed", "school")}
    assert len({row[3] for row in of_schools}) == 1, "all lie beside each other"
    assert {row[0] for row in tables if not row[4]} == {"schema_version", "receipt_key"}
    assert len(tables) > 50
    undistributed = db.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND oid NOT IN (SELECT table_name FROM citus_tables)"
    ).fetchall()
    assert undistributed == []


def test_a_second_start_distributes_nothing(db: psycopg.Connection, server: LedgerServer) -> None:
    migrate(db)
    with db.transaction():
        assert distribute_tables(db) == ()


def test_a_table_of_a_later_schema_follows_with_its_rows(
    db: psycopg.Connection, server: LedgerServer, school: str
) -> None:
    db.execute("CREATE TABLE later (school text NOT NULL REFERENCES school, number int, PRIMARY KEY (school, number))")
    try:
        db.execute("INSERT INTO later VALUES (%s, 1)", (school,))
        migrate(db)
        moved = db.execute("SELECT citus_table_type FROM citus_tables WHERE table_name = 'later'::regclass").fetchone()
        assert moved == ("distributed",)
        assert db.execute("SELECT number FROM later WHERE school = %s", (school,)).fetchall() == [(1,)]
    finally:
        db.execute("DROP TABLE later")


def test_a_purge_says_which_machines_wait_for_theirs(db: psycopg.Connection, server: LedgerServer) -> None:
    workers = db.execute("SELECT node_name, node_port FROM citus_get_active_worker_nodes() ORDER BY 1, 2").fetchall()
    places = [(str(host), int(port)) for host, port in workers]
    purged = purge_files(db)
    assert purged.segments_left == 0
    assert [keeper.split(" ")[0] for keeper in purged.kept_by] == [f"{host}:{port}" for host, port in places]
    for host, port in places:
        with psycopg.connect(server.database_url, host=host, port=port, autocommit=True) as worker:
            there = purge_files(worker)
        assert (there.segments_left, there.kept_by) == (0, ())


@pytest.fixture
def early(db: psycopg.Connection, server: LedgerServer) -> Iterator[psycopg.Connection]:
    """A ledger of the first schema that was distributed, beside the tests' own, with a school and its samples."""
    db.execute("CREATE SCHEMA early")
    with psycopg.connect(server.database_url, autocommit=True, options="-c search_path=early") as connection:
        connection.execute("CREATE TABLE schema_version (number int PRIMARY KEY, applied_at timestamptz DEFAULT now())")
        with connection.transaction():
            prepare_distribution(connection)
            for number, text in steps():
                if number <= DISTRIBUTED_SINCE:
                    connection.execute(text.encode())
                    connection.execute("INSERT INTO schema_version (number) VALUES (%s)", (number,))
            distribute_tables(connection)
        connection.execute("INSERT INTO school (school, name, timezone) VALUES ('s', '', 'UTC')")
        connection.execute(
            "INSERT INTO roster_record (school, type, id, version, body)"
            " SELECT 's', 'person', 'u' || n, 1, '{}' FROM generate_series(1, 100) AS given (n)"
        )
        connection.execute("ANALYZE roster_record")
        yield connection
    db.execute("DROP SCHEMA early CASCADE")


def test_a_distributed_ledger_takes_every_later_schema_and_no_shard_keeps_samples_of_names(
    early: psycopg.Connection,
) -> None:
    samples = (
        "SELECT sum(result::int) FROM run_command_on_shards('roster_record', $$ SELECT count(*) FROM pg_stats"
        " WHERE (schemaname || '.' || tablename)::regclass = '%s'::regclass AND attname = 'body' $$)"
    )
    assert early.execute(samples).fetchone() == (1,), "the school's shard has a sample"
    assert migrate(early) == steps()[-1][0]
    assert early.execute(samples).fetchone() == (0,)
    early.execute("ANALYZE roster_record")
    assert early.execute(samples).fetchone() == (0,)
    assert early.execute("SELECT count(*) FROM roster_record WHERE school = 's'").fetchone() == (100,)
    assert early.execute("SELECT count(*) FROM person_surrogate WHERE school = 's'").fetchone() == (100,)
    with early.transaction():
        assert distribute_tables(early) == ()


def test_no_act_is_changed_on_a_shard(db: psycopg.Connection, server: LedgerServer, school: str) -> None:
    db.execute(
        "INSERT INTO privileged_act (school, token, done_by, act, subject) VALUES (%s, 't', 'a', 'b', '')", (school,)
    )
    with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
        db.execute("DELETE FROM privileged_act WHERE school = %s", (school,))


def test_schools_on_all_machines_deliver_at_once_and_the_city_sees_them(
    db: psycopg.Connection, server: LedgerServer
) -> None:
    schools = [new_school(db) for _ in range(8)]
    machines = db.execute(
        "SELECT count(DISTINCT nodeport) FROM unnest(%s::text[]) AS s (school)"
        " JOIN citus_shards c ON c.shardid = get_shard_id_for_distribution_column('school', s.school)",
        (schools,),
    ).fetchone()
    assert machines is not None
    assert machines[0] > 1, "eight schools lie on several machines"
    codes = [issue_code(db, school, "left door", datetime.now(UTC)) for school in schools]
    kiosks = [Kiosk.enrol(server.url, code) for code in codes]
    for school, kiosk in zip(schools, kiosks, strict=True):
        kiosk.record(*(entry(f"p{number}", school=school, minute=number) for number in range(20)))
    with ThreadPoolExecutor(8) as pool:
        replies = [*pool.map(lambda kiosk: kiosk.send_all(), kiosks)]
    assert {accepted(reply).accepted_through for reply in replies} == {20}
    for kiosk in kiosks:
        kiosk.close()
    rows = {row.school: row for row in read_schools(db, "", date(2026, 11, 1), date(2026, 11, 30))}
    assert {rows[school].open_days for school in schools} == {1}
    assert all(rows[school].last_event for school in schools)
