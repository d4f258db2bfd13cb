"""The journal's schema: numbered files, applied in order, each in one transaction with the note that it ran.

A file that was once delivered is never changed; what is new goes into the next number.
"""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING

from edge_agent.journal.errors import SET_ASIDE, JournalDamaged, JournalNewer

if TYPE_CHECKING:
    from sqlite_utils import Database

_SET = "journal"


def names() -> list[str]:
    """Every step that this version knows, in order: `0001_journal`."""
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".sql") for name in found if name.endswith(".sql"))


def applied(connection: sqlite3.Connection) -> list[str]:
    """The steps that this database has taken."""
    table = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlite_migrations'")
    if table.fetchone() is None:
        return []
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id", (_SET,))
    return [name for (name,) in rows]


def migrate(connection: sqlite3.Connection, *, stop_before: str | None = None) -> None:
    """Take the steps that are missing. Raises `JournalNewer` when the database is ahead of us, `JournalDamaged`."""
    known, taken = names(), applied(connection)
    if taken == known:
        return
    if taken[: len(known)] == known:
        raise JournalNewer(f"this journal was written by a later version ({taken[-1]}); install that version again")
    if taken != known[: len(taken)]:
        raise JournalDamaged(f"no version made the schema {taken}; {SET_ASIDE}")
    # Loaded only when there is something to do: it brings a good deal with it, and a start should be quick.
    from sqlite_utils import Database, Migrations

    migrations = Migrations(_SET)
    for name in known:
        migrations(name=name)(_Step(name))
    migrations.apply(Database(connection), stop_before=stop_before)


def check(connection: sqlite3.Connection) -> None:
    """Every table and trigger is there as its step made it. Raises `JournalDamaged`.

    Only of the steps that were taken: a journal of an older version, not opened since, is whole, too.
    """
    known = names()
    taken = applied(connection)[: len(known)]
    if not taken or taken != known[: len(taken)]:
        raise JournalDamaged(f"no version made the schema {taken}; {SET_ASIDE}")
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for name in taken:
            for statement in _statements(_script(name)):
                fresh.execute(statement)
        expected = _objects(fresh)
    finally:
        fresh.close()
    found = _objects(connection)
    for name, sql in expected.items():
        if found.get(name) != sql:
            raise JournalDamaged(f"{name} is not as the schema has it; {SET_ASIDE}")


def _objects(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _script(name: str) -> str:
    return files(__name__).joinpath(f"{name}.sql").read_text("utf-8")


class _Step:
    """One numbered file as the migration that sqlite-utils runs."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, db: "Database", /) -> None:
        for statement in _statements(_script(self.__name__)):
            db.conn.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """One by one, since `executescript` would first commit the transaction that the step runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
