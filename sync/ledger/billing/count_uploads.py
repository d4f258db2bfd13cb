"""Other counts that were handed in on a page: kept without numbers, compared, and compared again.

A payer's file names children by number or by name. Neither number nor key outlives the request: what is kept of a child
is the person whom the number names, else its folded name and class, until somebody confirms whom they mean.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
import psycopg

from sync.errors import Wording
from sync.ledger.billing.column_maps import read_map
from sync.ledger.billing.other_count import (
    LessonComparison,
    compare_with_lessons,
    compare_with_payer,
    read_payer_file,
)
from sync.ledger.billing.payers import read_child_matcher, read_matcher
from sync.ledger.billing.terms import lock_school
from sync.ledger.errors import NotUnderstood
from sync.money.differences import CountComparison
from sync.money.matching import drop_child, drop_numbers
from sync.money.months import Month
from sync.money.payer_file import PayerSheet
from sync.money.sheet import SheetSubject

COUNT_RETENTION: Final = timedelta(days=366)
KEY_BYTES_MIN: Final = 16


class CountKind(StrEnum):
    """The subject of another count."""

    MEALS = "meals"
    LESSONS = "lessons"


@dataclass(frozen=True, slots=True)
class CountSubject:
    """The school, programme and period of a count. `period`: a month; of lessons a day."""

    school: str
    kind: CountKind
    programme: str
    period: str

    @property
    def sheet(self) -> SheetSubject:
        """Returns the month's sheet with which it is compared."""
        return SheetSubject(self.school, self.programme, self.period[:7])


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedCount:
    """A file as somebody hands it in. `key`: of the payer's numbers; it is used and not kept."""

    file: str
    content: bytes
    map_id: str
    key: bytes = b""
    counted_at: datetime | None = None
    by: str
    role: str


@dataclass(frozen=True, slots=True)
class StoredCount:
    """A count that was handed in."""

    number: int
    file: str
    map_id: str
    counted_at: datetime | None
    compared_at: datetime
    by: str
    role: str
    handed_in_at: datetime


_COLUMNS = "number, file, map, counted_at, compared_at, handed_in_by, role, handed_in_at"


def hand_in_count(connection: psycopg.Connection, subject: CountSubject, handed: HandedCount, *, now: datetime) -> int:
    """Keeps and compares a file, and returns its number. The same file by the same map is compared again.

    Raises PayerFileWrong, NotUnderstood, TermsMissing or TermsWrong.
    """
    if 0 < len(handed.key) < KEY_BYTES_MIN:
        raise NotUnderstood(
            f"a key of {len(handed.key)} bytes", f"take at least {KEY_BYTES_MIN}",
            Wording("refusal.key_short", least=KEY_BYTES_MIN),
        )  # fmt: skip
    column_map = read_map(connection, subject.school, handed.map_id)
    payer = read_payer_file(handed.file, handed.content, column_map, Month.parse(subject.period[:7]))
    lines = drop_numbers(payer, read_matcher(connection, subject.school, handed.key))
    if subject.kind is CountKind.LESSONS:
        lines = _choose_day(lines, date.fromisoformat(subject.period))
    with connection.transaction():
        lock_school(connection, subject.school)
        result = _compare(connection, subject, lines, handed.counted_at, now)
        connection.execute(
            "DELETE FROM other_count WHERE school = %s AND handed_in_at < %s", (subject.school, now - COUNT_RETENTION)
        )
        place = {
            "school": subject.school, "kind": subject.kind, "programme": subject.programme, "period": subject.period,
            "file": handed.file[:200], "digest": hashlib.sha256(handed.content).hexdigest(), "map": handed.map_id,
            "counted_at": handed.counted_at, "lines": msgspec.json.encode(lines), "result": result, "now": now,
            "by": handed.by, "role": handed.role,
        }  # fmt: skip
        row = connection.execute(_UPDATE, place).fetchone() or connection.execute(_INSERT, place).fetchone()
    assert row is not None
    return int(row[0])


_UPDATE = """
    UPDATE other_count SET file = %(file)s, counted_at = %(counted_at)s, lines = %(lines)s, result = %(result)s,
        compared_at = %(now)s
    WHERE school = %(school)s AND kind = %(kind)s AND programme = %(programme)s AND period = %(period)s
      AND digest = %(digest)s AND map = %(map)s
    RETURNING number
"""
_INSERT = """
    INSERT INTO other_count (school, kind, programme, period, number, file, digest, map, counted_at, lines, result,
        compared_at, handed_in_by, role, handed_in_at)
    SELECT %(school)s, %(kind)s, %(programme)s, %(period)s, coalesce(max(number), 0) + 1, %(file)s, %(digest)s, %(map)s,
        %(counted_at)s, %(lines)s, %(result)s, %(now)s, %(by)s, %(role)s, %(now)s
    FROM other_count
    WHERE school = %(school)s AND kind = %(kind)s AND programme = %(programme)s AND period = %(period)s
    RETURNING number
"""


def compare_again(connection: psycopg.Connection, subject: CountSubject, number: int, *, now: datetime) -> None:
    """Compares a count with the ledger's rows as they stand. Raises NotUnderstood for none of this number."""
    with connection.transaction():
        lock_school(connection, subject.school)
        row = connection.execute(
            "SELECT lines, counted_at FROM other_count"
            " WHERE school = %s AND kind = %s AND programme = %s AND period = %s AND number = %s",
            (*_key(subject), number),
        ).fetchone()
        if row is None:
            raise _no_count(number)
        lines = msgspec.json.decode(bytes(row[0]), type=PayerSheet)
        connection.execute(
            "UPDATE other_count SET result = %s, compared_at = %s"
            " WHERE school = %s AND kind = %s AND programme = %s AND period = %s AND number = %s",
            (_compare(connection, subject, lines, row[1], now), now, *_key(subject), number),
        )


def _compare(
    connection: psycopg.Connection, subject: CountSubject, lines: PayerSheet, counted_at: datetime | None, now: datetime
) -> bytes:
    comparison = (
        compare_with_payer(connection, subject.sheet, lines, key=b"", now=now, made_at=counted_at)
        if subject.kind is CountKind.MEALS
        else compare_with_lessons(connection, subject.sheet, lines, key=b"", now=now)
    )
    return msgspec.json.encode(comparison)


def _choose_day(lines: PayerSheet, day: date) -> PayerSheet:
    """Returns what a file of lessons says of one day; a whole month's file may stand for each of its days."""
    return PayerSheet(
        tuple(meal for meal in lines.meals if meal.day == day), (),
        tuple(fault for fault in lines.faults if fault.day in (None, day)),
    )  # fmt: skip


def forget_child_in_counts(connection: psycopg.Connection, school: str, person: str) -> None:
    """Takes the names of a person who is erased out of the counts that were handed in; the lines stay this person's.

    A line that may be of several people by its name becomes one of these people.
    """
    matcher = read_child_matcher(connection, school, person)
    rows = connection.execute(
        "SELECT kind, programme, period, number, lines, result FROM other_count WHERE school = %s", (school,)
    ).fetchall()
    for kind, programme, period, number, lines, result in rows:
        sheet, names = drop_child(msgspec.json.decode(bytes(lines), type=PayerSheet), matcher, person)
        if not names:
            continue
        compared: type[CountComparison | LessonComparison] = (
            CountComparison if kind == CountKind.MEALS else LessonComparison
        )
        comparison = msgspec.json.decode(bytes(result), type=compared)
        unmatched = tuple(replace(line, name=("", "")) if line.name in names else line for line in comparison.unmatched)
        connection.execute(
            "UPDATE other_count SET lines = %s, result = %s"
            " WHERE school = %s AND kind = %s AND programme = %s AND period = %s AND number = %s",
            (msgspec.json.encode(sheet), msgspec.json.encode(replace(comparison, unmatched=unmatched)),
             school, kind, programme, period, number),
        )  # fmt: skip


def list_counts(connection: psycopg.Connection, subject: CountSubject) -> list[StoredCount]:
    """Returns the counts of a subject, the newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM other_count"  # noqa: S608  constant names of columns
        " WHERE school = %s AND kind = %s AND programme = %s AND period = %s ORDER BY number DESC",
        _key(subject),
    )
    return [StoredCount(*row) for row in rows]


def read_differences(connection: psycopg.Connection, subject: CountSubject, number: int) -> CountComparison:
    """Returns how a payer's count differed when it was compared last. Raises NotUnderstood."""
    return msgspec.json.decode(_read_result(connection, subject, number), type=CountComparison)


def read_lesson_differences(connection: psycopg.Connection, subject: CountSubject, number: int) -> LessonComparison:
    """Returns what did not fit between meals and lessons when they were compared last. Raises NotUnderstood."""
    return msgspec.json.decode(_read_result(connection, subject, number), type=LessonComparison)


def _read_result(connection: psycopg.Connection, subject: CountSubject, number: int) -> bytes:
    row = connection.execute(
        "SELECT result FROM other_count"
        " WHERE school = %s AND kind = %s AND programme = %s AND period = %s AND number = %s",
        (*_key(subject), number),
    ).fetchone()
    if row is None:
        raise _no_count(number)
    return bytes(row[0])


def _no_count(number: int) -> NotUnderstood:
    return NotUnderstood(f"no count {number} was handed in", "choose one of the list", Wording("refusal.no_count"))


def _key(subject: CountSubject) -> tuple[str, str, str, str]:
    return subject.school, subject.kind, subject.programme, subject.period
