"""Visits and meals of a school, by day, session and programme, as the ledger has judged them."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TextIO

import psycopg
from psycopg.rows import class_row

from sync.contract import event
from sync.contract.edit_check import check_meal_count
from sync.contract.entitlements import choose_entitlement
from sync.contract.event import HandCount, RecordingResumed
from sync.contract.flags import Flag
from sync.contract.roster import Entitlement
from sync.contract.sessions import Timetable
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.holes import read_holes
from sync.ledger.judgement.days import settle_days
from sync.ledger.judgement.guest_meals import GuestLine, read_guest_entries, sum_guests
from sync.ledger.judgement.judgement_basis import read_basis
from sync.ledger.judgement.report_flags import read_flags
from sync.ledger.judgement.reversals import list_broken_reversals

DAYS_MAX = 370
ATTENDANCE_FACTOR = Decimal("0.938")  # 7 CFR 210.8(a)(3), the national one; a school's own is better


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One session of one day under one programme; '' where nobody pays."""

    school: str
    day: str
    session: str
    programme: str
    visits: int
    meals: int  # may be billed
    second: int
    held: int  # until clock or roster has been judged again
    pending: int  # guests: the home school's programme pays
    unpaid: int
    void: int
    manual: int
    without_exit: int
    review: int
    entitled: int
    check: str  # an EditCheck; '' where no programme pays


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNotice:
    """Something odd that a person should check."""

    school: str
    kind: str
    where: str
    count: int
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The lines of a report, the notices about its days, and its guests."""

    lines: tuple[ReportLine, ...]
    notices: tuple[ReportNotice, ...]
    guests: tuple[GuestLine, ...] = ()  # of nobody on the roster: in no other line


def build_report(
    connection: psycopg.Connection, school: str, first: date, last: date, *, now: datetime,
    attendance_factor: Decimal = ATTENDANCE_FACTOR,
) -> Report:  # fmt: skip
    """Returns the report of one school, as `build_city_report` does."""
    return build_city_report(connection, [school], first, last, now=now, attendance_factor=attendance_factor)


def build_city_report(
    connection: psycopg.Connection, schools: Sequence[str], first: date, last: date, *, now: datetime,
    attendance_factor: Decimal = ATTENDANCE_FACTOR,
) -> Report:  # fmt: skip
    """Returns the report of the service dates from `first` to `last` inclusive, school by school. Raises NotUnderstood.

    Meals are counted and odd events chosen in the database, for all schools at once: no event is read but for those.
    """
    if last < first or (last - first).days >= DAYS_MAX:
        raise NotUnderstood(f"from {first} to {last}: ask for 1 to {DAYS_MAX} days, the earlier one first")
    for school in schools:
        settle_days(connection, school, now=now)
    sums = _read_sums(connection, schools, first, last)
    lines: list[ReportLine] = []
    timetables: dict[str, Timetable] = {}
    for school in schools:
        basis = read_basis(connection, school)
        timetables[school] = basis.timetable
        lines += _lines(sums[school], basis.entitlements, attendance_factor)
    flags = read_flags(connection, timetables, first, last)
    notices: list[ReportNotice] = []
    guests: list[GuestLine] = []
    for school in schools:
        guests += sum_guests(school, read_guest_entries(connection, school, first, last))
        notices += _notices(connection, school, flags[school])
        notices += _find_refusals(connection, school, first, last)
        notices += _find_paper(connection, school, first, last)
    return Report(tuple(lines), tuple(notices), tuple(guests))


# Of the city: one row a session and programme of a school's day, counted where its visits lie.
_SUMS = """
    SELECT school, day, session, programme,
           count(*) FILTER (WHERE closing <> 'void') AS visits,
           count(*) FILTER (WHERE closing <> 'void' AND claim = 'claimable') AS meals,
           count(*) FILTER (WHERE closing <> 'void' AND claim = 'second') AS second,
           count(*) FILTER (WHERE closing <> 'void' AND claim = 'held') AS held,
           count(*) FILTER (WHERE closing <> 'void' AND claim = 'pending') AS pending,
           count(*) FILTER (WHERE closing <> 'void' AND claim = 'none') AS unpaid,
           count(*) FILTER (WHERE closing = 'void') AS void,
           count(*) FILTER (WHERE closing <> 'void' AND method = 'manual') AS manual,
           count(*) FILTER (WHERE closing = 'closed_by_session') AS without_exit,
           count(*) FILTER (WHERE closing <> 'void' AND review) AS review
    FROM visit WHERE school = ANY(%s) AND day BETWEEN %s AND %s
    GROUP BY school, day, session, programme
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSum:
    """The counts of one session of a school's day under one programme, as in ReportLine."""

    school: str
    day: str
    session: str
    programme: str
    visits: int
    meals: int
    second: int
    held: int
    pending: int
    unpaid: int
    void: int
    manual: int
    without_exit: int
    review: int


def _read_sums(
    connection: psycopg.Connection, schools: Sequence[str], first: date, last: date
) -> dict[str, list[VisitSum]]:
    sums: dict[str, list[VisitSum]] = defaultdict(list)
    with connection.cursor(row_factory=class_row(VisitSum)) as cursor:
        for each in cursor.execute(_SUMS, (list(schools), first.isoformat(), last.isoformat())):
            sums[each.school].append(each)
    return sums


def _lines(
    sums: Iterable[VisitSum], entitlements: Mapping[str, Sequence[Entitlement]], factor: Decimal
) -> Iterable[ReportLine]:
    for counted in sorted(sums, key=attrgetter("day", "session", "programme")):
        paying = (choose_entitlement(owned, counted.session, counted.day) for owned in entitlements.values())
        entitled = sum(entitlement is not None and entitlement.programme == counted.programme for entitlement in paying)
        check = check_meal_count(counted.meals, entitled, factor).value if counted.programme else ""
        yield ReportLine(**asdict(counted), entitled=entitled, check=check)


def _notices(connection: psycopg.Connection, school: str, flags: Iterable[Flag]) -> Iterable[ReportNotice]:
    for flag in flags:
        where = f"{flag.first.device} {flag.first.epoch} {flag.first.seq}"
        yield ReportNotice(school=school, kind=flag.kind.value, where=where, count=flag.count, operator=flag.operator)
    for event_id in list_broken_reversals(connection, school):
        where = f"{event_id.device} {event_id.epoch} {event_id.seq}"
        yield ReportNotice(school=school, kind="reversal without an officer's signature", where=where, count=1)
    rows = connection.execute(
        "SELECT device, count(*) FROM fork WHERE school = %s GROUP BY device ORDER BY device", (school,)
    )
    for device, count in rows:
        yield ReportNotice(school=school, kind="fork", where=device, count=count)
    for hole in read_holes(connection, school):
        where = f"{hole.device} {hole.epoch} {hole.first_seq}-{hole.last_seq}"
        yield ReportNotice(school=school, kind="hole", where=where, count=hole.last_seq - hole.first_seq + 1)
    rows = connection.execute(
        "SELECT code, count(*) FROM quarantine WHERE school = %s GROUP BY code ORDER BY code", (school,)
    )
    for code, count in rows:
        yield ReportNotice(school=school, kind=f"quarantine: {code}", where="all days", count=count)


def _find_refusals(connection: psycopg.Connection, school: str, first: date, last: date) -> Iterable[ReportNotice]:
    """Yields what kiosks say of times when their journals took no rows. None of it is billed."""
    rows = connection.execute(
        "SELECT device, epoch, seq, payload FROM fact WHERE school = %s AND day BETWEEN %s AND %s"
        " AND kind IN ('hand_count', 'recording_resumed') ORDER BY day, device, epoch, seq",
        (school, first.isoformat(), last.isoformat()),
    )
    for device, epoch, seq, payload in rows:
        where = f"{device} {epoch} {seq}"
        match event.decode(payload):
            case HandCount(counted=counted, operator=operator):
                yield ReportNotice(school=school, kind="hand count", where=where, count=counted, operator=operator)
            case RecordingResumed(waiting=waiting, not_kept=not_kept):
                yield ReportNotice(school=school, kind="written late", where=where, count=waiting)
                if not_kept:
                    yield ReportNotice(school=school, kind="scans not kept", where=where, count=not_kept)
            case _:
                pass


def _find_paper(connection: psycopg.Connection, school: str, first: date, last: date) -> Iterable[ReportNotice]:
    """Yields the lists that were written on paper and entered later; each entry of them is judged like any other."""
    rows = connection.execute(
        "SELECT group_id, operator, count(*) FROM visit"
        " WHERE school = %s AND day BETWEEN %s AND %s AND method = 'paper' AND closing <> 'void'"
        " GROUP BY group_id, operator ORDER BY group_id, operator",
        (school, first.isoformat(), last.isoformat()),
    )
    for paper, operator, count in rows:
        yield ReportNotice(school=school, kind="paper list", where=paper, count=count, operator=operator)


def write_csv(lines: Iterable[ReportLine], target: TextIO) -> None:
    """Writes one row a line, for a spreadsheet. `target`: a text file opened with newline=''."""
    writer = csv.DictWriter(target, [column.name for column in fields(ReportLine)])
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
