"""Whatever the journal keeps of a person beside the roster, it forgets with the person's place on it."""

import sqlite3
from typing import Final

TABLES_OF_PEOPLE: Final = ("code_use", "replacement_card", "desk_consent", "enrolment_mark")


def forget_strangers(connection: sqlite3.Connection) -> None:
    """Deletes the rows of people who are not on the roster, inside the caller's transaction."""
    for table in TABLES_OF_PEOPLE:
        connection.execute(f"DELETE FROM {table} WHERE person NOT IN (SELECT id FROM roster WHERE type = 'person')")  # noqa: S608  the names stand above
