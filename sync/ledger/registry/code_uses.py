"""The steps of changing codes that were used in a school: noted with the events, handed to the school's kiosks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import psycopg

from sync.contract.dynamic_codes import CODE_USES_PAGE, STEP_S, CodeUse, CodeUsePage

_AHEAD_STEPS: Final = 4  # a phone's clock may be ahead, and so may a kiosk's

# An earlier step changes nothing: only the last one of a person says what is taken no more.
_NOTE: Final = """
    WITH head AS (
        INSERT INTO code_use_head (school, version) VALUES (%(school)s, 1)
        ON CONFLICT (school) DO UPDATE SET version = code_use_head.version + 1 RETURNING version
    )
    INSERT INTO code_use (school, person, step, version)
    SELECT %(school)s, given.person, given.step, head.version
    FROM unnest(%(people)s::text[], %(steps)s::int8[]) AS given (person, step), head
    ORDER BY given.person
    ON CONFLICT (school, person) DO UPDATE SET step = excluded.step, version = excluded.version
    WHERE code_use.step < excluded.step
"""


def note_code_uses(connection: psycopg.Connection, school: str, steps: Mapping[str, int], now: datetime) -> None:
    """Notes the last step of each person, inside the caller's transaction. Waits for nothing.

    A step of the future is noted nowhere: no phone can have shown it, and it would shut its owner out until then.
    """
    latest = int(now.timestamp()) // STEP_S + _AHEAD_STEPS
    sound = {person: step for person, step in steps.items() if 0 < step <= latest and "\0" not in person}
    if sound:
        connection.execute(_NOTE, {"school": school, "people": list(sound), "steps": list(sound.values())})


def read_page(connection: psycopg.Connection, school: str, since: int, limit: int = CODE_USES_PAGE) -> CodeUsePage:
    """Returns the uses after number `since`. A kiosk ahead of the ledger (one that was restored) gets everything."""
    row = connection.execute("SELECT version FROM code_use_head WHERE school = %s", (school,)).fetchone()
    newest = int(row[0]) if row else 0
    start = since if since <= newest else 0
    # A page ends between two numbers: the people of one batch, at most as many as it has events, are told together.
    rows = connection.execute(
        "WITH later AS (SELECT version FROM code_use WHERE school = %(school)s AND version > %(start)s"
        " AND version <= %(newest)s ORDER BY version LIMIT %(limit)s)"
        " SELECT person, step, version FROM code_use WHERE school = %(school)s AND version > %(start)s"
        " AND version <= (SELECT max(version) FROM later) ORDER BY version, person",
        {"school": school, "start": start, "newest": newest, "limit": limit},
    ).fetchall()
    more = len(rows) >= limit and int(rows[-1][2]) < newest
    version = int(rows[-1][2]) if more else newest
    uses = tuple(CodeUse(person=person, step=step) for person, step, _ in rows)
    return CodeUsePage(school=school, since=since, version=version, uses=uses, more=more)


def forget_absent(connection: psycopg.Connection, school: str) -> None:
    """Forgets the uses of people who are not on the school's roster, inside the caller's transaction."""
    connection.execute(
        "DELETE FROM code_use u WHERE u.school = %(school)s AND NOT EXISTS (SELECT 1 FROM roster_record r"
        " WHERE r.school = %(school)s AND r.type = 'person' AND r.id = u.person AND r.superseded IS NULL"
        " AND r.body IS NOT NULL)",
        {"school": school},
    )
