"""Two kiosks with one identity: a copied memory card. Their heartbeats alternate, each run's between the other's.

A kiosk that was restarted is no twin: its former run was not heard again since the new one began. An alarm ends an hour
after the other kiosk was last heard, which is four of the longest waits between two heartbeats on a bad line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg
from psycopg.rows import class_row

from sync.ledger.registry.schools import RegisteredDevice

TWIN_ALARM: Final = timedelta(hours=1)


def find_twin(connection: psycopg.Connection, device: RegisteredDevice, instance: str) -> datetime | None:
    """Returns when another run under this device's identity was last heard while this one lives; None: there is none.

    This run's own heartbeat is stored already.
    """
    row = connection.execute(
        "SELECT max(other.received_at) FROM heartbeat other JOIN heartbeat ours USING (school, device)"
        " WHERE other.school = %(school)s AND other.device = %(device)s AND ours.instance = %(instance)s"
        " AND other.instance <> ours.instance AND other.received_at > ours.first_at"
        " AND other.received_at > clock_timestamp() - %(alarm)s",
        {"school": device.school, "device": device.device, "instance": instance, "alarm": TWIN_ALARM},
    ).fetchone()
    heard: datetime | None = row[0] if row is not None else None
    return heard


@dataclass(frozen=True, slots=True)
class TwinRow:
    """A kiosk whose identity is used by another one, too."""

    school: str
    device: str
    name: str
    heard_at: datetime  # the last time that one of them came between two heartbeats of the other


# Of the city: one row a kiosk in trouble, found where its school's rows lie.
_TWINS = """
    SELECT d.school, d.device, d.name, max(least(a.received_at, b.received_at)) AS heard_at
    FROM device d JOIN heartbeat a USING (school, device) JOIN heartbeat b USING (school, device)
    WHERE %(school)s IN ('', d.school) AND a.instance < b.instance
      AND a.first_at < b.received_at AND b.first_at < a.received_at
      AND a.received_at > %(since)s AND b.received_at > %(since)s
    GROUP BY d.school, d.device, d.name ORDER BY d.school, d.device
"""


def list_twins(connection: psycopg.Connection, school: str, now: datetime) -> Sequence[TwinRow]:
    """Returns the kiosks of one school, or of all where `school` is empty, of which two are heard with one identity."""
    with connection.cursor(row_factory=class_row(TwinRow)) as cursor:
        return cursor.execute(_TWINS, {"school": school, "since": now - TWIN_ALARM}).fetchall()
