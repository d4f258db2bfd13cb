"""Small marks beside the chain, such as the roster's version and when it was confirmed."""

import sqlite3
from collections.abc import Mapping

from edge_agent.journal.store import Store

ROSTER_VERSION = "roster_version"
ROSTER_CONFIRMED = "roster_confirmed_at"
ROSTER_KNOWS = "roster_knows"  # the later record types that the roster in force was asked for with
LEDGER_INCARNATION = "ledger_incarnation"  # of the ledger that the roster's version is of

SELECT_MARK = "SELECT value FROM state WHERE key = ?"
SELECT_MARKS = "SELECT key, value FROM state"
UPSERT_MARK = "INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class MarkTable:
    """The marks of one journal, by their keys."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, key: str) -> str | None:
        rows = self._store.read(SELECT_MARK, (key,))
        return str(rows[0][0]) if rows else None

    def roster_version(self) -> int:
        """Returns the version of the roster in force; 0: none yet."""
        return int(self.read(ROSTER_VERSION) or 0)

    def write(self, values: Mapping[str, str]) -> None:
        self._store.write(lambda connection: write_marks(connection, values))


def read_all_marks(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute(SELECT_MARKS).fetchall())


def write_marks(connection: sqlite3.Connection, values: Mapping[str, str]) -> None:
    """Sets these marks inside the caller's transaction."""
    connection.executemany(UPSERT_MARK, values.items())
