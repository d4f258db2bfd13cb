"""A school's column maps: how the files of its payers, and of its lessons, are read."""

from datetime import datetime

import psycopg

from sync.errors import Wording
from sync.ledger.billing.terms import lock_school
from sync.ledger.errors import NotUnderstood
from sync.money.payer_file import PayerMap, check_payer_map
from sync.money.terms_file import read_json, to_bytes

MAPS_MAX = 50  # of one school


def store_map(connection: psycopg.Connection, school: str, column_map: PayerMap, *, by: str, now: datetime) -> None:
    """Keeps a map under its id, in place of an earlier one. Raises PayerFileWrong or NotUnderstood."""
    check_payer_map(column_map)
    with connection.transaction():
        lock_school(connection, school)
        others = [each for each in list_maps(connection, school) if each.id != column_map.id]
        if len(others) >= MAPS_MAX:
            raise NotUnderstood(
                f"{school} has {MAPS_MAX} maps", "replace one of them", Wording("refusal.maps_full", most=MAPS_MAX)
            )
        connection.execute(
            "INSERT INTO payer_map (school, map, body, stored_by, stored_at) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (school, map) DO UPDATE SET body = excluded.body, stored_by = excluded.stored_by,"
            " stored_at = excluded.stored_at",
            (school, column_map.id, to_bytes(column_map), by, now),
        )


def list_maps(connection: psycopg.Connection, school: str) -> list[PayerMap]:
    """Returns the maps of a school, by id."""
    rows = connection.execute("SELECT body FROM payer_map WHERE school = %s ORDER BY map", (school,))
    return [read_json(bytes(row[0]), PayerMap) for row in rows]


def read_map(connection: psycopg.Connection, school: str, name: str) -> PayerMap:
    """Returns the map of this id. Raises NotUnderstood."""
    row = connection.execute("SELECT body FROM payer_map WHERE school = %s AND map = %s", (school, name)).fetchone()
    if row is None:
        raise NotUnderstood(
            f"{school} has no map {name!r}", "store it with `edge-agent ledger payer map`", Wording("refusal.no_map")
        )
    return read_json(bytes(row[0]), PayerMap)
