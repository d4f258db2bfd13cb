"""Visits and meals of a school, by day, session and programme, as the ledger has judged them."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TextIO

import psycopg

from sync.contract.edit_check import check_meal_count
from sync.contract.entitlements import choose_entitlement
from sync.contract.event import Claim, Method
from sync.contract.flags import Flag, find_flags
from sync.contract.roster import Entitlement
from sync.contract.visits import Visit, VisitClosing
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.holes import read_holes
from sync.ledger.judgement.day_events import read_day_events
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.judgement.judgement_basis import read_basis
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
    settle_days(connection, school, now=now)
    basis = read_basis(connection, school)
    visits = read_visits(connection, school, first, last)
    days = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    received = [event for day in days for event in read_day_events(connection, school, day, in_full=True).received]
    raised = find_flags(received, visits, timetable=basis.timetable)
    lines = _lines(school, visits, basis.entitlements, attendance_factor)
    return Report(tuple(lines), tuple(_notices(connection, school, raised, visits)))


def _lines(
    school: str, visits: Iterable[Visit], entitlements: Mapping[str, Sequence[Entitlement]], factor: Decimal
) -> list[ReportLine]:
    groups: dict[tuple[str, str, str], list[Visit]] = defaultdict(list)
    for visit in visits:
        groups[visit.day, visit.session, visit.programme].append(visit)
    return [_line(school, key, group, entitlements, factor) for key, group in sorted(groups.items())]


def _line(
    school: str, key: tuple[str, str, str], group: Sequence[Visit], entitlements: Mapping[str, Sequence[Entitlement]],
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
    connection: psycopg.Connection, school: str, raised: Iterable[Flag], visits: Sequence[Visit]
) -> Iterable[ReportNotice]:
    shown = {visit.id for visit in visits}
    for flag in raised:
        if flag.first in shown:
            where = f"{flag.first.device} {flag.first.epoch} {flag.first.seq}"
            yield ReportNotice(
                school=school, kind=flag.kind.value, where=where, count=flag.count, operator=flag.operator
            )
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


def write_csv(lines: Iterable[ReportLine], target: TextIO) -> None:
    """Writes one row a line, for a spreadsheet. `target`: a text file opened with newline=''."""
    writer = csv.DictWriter(target, [column.name for column in fields(ReportLine)])
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
