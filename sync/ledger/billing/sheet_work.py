"""One act on a sheet from end to end: the month is settled, its facts are read, the act is done."""

from dataclasses import replace
from datetime import datetime

import psycopg

from sync.ledger.billing import sheets
from sync.ledger.billing.closed_sheets import note_closing
from sync.ledger.billing.sheet_facts import choose_facts, read_school_month
from sync.ledger.billing.sheet_obstacles import find_days_to_come, find_open_questions
from sync.ledger.billing.sheet_store import list_subjects, read_process, read_version
from sync.ledger.billing.sheets import ActOutcome
from sync.ledger.billing.terms import read_tariffs
from sync.ledger.judgement.days import settle_days
from sync.ledger.judgement.months import close_month
from sync.ledger.transparency.statements import state_days
from sync.money.building import SheetFacts
from sync.money.months import Month
from sync.money.protocol import ClosingObstacle, Objection
from sync.money.sheet import SheetSubject


def read_facts(connection: psycopg.Connection, subject: SheetSubject, *, now: datetime) -> SheetFacts:
    """Returns the facts of a sheet after the marked days of its school were judged.

    Raises NotUnderstood, TermsMissing or TermsWrong.
    """
    month = Month.parse(subject.month)
    settle_days(connection, subject.school, now=now)
    return choose_facts(connection, read_school_month(connection, subject.school, month), subject.programme)


def propose(connection: psycopg.Connection, subject: SheetSubject, *, by: str, now: datetime) -> ActOutcome:
    """Offers the sheet that follows from the ledger's rows as they stand. Raises ActRefused."""
    return sheets.propose(connection, subject, read_facts(connection, subject, now=now), by=by, now=now)


def propose_correction(
    connection: psycopg.Connection, subject: SheetSubject, *, by: str, now: datetime
) -> tuple[SheetSubject, ActOutcome]:
    """Offers the next correction sheet of a closed month. Raises ActRefused where nothing is to be corrected."""
    correction = sheets.next_correction(connection, subject.school, subject.programme, subject.month)
    facts = read_facts(connection, replace(subject, number=0), now=now)
    return correction, sheets.propose(connection, correction, facts, by=by, now=now)


def object_to(
    connection: psycopg.Connection, subject: SheetSubject, objection: Objection, *, by: str, now: datetime
) -> ActOutcome:
    """Keeps an objection and makes the next version from the ledger's rows as they stand. Raises ActRefused."""
    facts = read_facts(connection, subject, now=now)
    return sheets.object_to(connection, subject, objection, facts, by=by, now=now)


def find_obstacles(connection: psycopg.Connection, subject: SheetSubject, *, now: datetime) -> list[ClosingObstacle]:
    """Returns everything that keeps a sheet from closing: days to come, open questions, rows that have changed."""
    facts, month = read_facts(connection, subject, now=now), Month.parse(subject.month)
    return [
        *find_days_to_come(month, facts.timetable.tz, now),
        *find_open_questions(connection, subject.school, month),
        *sheets.find_changes(connection, subject, facts),
    ]


def close(
    connection: psycopg.Connection, subject: SheetSubject, *, by: str, now: datetime, digest: str = ""
) -> ActOutcome:
    """Closes a sheet, by default in the version in force; with the last sheet of a school's month, the month itself.

    From then on a newer roster changes nothing in it; see `list_open_programmes`. Raises ActRefused that names every
    obstacle.
    """
    with connection.transaction():
        wanted = digest or read_version(connection, subject).digest
        obstacles = find_obstacles(connection, subject, now=now)
        state_days(connection, subject.school, now=now)  # the log has what it was closed by before it has the closing
        outcome = sheets.close(connection, subject, wanted, obstacles, by=by, now=now)
        if not list_open_programmes(connection, subject):
            close_month(connection, subject.school, subject.month, now=now)
        if not outcome.recognised:
            note_closing(connection, subject)
        return outcome


def list_open_programmes(connection: psycopg.Connection, subject: SheetSubject) -> list[str]:
    """Returns the programmes that keep the school's month open: proposed or with meals to bill, and not closed.

    While one of them is open, an entitlement that is granted with effect from an earlier day still counts for it.
    """
    mains = [each for each in list_subjects(connection, subject.school) if each.month == subject.month]
    closed = {each.programme for each in mains if not each.number and read_process(connection, each).closing}
    month = Month.parse(subject.month)
    billed = connection.execute(
        "SELECT DISTINCT CASE programme WHEN '' THEN recorded_programme ELSE programme END FROM visit"
        " WHERE school = %s AND day BETWEEN %s AND %s AND claim = 'claimable'",
        (subject.school, month.first.isoformat(), month.last.isoformat()),
    ).fetchall()
    priced = {terms.id for terms in read_tariffs(connection, subject.school).programmes}
    return sorted((({row[0] for row in billed} & priced) | {each.programme for each in mains}) - closed)
