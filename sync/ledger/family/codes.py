"""Paper codes of families, and the devices that they have let in.

A code names the school, so that the school's shard alone can answer, and has 20 letters of 31: 99 random bits. It is
printed on the slip beside the keys by which the family checks proofs. Whoever enters it gets a session of that device,
until the school year's end; the family and the school can shut out each device alone.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import psycopg

from sync.ledger.errors import NotUnderstood
from sync.ledger.paper_codes import draw_code, hash_code, hash_secret, parse_code_school

DEVICES_MAX: Final = 8  # of one code
DEVICE_NAME_CHARS_MAX: Final = 120
_CODE_GROUPS: Final = 5
_YEAR_ENDS: Final = (8, 31)  # month and day: the next school year begins on 1 September


@dataclass(frozen=True, slots=True)
class FamilySession:
    """A device that may read one child's pages."""

    school: str
    person: str
    token_hash: bytes
    form_token: str


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session, with the secret that only the device keeps."""

    token: str
    session: FamilySession


@dataclass(frozen=True, slots=True)
class FamilyDevice:
    """A device with an open session, as the family sees it."""

    name: str
    opened_at: datetime
    token_hash: bytes


def find_year_end(now: datetime) -> datetime:
    """Returns the moment at which the school year of `now` is over."""
    today = now.date()
    end = date(today.year, *_YEAR_ENDS)
    if today > end:
        end = date(today.year + 1, *_YEAR_ENDS)
    return datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=1)


def issue_family_code(connection: psycopg.Connection, school: str, person: str, *, by: str, now: datetime) -> str:
    """Returns a new code for a child's family. It is shown once. Raises NotUnderstood for a child of no roster."""
    row = connection.execute(
        "SELECT 1 FROM roster_record WHERE school = %s AND type = 'person' AND id = %s AND superseded IS NULL"
        " AND body IS NOT NULL",
        (school, person),
    ).fetchone()
    if row is None:
        raise NotUnderstood(f"no person {person!r} on the roster of school {school!r}")
    code = draw_code(school, _CODE_GROUPS)
    connection.execute(
        "INSERT INTO family_code (school, code_hash, person, issued_at, issued_by, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (school, hash_code(code, _CODE_GROUPS), person, now, by, find_year_end(now)),
    )
    return code


def revoke_family_codes(connection: psycopg.Connection, school: str, person: str, now: datetime) -> int:
    """Takes back all codes of a child and shuts out all devices; returns how many codes."""
    with connection.transaction():
        connection.execute(
            "UPDATE family_session SET revoked_at = %(now)s WHERE school = %(school)s AND revoked_at IS NULL"
            " AND code_hash IN (SELECT code_hash FROM family_code WHERE school = %(school)s AND person = %(person)s)",
            {"school": school, "person": person, "now": now},
        )
        done = connection.execute(
            "UPDATE family_code SET revoked_at = %s WHERE school = %s AND person = %s AND revoked_at IS NULL",
            (now, school, person),
        )
    return done.rowcount


def delete_family_codes(connection: psycopg.Connection, school: str, person: str) -> None:
    """Deletes all codes of a child who is erased, and all devices that they let in."""
    place = {"school": school, "person": person}
    connection.execute(
        "DELETE FROM family_session WHERE school = %(school)s AND code_hash IN"
        " (SELECT code_hash FROM family_code WHERE school = %(school)s AND person = %(person)s)",
        place,
    )
    connection.execute("DELETE FROM family_code WHERE school = %(school)s AND person = %(person)s", place)


def enter_code(connection: psycopg.Connection, code: str, name: str, now: datetime) -> OpenedSession | None:
    """Returns a session for the device that shows this code; None where the code is wrong, over, or used up."""
    code = "".join(code.split())
    school = parse_code_school(code, _CODE_GROUPS)
    if "\0" in code or "\0" in name:
        return None
    code_hash = hash_code(code, _CODE_GROUPS)
    with connection.transaction():
        row = connection.execute(
            "SELECT person, expires_at FROM family_code"
            " WHERE school = %s AND code_hash = %s AND revoked_at IS NULL AND expires_at > %s FOR UPDATE",
            (school, code_hash, now),
        ).fetchone()
        if row is None:
            return None
        used = connection.execute(
            "SELECT count(*) FROM family_session WHERE school = %s AND code_hash = %s AND revoked_at IS NULL",
            (school, code_hash),
        ).fetchone()
        if used is None or used[0] >= DEVICES_MAX:
            return None
        token = f"{school}.{secrets.token_urlsafe(32)}"
        session = FamilySession(school, row[0], hash_secret(token), secrets.token_urlsafe(16))
        connection.execute(
            "INSERT INTO family_session (school, token_hash, code_hash, name, form_token, opened_at, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                school,
                session.token_hash,
                code_hash,
                name[:DEVICE_NAME_CHARS_MAX],
                session.form_token,
                now,
                row[1],
            ),
        )
    return OpenedSession(token, session)


def find_session(connection: psycopg.Connection, token: str, now: datetime) -> FamilySession | None:
    """Returns the session of a device's secret; None where there is none, or none any more."""
    school, dot, _ = token.rpartition(".")
    if not dot or "\0" in token or len(token) > 200:
        return None
    row = connection.execute(
        "SELECT c.person, s.token_hash, s.form_token FROM family_session s"
        " JOIN family_code c ON c.school = s.school AND c.code_hash = s.code_hash"
        " WHERE s.school = %s AND s.token_hash = %s AND s.revoked_at IS NULL AND c.revoked_at IS NULL"
        " AND s.expires_at > %s",
        (school, hash_secret(token), now),
    ).fetchone()
    if row is None:
        return None
    return FamilySession(school, row[0], bytes(row[1]), row[2])


def list_family_devices(connection: psycopg.Connection, session: FamilySession, now: datetime) -> list[FamilyDevice]:
    """Returns the devices that read the same child's pages, the newest first."""
    rows = connection.execute(
        "SELECT s.name, s.opened_at, s.token_hash FROM family_session s"
        " JOIN family_code c ON c.school = s.school AND c.code_hash = s.code_hash"
        " WHERE s.school = %s AND c.person = %s AND s.revoked_at IS NULL AND s.expires_at > %s"
        " ORDER BY s.opened_at DESC",
        (session.school, session.person, now),
    )
    return [FamilyDevice(name, opened_at, bytes(token_hash)) for name, opened_at, token_hash in rows]


def revoke_device(connection: psycopg.Connection, session: FamilySession, token_hash: bytes, now: datetime) -> bool:
    """Shuts out one device of the same child. Returns False where it is none of theirs."""
    done = connection.execute(
        "UPDATE family_session SET revoked_at = %(now)s WHERE school = %(school)s AND token_hash = %(token_hash)s"
        " AND revoked_at IS NULL AND code_hash IN ("
        " SELECT code_hash FROM family_code WHERE school = %(school)s AND person = %(person)s)",
        {"school": session.school, "person": session.person, "token_hash": token_hash, "now": now},
    )
    return done.rowcount == 1
