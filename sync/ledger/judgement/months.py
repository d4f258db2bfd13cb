"""The closing of a month: from then on a newer roster changes nothing in it.

Its days are judged by the rosters of their time and by the entitlements of the roster at the closing. A late event, a
void or a person's decision still changes a visit: the difference to the closed sheet is what a correction sheet lists.
"""

import re
from datetime import datetime

import psycopg

from sync.errors import Wording
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.day_marks import change_basis

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def close_month(connection: psycopg.Connection, school: str, month: str, *, now: datetime) -> bool:
    """Closes a month (`2026-11`) of a school. Returns False where it is closed already.

    Raises NotUnderstood where it is no month, or where days of it have not been judged with all that came.
    """
    if _MONTH.fullmatch(month) is None:
        raise NotUnderstood(f"{month!r} is no month", "write it as 2026-11", Wording("refusal.no_month"))
    with connection.transaction():
        change_basis(connection, school, ())  # takes the school's row: nothing is judged meanwhile
        marked = connection.execute(
            "SELECT min(day), count(*) FROM dirty_day WHERE school = %s AND left(day, 7) = %s", (school, month)
        ).fetchone()
        if marked is not None and marked[1]:
            raise NotUnderstood(
                f"{marked[1]} days of {month}, the first of them {marked[0]}, wait to be judged",
                f"run `edge-agent ledger settle --school {school}` when their sessions are over",
                Wording("obstacle.open_days", count=marked[1], days=marked[0]),
            )
        done = connection.execute(
            "INSERT INTO closed_month (school, month, roster_version, closed_at)"
            " SELECT school, %s, roster_version, %s FROM school WHERE school = %s ON CONFLICT DO NOTHING",
            (month, now, school),
        )
    return bool(done.rowcount)
