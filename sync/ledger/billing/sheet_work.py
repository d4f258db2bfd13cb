"""One act on a sheet from end to end: the month is settled, its facts are read, the act is done."""

from dataclasses import replace
from datetime import datetime

import psycopg

from sync.ledger.billing import sheets
from sync.ledger.billing.closed_sheets import note_closing
from sync.ledger.billing.sheet_facts import choose_facts, read_school_month
from sync.ledger.billing.sheet_obstacles import find_open_questions
from sync.ledger.billing.sheet_store import list_subjects, read_process, read_version
from sync.ledger.billing.sheets import ActOutcome
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
    """Returns everything that keeps a sheet from closing: questions that are open, rows that have changed since."""
    facts = read_facts(connection, subject, now=now)
    return [
        *find_open_questions(connection, subject.school, Month.parse(subject.month)),
        *sheets.find_changes(connection, subject, facts),
    ]


def close(
    connection: psycopg.Connection, subject: SheetSubject, *, by: str, now: datetime, digest: str = ""
) -> ActOutcome:
    """Closes a sheet, by default in the version in force; with the last sheet of a school's month, the month itself.

    From then on a newer roster changes nothing in it. Raises ActRefused that names every obstacle.
    """
    with connection.transaction():
        wanted = digest or read_version(connection, subject).digest
        obstacles = find_obstacles(connection, subject, now=now)
        state_days(connection, subject.school, now=now)  # the log has what it was closed by before it has the closing
        outcome = sheets.close(connection, subject, wanted, obstacles, by=by, now=now)
        if all(read_process(connection, main).closing for main in _list_mains(connection, subject)):
            close_month(connection, subject.school, subject.month, now=now)
        if not outcome.recognised:
            note_closing(connection, subject)
        return outcome


def _list_mains(connection: psycopg.Connection, subject: SheetSubject) -> list[SheetSubject]:
    """Returns the month's own sheets of all programmes of this school."""
    return [
        each for each in list_subjects(connection, subject.school)
        if each.month == subject.month and each.number == 0
    ]  # fmt: skip
