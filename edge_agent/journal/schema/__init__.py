"""The journal's schema: numbered files, applied in order, each in one transaction with the note that it ran.

A file that was once delivered is never changed; a change goes into the next number. A step only adds: tables of its
own, with indexes and triggers on them. So an agent that was rolled back goes on with the journal of the later version
(decision 71), whose steps it does not know. `check` holds the later version to that.

This page only reads, with the sqlite3 that every process has. `migrations.py` beside it changes the schema; it needs
sqlite-utils, and runs in a process of its own (`edge_agent.journal.migrate`).
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib.resources import files

from edge_agent.journal.errors import SET_ASIDE, JournalDamaged, JournalError, JournalNewer

MIGRATION_SET = "journal"
# The table in which sqlite-utils notes what it has applied. A test holds the two together.
MIGRATIONS_TABLE = "_sqlite_migrations"

SELECT_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
SELECT_APPLIED_STEPS = "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id"
SELECT_OBJECTS = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
SELECT_TABLES_OF_OBJECTS = "SELECT name, type, tbl_name FROM sqlite_master"
SELECT_REFERENCED_TABLES = 'SELECT "table" FROM pragma_foreign_key_list(?)'


def step_names() -> list[str]:
    """Returns every step that this version knows, in order, such as `0001_journal`."""
    file_names = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".sql") for name in file_names if name.endswith(".sql"))


def read_applied_steps(connection: sqlite3.Connection) -> list[str]:
    """Returns the steps that this database has taken, in order."""
    if connection.execute(SELECT_TABLE, (MIGRATIONS_TABLE,)).fetchone() is None:
        return []
    return [name for (name,) in connection.execute(SELECT_APPLIED_STEPS, (MIGRATION_SET,)).fetchall()]


def read_missing_steps(connection: sqlite3.Connection) -> list[str]:
    """Returns the steps that this database must still take, in order; none where a later version took more of them.

    Raises `JournalDamaged` when no version could have made it.
    """
    all_steps, applied = step_names(), read_applied_steps(connection)
    if applied == all_steps[: len(applied)]:
        return all_steps[len(applied) :]
    if _has_all(applied, all_steps):
        return []
    raise JournalDamaged(f"no version made the schema {applied}; {SET_ASIDE}")


def _has_all(applied: list[str], all_steps: list[str]) -> bool:
    """Returns True where a later version made this schema: our steps in our order, and others among them."""
    return [name for name in applied if name in set(all_steps)] == all_steps


def check(connection: sqlite3.Connection) -> None:
    """Checks that every table and trigger is there as its step made it. Raises `JournalDamaged`, and `JournalNewer`
    where a later version has laid something over our tables.

    Only of the steps that were taken: a journal of an older version that was not opened since is whole, too. What a
    later step makes is not there yet: otherwise the note of that step is gone.
    """
    all_steps = step_names()
    noted = read_applied_steps(connection)
    is_newer = _has_all(noted, all_steps) and len(noted) > len(all_steps)
    applied = all_steps if is_newer else noted
    if not applied or applied != all_steps[: len(applied)]:
        raise JournalDamaged(f"no version made the schema {applied}; {SET_ASIDE}")
    expected, later = _make_objects(applied, all_steps[len(applied) :])
    present = _read_objects(connection)
    if is_newer:
        _check_additions(connection, expected, noted[-1])
    for name, sql in expected.items():
        if present.get(name) != sql:
            raise JournalDamaged(f"{name} is not as the schema has it; {SET_ASIDE}")
    for name in later:
        if name in present:
            raise JournalDamaged(f"{name} is there, and its step was not taken; {SET_ASIDE}")


def check_steps() -> None:
    """Checks that this version's own steps can be taken. Raises `JournalError` where they cannot: a journal must not be
    set aside for the fault of a program.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        try:
            _execute_steps(fresh, step_names())
        except sqlite3.Error as error:
            raise JournalError(
                f"a step of this version's schema fails: {error}; the journal is as it was: run the version before "
                "this one again (edge-agent update back)"
            ) from error


def _check_additions(connection: sqlite3.Connection, ours: dict[str, str], last_step: str) -> None:
    """Checks that what a later version added stands beside our tables. Raises `JournalNewer` where it hangs on them: a
    trigger, an index or a foreign key may refuse what we write.
    """
    for name, kind, table in connection.execute(SELECT_TABLES_OF_OBJECTS).fetchall():
        if name in ours or name.startswith("sqlite_") or name == MIGRATIONS_TABLE:
            continue
        held = {table} if kind in {"trigger", "index"} else set()
        if kind == "table":
            held = {row[0] for row in connection.execute(SELECT_REFERENCED_TABLES, (name,)).fetchall()}
        if held & ours.keys():
            raise JournalNewer(
                f"a later version ({last_step}) has laid {name} over {', '.join(sorted(held & ours.keys()))}; "
                "install that version again"
            )


def _make_objects(applied: Iterable[str], missing: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Returns the tables and triggers of the applied steps, by name, and the names that the missing steps add."""
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    try:
        _execute_steps(fresh, applied)
        expected = _read_objects(fresh)
        _execute_steps(fresh, missing)
        return expected, _read_objects(fresh).keys() - expected.keys()
    finally:
        fresh.close()


def _execute_steps(connection: sqlite3.Connection, steps: Iterable[str]) -> None:
    for name in steps:
        for statement in read_statements(name):
            connection.execute(statement)


def read_statements(step: str) -> Iterator[str]:
    """Yields the statements of a step one by one.

    `executescript` would take them all, but it first commits the transaction in which the step runs.
    """
    statement = ""
    for line in files(__name__).joinpath(f"{step}.sql").read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _read_objects(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute(SELECT_OBJECTS).fetchall())
