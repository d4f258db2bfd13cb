"""The log of what operators did: who, what, on which school, when. Rows are only ever added."""

import secrets
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

LOGGED_TEXT_MAX = 300  # characters of a name or a subject


@dataclass(frozen=True, slots=True)
class PrivilegedAct:
    """One act. `school`: '' for the city's own; `subject`: what it was done to, without a secret or a name."""

    done_at: datetime
    done_by: str
    school: str
    act: str
    subject: str


def log_act(connection: psycopg.Connection, school: str, act: str, subject: str, by: str) -> None:
    """Logs an act, in the caller's transaction where there is one."""
    connection.execute(
        "INSERT INTO privileged_act (school, token, done_by, act, subject) VALUES (%s, %s, %s, %s, %s)",
        (school, secrets.token_hex(16), by[:LOGGED_TEXT_MAX], act, subject[:LOGGED_TEXT_MAX]),
    )


def list_acts(connection: psycopg.Connection, school: str | None, limit: int) -> list[PrivilegedAct]:
    """Returns the newest acts, the newest first: of one school, or of all with None."""
    with connection.cursor(row_factory=class_row(PrivilegedAct)) as cursor:
        # Of the city: the newest acts of all schools, where no school is named.
        return cursor.execute(
            "SELECT done_at, done_by, school, act, subject FROM privileged_act"
            " WHERE %(school)s::text IS NULL OR school = %(school)s ORDER BY done_at DESC, token LIMIT %(limit)s",
            {"school": school, "limit": limit},
        ).fetchall()
