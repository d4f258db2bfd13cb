"""The schema is brought up to date by a process of its own, whatever happens to it."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from edge_agent.journal import schema
from edge_agent.journal.errors import JournalBusy, JournalDamaged, JournalError, JournalNewer, JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.journal.migrate import PROGRAM, migrate, migrate_in_child
from edge_agent.journal.schema.migrations import migrations
from edge_agent.journal.store import ProcessLock, connect, connect_read_only
from edge_agent.journal.verify import verify_journal
from tests.edge_agent.journal.samples import KIOSK, StandingClock, build_entry, open_journal

pytestmark = pytest.mark.slow

STEPS = schema.step_names()


def open_with_child(path: Path) -> Journal:
    """Opens the journal as the daemon does."""
    return Journal.open(path, KIOSK, now=StandingClock(), ballast_bytes=0)


def make_older_journal(path: Path, steps: int) -> None:
    """Leaves a journal that has taken so many of the steps."""
    connection = connect(path)
    if steps:
        stop_before = STEPS[steps] if steps < len(STEPS) else None
        migrations.apply(Database(connection), stop_before=stop_before)
    assert schema.read_applied_steps(connection) == STEPS[:steps]
    connection.close()


def read_schema(path: Path) -> list[tuple[str, str]]:
    connection = connect_read_only(path)
    try:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    finally:
        connection.close()


def read_applied_steps(path: Path) -> list[str]:
    connection = connect_read_only(path)
    try:
        return schema.read_applied_steps(connection)
    finally:
        connection.close()


def test_every_file_has_a_migration_with_its_name() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        assert [step.name for step in migrations.pending(Database(connection))] == STEPS


def test_the_steps_are_read_as_sqlite_utils_notes_them(tmp_path: Path) -> None:
    """The daemon reads the table of applied migrations without the library that writes it."""
    assert Migrations.migrations_table == schema.MIGRATIONS_TABLE
    path = tmp_path / "j.db"
    make_older_journal(path, 2)
    database = Database(path)
    assert [step.name for step in migrations.applied(database)] == read_applied_steps(path) == STEPS[:2]
    database.close()


@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_every_older_schema_is_brought_up_to_date(tmp_path: Path, steps: int) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    make_older_journal(old, steps)
    for path, opener in ((old, open_with_child), (new, open_journal)):
        with opener(path) as journal:
            journal.append(build_entry(1))
    assert read_schema(old) == read_schema(new)
    assert verify_journal(old).whole


def test_a_step_that_fails_leaves_the_schema_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    connection = connect(path)
    connection.execute("CREATE TABLE sighting (in_the_way INTEGER)")
    connection.close()
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(path)
    with pytest.raises(JournalDamaged, match="already exists; set the journal aside"):
        open_with_child(path)
    assert "event" not in [name for name, _ in read_schema(path)]
    assert read_applied_steps(path) == []


@pytest.mark.timeout(600)
def test_a_killed_child_leaves_the_old_schema_or_the_new(tmp_path: Path) -> None:
    step_counts = set()
    for statements in range(0, 120, 3):
        path = tmp_path / f"{statements}.db"
        make_older_journal(path, 1)
        if migrates_alive(path, statements):
            break
        steps = read_applied_steps(path)
        step_counts.add(len(steps))
        assert steps == STEPS[: len(steps)]
        check_schema(path)
        with open_journal(path) as journal:
            journal.append(build_entry(1))
        assert read_applied_steps(path) == STEPS
        assert verify_journal(path).whole
    assert read_applied_steps(path) == STEPS, "the child was never let through"
    assert step_counts == set(range(1, len(STEPS))), "it was not killed between the steps"


def migrates_alive(path: Path, statements: int) -> bool:
    """Has a child migrate that is killed before this statement; returns if it was done by then."""
    program = [sys.executable, "-m", "tests.edge_agent.journal.dying_migrator", str(statements)]
    lock = ProcessLock.take(path)
    try:
        migrate_in_child(path, lock, program=program)
    except JournalError as error:
        if "ended with signal 9; no step is half taken" not in str(error):
            raise
        return False
    finally:
        lock.release()
    return True


def check_schema(path: Path) -> None:
    connection = connect_read_only(path)
    try:
        schema.check(connection)
    finally:
        connection.close()


def take_future_step(path: Path, *statements: str) -> None:
    """Leaves what a later version would: these statements, and the note of a step that this version does not know."""
    note = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('journal', '9999_future', '')"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (*statements, note):
            connection.execute(statement)


def test_a_later_versions_journal_goes_on_without_a_child(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append(build_entry(1))
    take_future_step(path, "CREATE TABLE kitchen (dish TEXT) STRICT", "CREATE INDEX kitchen_dish ON kitchen (dish)")
    lock = ProcessLock.take(path)
    migrate_in_child(path, lock, program=["/bin/false"])
    lock.release()
    with open_with_child(path) as journal:
        journal.append(build_entry(2))
        assert journal.outbox.head.seq == 2
    assert verify_journal(path).whole
    assert read_applied_steps(path) == [*STEPS, "9999_future"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE UNIQUE INDEX one_roster ON event (seq)",
        "CREATE TRIGGER closed BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'closed'); END",
        "CREATE TABLE kitchen (person TEXT REFERENCES replacement_card (person)) STRICT",
    ],
    ids=["index", "trigger", "foreign key"],
)
def test_what_a_later_version_laid_over_our_tables_is_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "j.db"
    open_journal(path).close()
    take_future_step(path, statement)
    with pytest.raises(JournalNewer, match="9999_future"):
        open_with_child(path)


def test_a_later_version_that_changed_our_table_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    open_journal(path).close()
    take_future_step(path, "ALTER TABLE replacement_card ADD COLUMN colour TEXT")
    with closing(connect_read_only(path)) as connection, pytest.raises(JournalDamaged, match="replacement_card"):
        schema.check(connection)


def test_a_step_that_fails_is_the_versions_fault_and_not_the_journals(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    make_older_journal(path, len(STEPS) - 1)
    before = read_schema(path)
    code = """
import edge_agent.journal.schema as schema
from edge_agent.journal.migrate import main
schema.read_statements = lambda step: iter(["CREATE TABLE dish (name TEXT;"])
raise SystemExit(main())
"""
    lock = ProcessLock.take(path)
    with pytest.raises(JournalError, match="a step of this version's schema fails") as failure:
        migrate_in_child(path, lock, program=[sys.executable, "-c", code])
    lock.release()
    assert not isinstance(failure.value, JournalDamaged)
    assert read_schema(path) == before


def test_steps_from_the_first_release_on_only_add(tmp_path: Path) -> None:
    """The version before each of our own steps goes on with the journal that it leaves."""
    last_of_first_release = STEPS.index("0169_enrolment")
    for known in range(last_of_first_release, len(STEPS)):
        path = tmp_path / f"{known}.db"
        make_older_journal(path, known + 1)
        before = dict(read_schema(path))
        migrate(path)
        after = dict(read_schema(path))
        assert {name: after.get(name) for name in before} == before
        with closing(connect_read_only(path)) as connection:
            ours = {name: sql for name, sql in before.items() if sql is not None}
            schema._check_additions(connection, ours, STEPS[-1])


@pytest.mark.parametrize(
    ("name", "raised"),
    [("JournalUnwritable", JournalUnwritable), ("JournalNewer", JournalNewer), ("JournalError", JournalError)],
)
def test_the_childs_error_reaches_the_parent(tmp_path: Path, name: str, raised: type[JournalError]) -> None:
    path = tmp_path / "j.db"
    lock = ProcessLock.take(path)
    line = f'{{"error":"{name}","message":"the disk is full; free it"}}'
    with pytest.raises(JournalError, match="the disk is full; free it") as failure:
        migrate_in_child(path, lock, program=[sys.executable, "-c", f"print('{line}'); raise SystemExit(1)"])
    assert type(failure.value) is raised
    lock.release()


def test_a_child_without_a_word_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    lock = ProcessLock.take(path)
    with pytest.raises(JournalError, match="ended with exit code 1; no step is half taken: see its last lines"):
        migrate_in_child(path, lock, program=["/bin/false"])
    lock.release()


def test_by_hand_it_takes_the_lock_itself(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    subprocess.run([*PROGRAM, str(path)], check=True)
    assert read_applied_steps(path) == STEPS
    with open_journal(path):
        done = subprocess.run([*PROGRAM, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert '"error":"JournalBusy"' in done.stdout
    assert str(os.getpid()) in done.stdout


def test_the_journal_stays_locked_until_the_child_has_ended(tmp_path: Path) -> None:
    """The daemon may be killed while its child migrates; the next one must not write beside that child."""
    path = tmp_path / "j.db"
    child_code = "import sys; from edge_agent.journal.store import ProcessLock; ProcessLock(int(sys.argv[3]))\n"
    child_code += "print('in', file=sys.stderr, flush=True); open(sys.argv[1] + '.gate').read()"
    parent_code = (
        "import sys; from pathlib import Path; from edge_agent.journal.migrate import migrate_in_child\n"
        "from edge_agent.journal.store import ProcessLock\n"
        "path = Path(sys.argv[1])\n"
        "migrate_in_child(path, ProcessLock.take(path), program=[sys.executable, '-c', sys.argv[2]])"
    )
    os.mkfifo(f"{path}.gate")
    with subprocess.Popen(
        [sys.executable, "-c", parent_code, str(path), child_code], stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stderr is not None
        assert parent.stderr.readline() == "in\n"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        pid = int(path.with_name("j.db.lock").read_text())
        assert pid != parent.pid
        with pytest.raises(JournalBusy, match=str(pid)):
            open_journal(path)
        Path(f"{path}.gate").write_text("go")
        assert parent.stderr.read() == ""  # the child holds the other end: it has ended
    open_journal(path).close()


def test_opening_a_journal_loads_neither_sqlite_utils_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.edge_agent.journal.samples import KIOSK, StandingClock\n"
        "from edge_agent.journal.journal import Journal\n"
        "Journal.open(Path(sys.argv[1]), KIOSK, now=StandingClock(), ballast_bytes=0).close()\n"
        "print(sorted({'sqlite_utils', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "j.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert read_applied_steps(tmp_path / "j.db") == STEPS


def test_the_program_loads_nothing_that_a_new_file_does_not_need(tmp_path: Path) -> None:
    """A child may be waiting, and NumPy is a third of what there is to load."""
    program = "import sys; from edge_agent.journal.migrate import main; main(); print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "j.db")], capture_output=True, text=True, check=True
    )
    loaded = done.stdout
    assert "'sqlite_utils'" in loaded
    assert "'numpy.linalg'" not in loaded
