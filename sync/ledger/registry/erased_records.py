"""The records of a person who is erased: out of the roster in force, out of former ones, out of the source's rows.

Of former rosters the judged part stays, under a name that is nobody's by then: kind, grade, class, programmes. Each
version's leaf is a digest over it, and without it no bill of the others could be checked again.
"""

import psycopg

from sync.contract import roster
from sync.contract.roster import DeletedRecord
from sync.ledger.registry import rosters
from sync.proof.roster_digest import redact


def end_records(connection: psycopg.Connection, school: str, person: str) -> int:
    """Takes everything of a person out of the roster in force, as a new version, and returns how many records."""
    rows = connection.execute(_CURRENT, {"school": school, "person": person}).fetchall()
    ended = [DeletedRecord(deleted_type=kind, id=name) for kind, name in rows]
    rosters.apply_changes(connection, school, ended)
    return len(ended)


def redact_former_records(connection: psycopg.Connection, school: str, person: str) -> None:
    """Takes names, cards, codes and consents of a person out of all former rosters."""
    rows = connection.execute(_FORMER, {"school": school, "person": person}).fetchall()
    for kind, name, version, body in rows:
        redacted = redact(roster.from_json(body))
        key = (school, kind, name, version)
        if redacted is None:
            connection.execute(_DELETE_RECORD, key)
        else:
            connection.execute(_REPLACE_RECORD, (roster.to_json(redacted).decode(), *key))


def forget_source_rows(connection: psycopg.Connection, school: str, source_id: str) -> int:
    """Deletes what imports remember of a person whose id in the source is this; returns how many rows."""
    return connection.execute(_DELETE_SOURCE_ROWS, {"school": school, "person": source_id}).rowcount


def forget_source_rows_elsewhere(connection: psycopg.Connection, school: str, source_id: str) -> None:
    """Deletes the same at every other school that got the same export and does not have this person.

    Waits for an import that is under way there.
    """
    for (other,) in connection.execute(_SELECT_ELSEWHERE, {"school": school, "person": source_id}).fetchall():
        connection.execute("SELECT 1 FROM school WHERE school = %s FOR NO KEY UPDATE", (other,))
        forget_source_rows(connection, other, source_id)


_OF_PERSON = "((r.type = 'person' AND r.id = %(person)s) OR r.body::jsonb ->> 'person' = %(person)s)"
_CURRENT = f"""
    SELECT r.type, r.id FROM roster_record r
    WHERE r.school = %(school)s AND r.superseded IS NULL AND r.body IS NOT NULL AND {_OF_PERSON}
"""  # noqa: S608  a constant
_FORMER = f"""
    SELECT r.type, r.id, r.version, r.body FROM roster_record r
    WHERE r.school = %(school)s AND r.superseded IS NOT NULL AND r.body IS NOT NULL AND {_OF_PERSON}
"""  # noqa: S608  a constant
_DELETE_RECORD = "DELETE FROM roster_record WHERE school = %s AND type = %s AND id = %s AND version = %s"
_REPLACE_RECORD = "UPDATE roster_record SET body = %s WHERE school = %s AND type = %s AND id = %s AND version = %s"
_DELETE_SOURCE_ROWS = """
    DELETE FROM roster_source WHERE school = %(school)s AND %(person)s IN (
        kept::jsonb -> 0 ->> 'userSourcedId', CASE WHEN file = 'users.csv' THEN sourced_id END
    )
"""
# Of the city: whichever school got the same export.
_SELECT_ELSEWHERE = """
    SELECT school FROM roster_source r WHERE school <> %(school)s AND file = 'users.csv' AND sourced_id = %(person)s
    AND NOT EXISTS (SELECT 1 FROM person_surrogate s WHERE s.school = r.school AND s.source_id = r.sourced_id)
    ORDER BY school
"""
