"""The rows that the pages show, read from the kept visits. One function a page; the caller has checked who asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from psycopg.rows import class_row

from sync.contract import roster
from sync.contract.roster import MealSession, Person, Programme

VIEW_RETENTION: Final = timedelta(days=366)  # a school year, and the summer in which families ask
VIEW_UPKEEP_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class SchoolRow:
    """One school's month in the city's list. `open_days` wait for a fresh judgement."""

    school: str
    name: str
    visits: int
    meals: int
    held: int
    voided: int
    open_days: int
    last_event: datetime | None


# Of the city: one row a school, grouped where the rows lie.
_SCHOOLS = """
    SELECT s.school, s.name, coalesce(v.visits, 0) AS visits, coalesce(v.meals, 0) AS meals,
           coalesce(v.held, 0) AS held, coalesce(v.voided, 0) AS voided, coalesce(d.open_days, 0) AS open_days,
           b.last_event
    FROM school s
    LEFT JOIN (
        SELECT school, count(*) AS visits, count(*) FILTER (WHERE claim = 'claimable') AS meals,
               count(*) FILTER (WHERE claim = 'held') AS held, count(*) FILTER (WHERE closing = 'void') AS voided
        FROM visit WHERE day BETWEEN %(first)s AND %(last)s GROUP BY school
    ) v USING (school)
    LEFT JOIN (
        SELECT school, count(*) AS open_days FROM dirty_day WHERE day BETWEEN %(first)s AND %(last)s GROUP BY school
    ) d USING (school)
    LEFT JOIN LATERAL (SELECT max(received_at) AS last_event FROM batch WHERE batch.school = s.school) b ON true
    WHERE %(school)s IN ('', s.school)
    ORDER BY s.school
"""


def read_schools(connection: psycopg.Connection, school: str, first: date, last: date) -> Sequence[SchoolRow]:
    """Returns every school's counts from `first` to `last`, or those of one school alone."""
    with connection.cursor(row_factory=class_row(SchoolRow)) as cursor:
        bounds = {"school": school, "first": first.isoformat(), "last": last.isoformat()}
        return cursor.execute(_SCHOOLS, bounds).fetchall()


@dataclass(frozen=True, slots=True)
class DayRow:
    """One session of one day of a school."""

    day: str
    session: str
    visits: int
    meals: int
    second: int
    held: int
    voided: int
    manual: int


_DAYS = """
    SELECT day, session, count(*) AS visits, count(*) FILTER (WHERE claim = 'claimable') AS meals,
           count(*) FILTER (WHERE claim = 'second') AS second, count(*) FILTER (WHERE claim = 'held') AS held,
           count(*) FILTER (WHERE closing = 'void') AS voided, count(*) FILTER (WHERE method = 'manual') AS manual
    FROM visit WHERE school = %s AND day BETWEEN %s AND %s
    GROUP BY day, session ORDER BY day, session
"""


def read_days(connection: psycopg.Connection, school: str, first: date, last: date) -> Sequence[DayRow]:
    """Returns a school's sessions day by day."""
    with connection.cursor(row_factory=class_row(DayRow)) as cursor:
        return cursor.execute(_DAYS, (school, first.isoformat(), last.isoformat())).fetchall()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as the ledger keeps it: its bytes, and the batch and receipt that cover it."""

    device: str
    epoch: str
    seq: int
    hash: str  # hex
    payload: Mapping[str, object] | None  # None: it cannot be read
    raw: str
    received_at: datetime
    receipt: str  # JSON; '' where none is kept
    signature: str  # of the batch, as the device sent it


_EVENT = """
    SELECT e.payload, e.hash, e.received_at,
           (SELECT r.receipt FROM receipt r
            WHERE r.school = %(school)s AND r.device = e.device AND r.epoch = e.epoch AND r.accepted_through >= e.seq
            ORDER BY r.accepted_through LIMIT 1),
           (SELECT b.signature FROM batch b
            WHERE b.school = %(school)s AND b.device = e.device AND b.epoch = e.epoch AND b.last_seq >= e.seq
              AND b.first_seq BETWEEN 1 AND e.seq
            ORDER BY b.last_seq LIMIT 1)
    FROM event e
    WHERE e.school = %(school)s AND e.device = %(device)s AND e.epoch = %(epoch)s AND e.seq = %(seq)s
"""


def read_event(connection: psycopg.Connection, school: str, device: str, epoch: str, seq: int) -> StoredEvent | None:
    """Returns one event of a school, or None where there is none under this number."""
    row = connection.execute(_EVENT, {"school": school, "device": device, "epoch": epoch, "seq": seq}).fetchone()
    if row is None:
        return None
    payload, digest, received_at, receipt, signature = row
    try:
        fields = msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = None  # the bytes are shown instead
    return StoredEvent(
        device, epoch, seq, digest.hex(), fields, payload.decode("utf-8", "replace"), received_at,
        "" if receipt is None else receipt.decode(), signature or "",
    )  # fmt: skip


def read_people(connection: psycopg.Connection, school: str, people: Sequence[str]) -> Mapping[str, Person]:
    """Returns these people as the newest roster has them; those who left it are missing."""
    rows = connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND type = 'person' AND id = ANY(%s)"
        " AND superseded IS NULL AND body IS NOT NULL",
        (school, list(people)),
    )
    records = (roster.from_json(row[0]) for row in rows)
    return {record.id: record for record in records if isinstance(record, Person)}


def read_zone(connection: psycopg.Connection, school: str) -> ZoneInfo:
    """Returns the time zone in which a school's times are shown."""
    row = connection.execute("SELECT timezone FROM school WHERE school = %s", (school,)).fetchone()
    return ZoneInfo(row[0] if row else "UTC")


@dataclass(frozen=True, slots=True)
class SchoolLabels:
    """The names by which people know a school's kiosks, sessions and programmes, by id."""

    devices: Mapping[str, str]
    sessions: Mapping[str, str]
    programmes: Mapping[str, str]


def read_labels(connection: psycopg.Connection, school: str, language: str) -> SchoolLabels:
    """Returns a school's labels in a language (kk or ru), as the newest roster has them."""
    devices: dict[str, str] = dict(
        connection.execute("SELECT device, name FROM device WHERE school = %s AND name <> ''", (school,))
    )
    rows = connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND type IN ('session', 'programme')"
        " AND superseded IS NULL AND body IS NOT NULL",
        (school,),
    )
    records = [roster.from_json(row[0]) for row in rows]
    return SchoolLabels(
        devices,
        {
            record.id: (record.name_kk if language == "kk" else record.name_ru) or record.name
            for record in records
            if isinstance(record, MealSession)
        },
        {record.id: record.name for record in records if isinstance(record, Programme)},
    )


@dataclass(frozen=True, slots=True)
class PageViewRow:
    """One look at a person or a list of them."""

    seen_at: datetime
    login: str
    role: str
    subject: str
    path: str


def read_views(connection: psycopg.Connection, school: str, subject: str, most: int = 500) -> Sequence[PageViewRow]:
    """Returns the newest views of a school's people; of one person where `subject` names one."""
    with connection.cursor(row_factory=class_row(PageViewRow)) as cursor:
        return cursor.execute(
            "SELECT seen_at, login, role, subject, path FROM page_view"
            " WHERE school = %(school)s AND %(subject)s IN ('', subject) ORDER BY seen_at DESC LIMIT %(most)s",
            {"school": school, "subject": subject, "most": most},
        ).fetchall()


def record_view(connection: psycopg.Connection, school: str, login: str, role: str, subject: str, path: str) -> None:
    """Stores that somebody looks at a person or a list, before the page goes out."""
    connection.execute(
        "INSERT INTO page_view (school, login, role, subject, path) VALUES (%s, %s, %s, %s, %s)",
        (school, login, role, subject[:200], path[:500]),
    )


def forget_views(connection: psycopg.Connection, now: datetime) -> int:
    """Deletes the views past their retention and returns how many."""
    # Of the city: school by school, so that each finds its views by their time.
    schools = [row[0] for row in connection.execute("SELECT school FROM school ORDER BY school")]
    statement = "DELETE FROM page_view WHERE school = %s AND seen_at < %s"
    return sum(connection.execute(statement, (school, now - VIEW_RETENTION)).rowcount for school in schools)
