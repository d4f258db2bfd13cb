"""Visits and claims per school-day: judged from the columns of the events, and read again as they were judged.

A day is settled in one transaction, under the school's row, so that no roster changes meanwhile. What comes while a
day is judged marks it again (`sync.ledger.judgement.day_marks`), and the next settling takes that in.
"""

from datetime import date, datetime

import psycopg

from sync.contract.visits import Visit, VisitClosing, VisitDraft, draft_visits
from sync.ledger.judgement.day_events import read_day_events
from sync.ledger.judgement.judgement_basis import SchoolBasis, read_basis
from sync.ledger.judgement.visit_rows import read_visit_rows, replace_visits, to_visit


def settle_days(connection: psycopg.Connection, school: str, *, now: datetime) -> tuple[str, ...]:
    """Judges the marked days of a school again and returns them, ascending.

    A day on which a session still runs at `now` stays marked. Each day is settled in a transaction of its own.
    """
    days = [row[0] for row in connection.execute(_SELECT_MARKED, {"school": school})]
    if not days:
        return ()
    basis = read_basis(connection, school)
    for day in days:
        basis = _settle_day(connection, day, basis, now)
    return tuple(days)


# A day whose events are in a detached month keeps its visits, and its mark.
_SELECT_MARKED = """
    SELECT day FROM dirty_day d WHERE d.school = %(school)s
      AND NOT EXISTS (SELECT 1 FROM detached_day a WHERE a.school = %(school)s AND a.day = d.day)
    ORDER BY day
"""


def _settle_day(connection: psycopg.Connection, day: str, basis: SchoolBasis, now: datetime) -> SchoolBasis:
    """Judges one day. Returns the basis by which it was judged: another one where it has changed meanwhile."""
    school = basis.school
    with connection.transaction():
        newest = connection.execute(
            "SELECT basis_version FROM school WHERE school = %s FOR NO KEY UPDATE", (school,)
        ).fetchone()
        if newest != (basis.version,):
            basis = read_basis(connection, school)
        marks = connection.execute(
            "SELECT marks FROM dirty_day WHERE school = %s AND day = %s", (school, day)
        ).fetchone()
        if marks is None:
            return basis  # another process has settled it
        drafts = _judge_day(connection, day, basis, now)
        replace_visits(connection, school, day, drafts, now)
        if all(draft.closing is not VisitClosing.OPEN for draft in drafts):
            connection.execute(
                "DELETE FROM dirty_day WHERE school = %s AND day = %s AND marks = %s", (school, day, marks[0])
            )
    return basis


def _judge_day(connection: psycopg.Connection, day: str, basis: SchoolBasis, now: datetime) -> list[VisitDraft]:
    """Returns the visits of one day, as they follow from the columns of its events."""
    events = read_day_events(connection, basis.school, day)
    drafts, _ = draft_visits(
        events.received, timetable=basis.timetable, now=now, clocks=events.clocks, basis=basis.judgement
    )
    return [draft for draft in drafts if draft.day == day]


def read_visits(connection: psycopg.Connection, school: str, first: date, last: date, person: str = "") -> list[Visit]:
    """Returns the visits from `first` to `last` inclusive as they were settled, by true time, then by entry.

    Only those of one person where `person` names it.

    Call `settle_days` before, where the newest events must be in them.
    """
    return [to_visit(row) for row in read_visit_rows(connection, school, first.isoformat(), last.isoformat(), person)]
