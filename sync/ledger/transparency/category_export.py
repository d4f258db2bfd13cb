"""The categories of an export: every version, and the rows of those that count in the month."""

from collections.abc import Iterator, Sequence

import psycopg

from sync.audit.archive import ArchiveLine, CategoryRowLine, CategoryVersionLine
from sync.ledger.billing.categories import read_category_versions
from sync.money.canonical import decode_sheet
from sync.money.categories import CategoryVersion, find_spans, take_named
from sync.money.months import Month
from sync.money.sheet import SheetSubject
from sync.proof.categories import digest_rows


def read_category_lines(connection: psycopg.Connection, subject: SheetSubject) -> Iterator[ArchiveLine]:
    """Yields every version, and the rows of those that count in the month by one of its sheets or by the newest."""
    versions = read_category_versions(connection, subject.school)
    for version in versions:
        hashes = [
            bytes(row[0])
            for row in connection.execute(
                "SELECT hash FROM category_row WHERE school = %s AND version = %s", (subject.school, version.number)
            )
        ]
        yield CategoryVersionLine(
            number=version.number, first=version.first, rows=len(hashes), rows_digest=digest_rows(hashes)
        )
    for number, person, category, salt, hashed in connection.execute(
        "SELECT version, person, category, coalesce(salt, ''), hash FROM category_row"
        " WHERE school = %s AND version = ANY (%s) ORDER BY version, hash",
        (subject.school, sorted(_find_counting(connection, subject, versions))),
    ):
        yield CategoryRowLine(version=number, person=person, category=category, salt=salt, hash=hashed)


def _find_counting(
    connection: psycopg.Connection, subject: SheetSubject, versions: Sequence[CategoryVersion]
) -> set[int]:
    bodies = connection.execute(
        "SELECT body FROM sheet_version WHERE school = %s AND programme = %s AND month = %s",
        (subject.school, subject.programme, subject.month),
    )
    named = {decode_sheet(bytes(body)).categories for (body,) in bodies}
    month = Month.parse(subject.month)
    known = [versions, *(take_named(versions, name) or () for name in sorted(named))]
    return {span.number for each in known for span in find_spans(each, month) if span.number is not None}
