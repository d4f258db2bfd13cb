"""The basis on which a school's days are judged, as the tables have it: rosters over time, suspensions, decisions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg

from sync.contract import roster
from sync.contract.judgement import JudgementBasis, Suspension
from sync.contract.roster import Entitlement, School
from sync.contract.roster_history import RecordState, RosterHistory
from sync.contract.sessions import Timetable
from sync.errors import Wording
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.contests import read_contested
from sync.ledger.judgement.reversals import read_reversals


@dataclass(frozen=True, slots=True)
class SchoolBasis:
    """The basis of a school's judgement, read at one moment."""

    school: str
    version: int
    timetable: Timetable  # the newest
    entitlements: Mapping[str, Sequence[Entitlement]]  # the newest, by person
    judgement: JudgementBasis


def read_basis(connection: psycopg.Connection, school: str) -> SchoolBasis:
    """Returns the basis of a school's judgement. Raises NotUnderstood."""
    row = connection.execute("SELECT timezone, basis_version FROM school WHERE school = %s", (school,)).fetchone()
    if row is None:
        raise NotUnderstood(f"no school {school!r}", "see `edge-agent ledger schools`", Wording("refusal.no_school"))
    states = _read_states(connection, school)
    current = [state.record for state in states if not state.until]
    history = RosterHistory(
        states, _read_versions(connection, school), _find_zone(school, current, row[0]), read_closed(connection, school)
    )
    entitlements: dict[str, list[Entitlement]] = defaultdict(list)
    for record in current:
        if isinstance(record, Entitlement):
            entitlements[record.person].append(record)
    judgement = JudgementBasis(
        history=history, suspensions=_read_suspensions(connection, school),
        reversals=read_reversals(connection, school), contested=read_contested(connection, school),
    )  # fmt: skip
    return SchoolBasis(school, row[1], history.timetable(history.newest), entitlements, judgement)


def _read_states(connection: psycopg.Connection, school: str) -> list[RecordState]:
    rows = connection.execute(
        "SELECT body, version, coalesce(superseded, 0) FROM roster_record WHERE school = %s AND body IS NOT NULL"
        " AND type IN ('person', 'entitlement', 'session', 'closed_day', 'school') ORDER BY type, id, version",
        (school,),
    )
    return [RecordState(roster.from_json(body), since, until) for body, since, until in rows]


def _find_zone(school: str, current: Iterable[roster.Record], fallback: str) -> tzinfo:
    zone = next((record.timezone for record in current if isinstance(record, School)), fallback)
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise NotUnderstood(
            f"school {school} has the time zone {zone!r}, which is none", "correct it in its record of the roster",
            Wording("refusal.no_zone", zone=zone),
        ) from error  # fmt: skip


def _read_versions(connection: psycopg.Connection, school: str) -> dict[int, datetime]:
    """Returns when each version came into force."""
    rows = connection.execute("SELECT version, in_force FROM roster_version WHERE school = %s", (school,))
    return {version: in_force.astimezone(UTC) for version, in_force in rows}


def read_closed(connection: psycopg.Connection, school: str) -> dict[str, int]:
    """Returns the closed months of a school, as `2026-11`, each with the newest roster version at its closing."""
    return dict(
        connection.execute("SELECT month, roster_version FROM closed_month WHERE school = %s", (school,)).fetchall()
    )


def _read_suspensions(connection: psycopg.Connection, school: str) -> dict[str, list[Suspension]]:
    suspensions: dict[str, list[Suspension]] = defaultdict(list)
    for device, since, until in connection.execute(
        "SELECT device, since, until FROM device_suspension WHERE school = %s", (school,)
    ):
        suspensions[device].append(Suspension(since, until))
    return suspensions
