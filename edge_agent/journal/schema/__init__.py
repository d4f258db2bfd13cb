"""The journal's schema: numbered files, applied in order, each in one transaction with the note that it ran.

A file that was once delivered is never changed; a change goes into the next number.

This page only reads, with the sqlite3 that every process has. `migrations.py` beside it changes the schema; it needs
sqlite-utils, and runs in a process of its own (`edge_agent.journal.migrate`).
"""

import sqlite3
from collections.abc import Iterable, Iterator
from importlib.resources import files

from edge_agent.journal.errors import SET_ASIDE, JournalDamaged, JournalNewer

MIGRATION_SET = "journal"
# The table in which sqlite-utils notes what it has applied. A test holds the two together.
MIGRATIONS_TABLE = "_sqlite_migrations"

SELECT_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
SELECT_APPLIED_STEPS = "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id"
SELECT_OBJECTS = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"


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
    """Returns the steps that this database must still take, in order.

    Raises `JournalNewer` when the database has steps that this version does not know, `JournalDamaged` when no version
    could have made it.
    """
    all_steps, applied = step_names(), read_applied_steps(connection)
    if applied == all_steps[: len(applied)]:
        return all_steps[len(applied) :]
    if applied[: len(all_steps)] == all_steps:
        raise JournalNewer(f"this journal was written by a later version ({applied[-1]}); install that version again")
    raise JournalDamaged(f"no version made the schema {applied}; {SET_ASIDE}")


def check(connection: sqlite3.Connection) -> None:
    """Checks that every table and trigger is there as its step made it. Raises `JournalDamaged`.

    Only of the steps that were taken: a journal of an older version that was not opened since is whole, too. What a
    later step makes is not there yet: otherwise the note of that step is gone.
    """
    all_steps = step_names()
    applied = read_applied_steps(connection)[: len(all_steps)]
    if not applied or applied != all_steps[: len(applied)]:
        raise JournalDamaged(f"no version made the schema {applied}; {SET_ASIDE}")
    expected, later = _make_objects(applied, all_steps[len(applied) :])
    present = _read_objects(connection)
    for name, sql in expected.items():
        if present.get(name) != sql:
            raise JournalDamaged(f"{name} is not as the schema has it; {SET_ASIDE}")
    for name in later:
        if name in present:
            raise JournalDamaged(f"{name} is there, and its step was not taken; {SET_ASIDE}")


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
