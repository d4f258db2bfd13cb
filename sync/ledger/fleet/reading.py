"""The kiosks of a school, or of the city, as the ledger's rows have them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from sync.contract.wire import Heartbeat, InvalidMessage, read_json, read_time
from sync.ledger.fleet.alarms import KioskState
from sync.ledger.intake.holes import read_holes
from sync.ledger.registry.twins import list_twins

# Of the city: one row a kiosk, made where its school's rows lie.
_KIOSKS = """
    SELECT d.school, s.name AS school_name, s.timezone, d.device, d.name, d.status, d.enrolled_at,
           s.roster_version AS newest_roster, b.body,
           greatest(
               b.received_at,
               (SELECT max(received_at) FROM batch t WHERE t.school = d.school AND t.device = d.device)
           ) AS heard
    FROM device d JOIN school s USING (school)
    LEFT JOIN LATERAL (
        SELECT body, received_at FROM heartbeat h WHERE h.school = d.school AND h.device = d.device
        ORDER BY received_at DESC LIMIT 1
    ) b ON true
    WHERE %(school)s IN ('', d.school)
    ORDER BY d.school, d.device
"""


def read_kiosks(connection: psycopg.Connection, now: datetime, school: str = "") -> Sequence[KioskState]:
    """Returns the kiosks of one school as they are at this moment; of all where `school` is empty."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_KIOSKS, {"school": school}).fetchall()
    missing = _count_missing(connection, school)
    twins = {row.device for row in list_twins(connection, school, now)}
    return [_build_state(row, missing.get(row["device"], 0), row["device"] in twins) for row in rows]


def _count_missing(connection: psycopg.Connection, school: str) -> Mapping[str, int]:
    # Of the city: whichever school has holes.
    query = "SELECT DISTINCT school FROM hole WHERE %(school)s IN ('', school)"
    missing: dict[str, int] = {}
    for (found,) in connection.execute(query, {"school": school}).fetchall():
        for hole in read_holes(connection, found):
            missing[hole.device] = missing.get(hole.device, 0) + hole.last_seq - hole.first_seq + 1
    return missing


def _build_state(row: Mapping[str, Any], missing: int, twins: bool) -> KioskState:
    body = row["body"]
    known = {key: value for key, value in row.items() if key != "body"}
    if body is None:
        return KioskState(**known, missing=missing, twins=twins)
    beat = read_json(Heartbeat, bytes(body))  # read once before it was stored
    return KioskState(
        **known, missing=missing, twins=twins, version=beat.agent, queue=beat.queue, roster=beat.roster,
        roster_age_s=beat.roster_age_s, scanned=_read_moment(beat.scanned), clock=beat.clock, parts=beat.health,
        update=beat.update,
    )  # fmt: skip


def _read_moment(text: str) -> datetime | None:
    try:
        return read_time(text) if text else None
    except InvalidMessage:
        return None  # what a kiosk says of itself is shown where it can be read, and refused nowhere
