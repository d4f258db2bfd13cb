"""A school's calendars and tariffs: imported as versions, the newest in force."""

from dataclasses import dataclass
from datetime import datetime

import psycopg

from sync.errors import Wording
from sync.ledger.errors import NotUnderstood
from sync.ledger.transparency import logs
from sync.money.calendars import Calendar
from sync.money.errors import TermsMissing, TermsWrong
from sync.money.tariffs import ProgrammeTerms, TariffBook
from sync.money.terms_file import digest, read_json, to_bytes
from sync.proof.leaves import VersionedKind


@dataclass(frozen=True, slots=True)
class ImportedTerms:
    """The effect of an import. The version stays when nothing changed."""

    school: str
    name: str
    version: int
    digest: str
    changed: bool


def import_calendar(
    connection: psycopg.Connection, school: str, calendar: Calendar, *, by: str, now: datetime
) -> ImportedTerms:
    """Makes the calendar the newest version of its id at this school.

    Raises NotUnderstood for an unknown school, TermsWrong where another calendar of its kind speaks for its months.
    """
    name = digest(calendar)
    with connection.transaction():
        lock_school(connection, school)
        for present in read_calendars(connection, school):
            if present.id != calendar.id and calendar.meets(present):
                raise TermsWrong(
                    f"{calendar.id} and {present.id} speak for the same months at {school}",
                    "let one of them end in the month before, or give it the other's id",
                )
        row = connection.execute(
            "SELECT version, digest FROM calendar_version WHERE school = %s AND calendar = %s"
            " ORDER BY version DESC LIMIT 1",
            (school, calendar.id),
        ).fetchone()
        version, newest = row or (0, "")
        if newest == name:
            return ImportedTerms(school, calendar.id, version, name, False)
        connection.execute(
            "INSERT INTO calendar_version VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (school, calendar.id, version + 1, name, to_bytes(calendar), by, now),
        )
        logs.append_version(connection, school, VersionedKind.CALENDAR, calendar.id, version + 1, bytes.fromhex(name))
    return ImportedTerms(school, calendar.id, version + 1, name, True)


def import_tariffs(
    connection: psycopg.Connection, school: str, book: TariffBook, *, by: str, now: datetime
) -> ImportedTerms:
    """Makes the book the newest one of this school. Raises NotUnderstood for an unknown school."""
    name = digest(book)
    with connection.transaction():
        lock_school(connection, school)
        row = connection.execute(
            "SELECT version, digest FROM tariff_version WHERE school = %s ORDER BY version DESC LIMIT 1", (school,)
        ).fetchone()
        version, newest = row or (0, "")
        if newest == name:
            return ImportedTerms(school, book.id, version, name, False)
        connection.execute(
            "INSERT INTO tariff_version VALUES (%s, %s, %s, %s, %s, %s)",
            (school, version + 1, name, to_bytes(book), by, now),
        )
        logs.append_version(connection, school, VersionedKind.TARIFF, book.id, version + 1, bytes.fromhex(name))
    return ImportedTerms(school, book.id, version + 1, name, True)


def read_calendars(connection: psycopg.Connection, school: str) -> tuple[Calendar, ...]:
    """Returns the newest version of each of the school's calendars, by id."""
    rows = connection.execute(
        "SELECT DISTINCT ON (calendar) body FROM calendar_version WHERE school = %s ORDER BY calendar, version DESC",
        (school,),
    )
    return tuple(read_json(bytes(row[0]), Calendar) for row in rows)


def read_tariffs(connection: psycopg.Connection, school: str) -> TariffBook:
    """Returns the school's newest tariff book. Raises TermsMissing."""
    row = connection.execute(
        "SELECT body FROM tariff_version WHERE school = %s ORDER BY version DESC LIMIT 1", (school,)
    ).fetchone()
    if row is None:
        raise TermsMissing(
            f"school {school} has no tariffs", "import them with `edge-agent ledger tariff import FILE`",
            Wording("refusal.no_tariffs"),
        )  # fmt: skip
    return read_json(bytes(row[0]), TariffBook)


def find_programme(connection: psycopg.Connection, school: str, programme: str) -> ProgrammeTerms | None:
    """Returns the newest terms of a programme; None where there are none."""
    try:
        return read_tariffs(connection, school).find_programme(programme)
    except TermsMissing:
        return None


def lock_school(connection: psycopg.Connection, school: str) -> None:
    """Lets one act on the school's money at a time happen, until the transaction ends. Raises NotUnderstood."""
    row = connection.execute("SELECT 1 FROM school WHERE school = %s FOR NO KEY UPDATE", (school,)).fetchone()
    if row is None:
        raise NotUnderstood(
            f"no school {school!r}", "add it with `edge-agent ledger school`", Wording("refusal.no_school")
        )
