"""Visits and meals of a school, by day, session and programme, from the events of all its kiosks together."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import psycopg

from sync.contract import event
from sync.contract.edit_check import EditCheck, check_meal_count
from sync.contract.entitlements import choose_entitlement
from sync.contract.event import Claim, Event, Exit, Method, UnreadableEvent, Void
from sync.contract.flags import Flag, find_flags
from sync.contract.roster import ClosedDay, Entitlement, MealSession, School
from sync.contract.sessions import Timetable
from sync.contract.visits import DerivedVisits, EventId, ReceivedEvent, Visit, VisitClosing, derive_visits
from sync.ledger import rosters
from sync.ledger.errors import NotUnderstood

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
    """The lines of a report, and the notices about its days."""

    lines: tuple[ReportLine, ...]
    notices: tuple[ReportNotice, ...]


def build_report(
    connection: psycopg.Connection, school: str, first: date, last: date, *, now: datetime,
    attendance_factor: Decimal = ATTENDANCE_FACTOR,
) -> Report:  # fmt: skip
    """Returns the report of the service dates from `first` to `last` inclusive. Raises NotUnderstood."""
    if last < first or (last - first).days >= DAYS_MAX:
        raise NotUnderstood(f"from {first} to {last}: ask for 1 to {DAYS_MAX} days, the earlier one first")
    timetable, entitlements = _roster(connection, school)
    received, unreadable = _read_events(connection, school, first, last)
    derived = derive_visits(received, timetable=timetable, now=now, entitlements=entitlements)
    days = {(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)}
    visits = [visit for visit in derived.visits if _day(visit) in days]
    raised = find_flags(received, visits, timetable=timetable)
    lines = _lines(school, visits, entitlements, attendance_factor)
    return Report(tuple(lines), tuple(_notices(connection, school, raised, derived, visits, unreadable)))


def _day(visit: Visit) -> str:
    return visit.service_date or visit.recorded_time[:10]


def _roster(connection: psycopg.Connection, school: str) -> tuple[Timetable, dict[str, list[Entitlement]]]:
    row = connection.execute("SELECT timezone FROM school WHERE school = %s", (school,)).fetchone()
    if row is None:
        raise NotUnderstood(f"no school {school!r}: see `edge-agent ledger schools`")
    records = rosters.read_records(connection, school)
    zone = next((record.timezone for record in records if isinstance(record, School)), row[0])
    try:
        tz = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise NotUnderstood(f"school {school} has the time zone {zone!r}, which is none") from error
    sessions = (record for record in records if isinstance(record, MealSession))
    closed = (record for record in records if isinstance(record, ClosedDay))
    entitlements: dict[str, list[Entitlement]] = defaultdict(list)
    for record in records:
        if isinstance(record, Entitlement):
            entitlements[record.person].append(record)
    return Timetable.from_records(sessions, closed, tz), entitlements


# The wanted days, with a day on each side for sessions over midnight; and whole boots in which a clock was wrong,
# since only a later event of such a boot says when its events were. None was received before it happened.
_SELECT_EVENTS = """
    WITH odd AS (
        SELECT DISTINCT device, epoch FROM fact
        WHERE school = %(school)s AND received_at >= %(first)s AND flags ~ '(clock|past|future)'
    ), booted AS (
        SELECT f.*, substring(encode(f.payload, 'escape') from '"boot":"([^"]*)"') AS boot
        FROM fact f JOIN odd USING (device, epoch) WHERE f.school = %(school)s
    ), wrong AS (
        SELECT DISTINCT device, boot FROM booted
        WHERE flags ~ '(clock|past|future)' AND received_at >= %(first)s
    )
    SELECT device, epoch, seq, branch, payload FROM fact
    WHERE school = %(school)s AND day BETWEEN %(before)s AND %(after)s
    UNION
    SELECT device, epoch, seq, branch, payload FROM booted JOIN wrong USING (device, boot)
    ORDER BY device, epoch, branch, seq
"""


def _read_events(
    connection: psycopg.Connection, school: str, first: date, last: date
) -> tuple[list[ReceivedEvent], int]:
    """Returns the events, and how many of the rows could not be read."""
    day = timedelta(days=1)
    rows = connection.execute(_SELECT_EVENTS, {
        "school": school, "first": datetime(first.year, first.month, first.day, tzinfo=UTC) - day,
        "before": (first - day).isoformat(), "after": (last + day).isoformat(),
    }).fetchall()  # fmt: skip
    branches: dict[tuple[str, str, str], int] = {}
    for device, epoch, seq, branch, _ in rows:
        if branch:
            branches[device, epoch, branch] = min(seq, branches.get((device, epoch, branch), seq))
    events, unreadable = [], 0
    for device, epoch, seq, branch, payload in rows:
        try:
            decoded = event.decode(payload)
        except UnreadableEvent:
            unreadable += 1
            continue
        if branch:
            decoded = _move_to_branch(decoded, epoch, branch, branches[device, epoch, branch])
        events.append(ReceivedEvent(EventId(device, f"{epoch}/{branch}" if branch else epoch, seq), decoded))
    return events, unreadable


def _move_to_branch(decoded: Event, epoch: str, branch: str, first_seq: int) -> Event:
    """Returns an event of a branch with the branch's own entry in it: the number alone may name another branch's."""
    match decoded:
        case Exit(entry_epoch=named, entry_seq=seq) if named == epoch and seq >= first_seq:
            return msgspec.structs.replace(decoded, entry_epoch=f"{epoch}/{branch}")
        case Void(void_epoch=named, void_seq=seq) if named == epoch and seq >= first_seq:
            return msgspec.structs.replace(decoded, void_epoch=f"{epoch}/{branch}")
        case _:
            return decoded


def _lines(
    school: str, visits: Iterable[Visit], entitlements: dict[str, list[Entitlement]], factor: Decimal
) -> list[ReportLine]:
    groups: dict[tuple[str, str, str], list[Visit]] = defaultdict(list)
    for visit in visits:
        groups[_day(visit), visit.session, visit.programme].append(visit)
    return [_line(school, key, group, entitlements, factor) for key, group in sorted(groups.items())]


def _line(
    school: str, key: tuple[str, str, str], group: Sequence[Visit], entitlements: dict[str, list[Entitlement]],
    factor: Decimal,
) -> ReportLine:  # fmt: skip
    day, session, programme = key
    counted = [visit for visit in group if visit.counts]
    claims = [visit.claim for visit in counted]
    paying = (choose_entitlement(owned, session, day) for owned in entitlements.values())
    entitled = sum(entitlement is not None and entitlement.programme == programme for entitlement in paying)
    meals = claims.count(Claim.CLAIMABLE)
    check = check_meal_count(meals, entitled, factor) if programme else None
    return ReportLine(
        school=school, day=day, session=session, programme=programme, visits=len(counted), meals=meals,
        second=claims.count(Claim.SECOND), held=claims.count(Claim.HELD), pending=claims.count(Claim.PENDING),
        unpaid=claims.count(Claim.NONE), void=len(group) - len(counted),
        manual=sum(visit.method is Method.MANUAL for visit in counted),
        without_exit=sum(visit.closing is VisitClosing.SESSION for visit in counted),
        review=sum(visit.review for visit in counted), entitled=entitled, check="" if check is None else check.value,
    )  # fmt: skip


def _notices(
    connection: psycopg.Connection, school: str, raised: Iterable[Flag], derived: DerivedVisits,
    visits: Sequence[Visit], unreadable: int,
) -> Iterable[ReportNotice]:  # fmt: skip
    shown = {visit.id for visit in visits}
    for flag in raised:
        if flag.first in shown:
            where = f"{flag.first.device} {flag.first.epoch} {flag.first.seq}"
            yield ReportNotice(
                school=school, kind=flag.kind.value, where=where, count=flag.count, operator=flag.operator
            )
    if unreadable:
        yield ReportNotice(school=school, kind="unreadable", where="see quarantine", count=unreadable)
    rows = connection.execute(
        "SELECT device, count(*) FROM fork WHERE school = %s GROUP BY device ORDER BY device", (school,)
    )
    for device, count in rows:
        yield ReportNotice(school=school, kind="fork", where=device, count=count)
    rows = connection.execute(
        "SELECT code, count(*) FROM quarantine WHERE school = %s GROUP BY code ORDER BY code", (school,)
    )
    for code, count in rows:
        yield ReportNotice(school=school, kind=f"quarantine: {code}", where="all days", count=count)


def find_excess_lines(report: Report) -> list[ReportLine]:
    """Returns the lines whose meals are more than the entitled children explain."""
    return [line for line in report.lines if line.check not in ("", EditCheck.OK.value)]


def write_csv(lines: Iterable[ReportLine], target: TextIO) -> None:
    """Writes one row a line, for a spreadsheet. `target`: a text file opened with newline=''."""
    writer = csv.DictWriter(target, [column.name for column in fields(ReportLine)])
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
