"""Visits as rows of the table `visit`, and back."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from sync.contract.event import Claim, Manual, Method
from sync.contract.visits import ClaimReason, EventId, Visit, VisitClosing, VisitDraft

VisitRow = tuple[Any, ...]  # in the order of _COLUMNS, without school and day

_COLUMNS = """
    device, epoch, seq, person, session, service_date, method, programme, claim, why, recorded_programme,
    recorded_claim, first_device, first_epoch, first_seq, entry_time, recorded_time, exit_time, exit_device,
    exit_epoch, exit_seq, closing, review, operator, note, group_id
"""
_TYPES = (
    *("text", "text", "int8"), *("text",) * 9, *("text", "text", "int8"), "timestamptz", "text", "timestamptz",
    *("text", "text", "int8"), "text", "bool", *("text",) * 3,
)  # fmt: skip
_NOBODY = EventId("", "", 0)

_METHODS = {method.value: method for method in Method}
_CLAIMS = {claim.value: claim for claim in Claim}
_REASONS = {reason.value: reason for reason in ClaimReason}
_CLOSINGS = {closing.value: closing for closing in VisitClosing}


def to_row(draft: Visit | VisitDraft) -> VisitRow:
    """Returns a visit as a row, without school and day."""
    if isinstance(draft, Visit):
        visit = draft
        return (
            *visit.id, visit.person, visit.session, visit.service_date, visit.method, visit.programme,
            visit.claim, visit.why, visit.recorded_programme, visit.recorded_claim,
            *(visit.first or _NOBODY), visit.entry_time, visit.recorded_time, visit.exit_time,
            *(visit.exit or _NOBODY), visit.closing, visit.review, visit.operator, visit.note, visit.group,
        )  # fmt: skip
    entry = draft.entry
    return (
        *draft.id, entry.person, draft.session, draft.service_date, draft.method, draft.programme,
        draft.claim, draft.why, entry.programme, entry.claim, *(draft.first or _NOBODY),
        draft.entry_time, entry.at, draft.exit_time, *(draft.exit or _NOBODY), draft.closing, entry.review,
        entry.operator, entry.note, entry.group if type(entry) is Manual else "",
    )  # fmt: skip


def to_visit(row: VisitRow) -> Visit:
    """Returns the visit in a row."""
    (
        device, epoch, seq, person, session, service_date, method, programme, claim, why, recorded_programme,
        recorded_claim, first_device, first_epoch, first_seq, entry_time, recorded_time, exit_time, exit_device,
        exit_epoch, exit_seq, closing, review, operator, note, group,
    ) = row  # fmt: skip
    return Visit(
        id=EventId(device, epoch, seq), person=person, session=session, service_date=service_date,
        method=_METHODS[method], programme=programme, claim=_CLAIMS[claim], recorded_programme=recorded_programme,
        recorded_claim=_CLAIMS[recorded_claim], why=_REASONS[why],
        first=EventId(first_device, first_epoch, first_seq) if first_device else None, entry_time=_as_utc(entry_time),
        recorded_time=recorded_time, exit_time=_as_utc(exit_time),
        exit=EventId(exit_device, exit_epoch, exit_seq) if exit_device else None, closing=_CLOSINGS[closing],
        review=review, operator=operator, note=note, group=group,
    )  # fmt: skip


_SELECT = f"SELECT {_COLUMNS} FROM visit WHERE school = %s AND day"  # noqa: S608  only texts of this file
_IN_ORDER = 'ORDER BY entry_time NULLS LAST, device COLLATE "C", epoch COLLATE "C", seq'
_SELECT_DAY = f"{_SELECT} = %s"
_SELECT_DAYS = f"{_SELECT} BETWEEN %s AND %s AND %s IN ('', person) {_IN_ORDER}"


def read_visit_rows(
    connection: psycopg.Connection, school: str, first_day: str, last_day: str, person: str = ""
) -> list[VisitRow]:
    """Returns the rows of these days, by true time, then by entry; of one person where `person` names it."""
    return connection.execute(_SELECT_DAYS, (school, first_day, last_day, person), binary=True).fetchall()


# Of the city: school by school where the rows lie.
_SELECT_OUTSIDE = f"""
    SELECT school, {_COLUMNS} FROM visit
    JOIN unnest(%(schools)s::text[], %(sessions)s::text[], %(dates)s::text[], %(starts)s::timestamptz[],
                %(ends)s::timestamptz[]) AS slot (school, session, service_date, starts, ends)
      USING (school, session, service_date)
    WHERE school = ANY(%(schools)s) AND day BETWEEN %(first)s AND %(last)s AND closing <> 'void'
      AND (entry_time < starts OR entry_time >= ends OR entry_time IS NOT NULL AND starts IS NULL)
"""  # noqa: S608  only texts of this file


def read_rows_outside(
    connection: psycopg.Connection, hours: Sequence[tuple[str, str, str, datetime | None, datetime | None]],
    first_day: str, last_day: str,
) -> list[VisitRow]:  # fmt: skip
    """Returns the visits that count and came outside of their session's hours: the school, then the row.

    `hours`: school, session, date, start and end of each session that there may be, at least one; None: not served.
    """
    schools, sessions, dates, starts, ends = (list(column) for column in zip(*hours, strict=True))
    return connection.execute(_SELECT_OUTSIDE, {
        "schools": schools, "sessions": sessions, "dates": dates, "starts": starts, "ends": ends, "first": first_day,
        "last": last_day,
    }, binary=True).fetchall()  # fmt: skip


def _as_utc(moment: datetime | None) -> datetime | None:
    """Returns the moment in UTC, whatever zone the session shows it in."""
    return moment if moment is None or moment.tzinfo is UTC else moment.astimezone(UTC)


def replace_visits(
    connection: psycopg.Connection, school: str, day: str, drafts: Iterable[Visit | VisitDraft], now: datetime
) -> bool:
    """Makes these visits the day's. Returns False where nothing has changed, and writes nothing then."""
    stored = connection.execute(_SELECT_DAY, (school, day), binary=True).fetchall()
    standing = {row[:3]: row for row in stored}
    added = []
    for draft in drafts:
        row = to_row(draft)
        if standing.get(draft.id) == row:
            del standing[draft.id]
        else:
            added.append(row)
    dropped = list(standing)
    changed = bool(dropped or added)
    if dropped:
        devices, epochs, seqs = (list(column) for column in zip(*dropped, strict=True))
        connection.execute(_DELETE, {"school": school, "day": day, "devices": devices, "epochs": epochs, "seqs": seqs})
    if added:
        _insert(connection, school, day, added)
    connection.execute(_NOTE_SETTLED, {"school": school, "day": day, "now": now, "step": int(changed)})
    return changed


_DELETE = """
    DELETE FROM visit USING unnest(%(devices)s::text[], %(epochs)s::text[], %(seqs)s::int8[])
                            AS dropped (device, epoch, seq)
    WHERE visit.school = %(school)s AND visit.day = %(day)s AND visit.device = dropped.device
      AND visit.epoch = dropped.epoch AND visit.seq = dropped.seq
"""
_NOTE_SETTLED = """
    INSERT INTO settled_day (school, day, version, settled_at) VALUES (%(school)s, %(day)s, %(step)s, %(now)s)
    ON CONFLICT (school, day)
    DO UPDATE SET version = settled_day.version + %(step)s, settled_at = excluded.settled_at
"""


def _insert(connection: psycopg.Connection, school: str, day: str, rows: Sequence[VisitRow]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY visit (school, day, {_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(("text", "text", *_TYPES))
        for row in rows:
            copy.write_row((school, day, *row))
