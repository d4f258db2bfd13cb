"""The months of the table `event`: a part of it for each month in which events came, opened before it begins."""

from datetime import datetime
from typing import Final

import psycopg
from psycopg import sql

MONTHS_AHEAD: Final = 3
MONTH_UPKEEP_S: Final = 3_600.0
_LOCK = 0x63_6E_74_34  # `cnt4`: whoever changes the parts of the table takes it


def open_months(connection: psycopg.Connection) -> list[str]:
    """Opens the current month and those ahead, by the database's clock, where they are not. Returns the new ones.

    A part is made beside the table and then joined to it: no batch waits for that.
    """
    row = connection.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
    assert row is not None
    wanted = [_shift(row[0], ahead) for ahead in range(MONTHS_AHEAD + 1)]
    if set(wanted) <= set(list_months(connection)):
        return []
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        opened = [month for month in wanted if month not in list_months(connection)]
        for month in opened:
            part = sql.Identifier(name_part(month))
            connection.execute(sql.SQL("CREATE TABLE {} (LIKE event INCLUDING ALL)").format(part))
            attach_part(connection, month)
    return opened


def attach_part(connection: psycopg.Connection, month: str) -> None:
    """Joins the part of a month to the table."""
    connection.execute(
        sql.SQL("ALTER TABLE event ATTACH PARTITION {} FOR VALUES IN ({})").format(
            sql.Identifier(name_part(month)), sql.Literal(month)
        )
    )


def list_months(connection: psycopg.Connection) -> list[str]:
    """Returns the months that the table has, ascending."""
    rows = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event'::regclass ORDER BY 1"
    )
    return [part.removeprefix("event_").replace("_", "-") for (part,) in rows]


def name_part(month: str) -> str:
    """Returns the name of the part with the events of a month, as `event_2026_11` for `2026-11`."""
    return f"event_{month.replace('-', '_')}"


def _shift(moment: datetime, months: int) -> str:
    count = moment.year * 12 + moment.month - 1 + months
    return f"{count // 12:04}-{count % 12 + 1:02}"
