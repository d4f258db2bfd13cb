"""The basis on which a school's days are judged: its timetable and entitlements, as its rosters say."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg

from sync.contract.roster import ClosedDay, Entitlement, MealSession, School
from sync.contract.sessions import Timetable
from sync.ledger import rosters
from sync.ledger.errors import NotUnderstood


@dataclass(frozen=True, slots=True)
class SchoolBasis:
    """The rosters of a school, read at one moment."""

    school: str
    roster_version: int
    timetable: Timetable
    entitlements: Mapping[str, Sequence[Entitlement]]


def read_basis(connection: psycopg.Connection, school: str) -> SchoolBasis:
    """Returns the basis of a school's judgement. Raises NotUnderstood."""
    row = connection.execute("SELECT timezone, roster_version FROM school WHERE school = %s", (school,)).fetchone()
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
    return SchoolBasis(school, row[1], Timetable.from_records(sessions, closed, tz), entitlements)
