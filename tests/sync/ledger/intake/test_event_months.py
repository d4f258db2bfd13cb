"""Events lie by the month in which they came, and each is there once whatever the month."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from threading import Barrier

import psycopg
import pytest

from sync.contract.wire import BatchReply
from sync.ledger.intake.event_months import MONTHS_AHEAD, list_months, open_months
from sync.ledger.migrate import migrate, steps
from sync.ledger.server import LedgerServer
from tests.sync.ledger.kiosk import Kiosk, accepted, entry

MONTHS_SINCE = 84


def test_months_are_open_ahead(db: psycopg.Connection, server: LedgerServer) -> None:
    present = list_months(db)
    now = datetime.now(UTC)
    assert f"{now:%Y-%m}" in present
    assert sum(month > f"{now:%Y-%m}" for month in present) == MONTHS_AHEAD
    assert open_months(db) == []


@pytest.fixture
def old(db: psycopg.Connection, server: LedgerServer) -> Iterator[psycopg.Connection]:
    """A database of the last schema without months."""
    db.execute("DROP DATABASE IF EXISTS unparted")
    db.execute("CREATE DATABASE unparted")
    url = psycopg.conninfo.make_conninfo(server.database_url, dbname="unparted")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("CREATE TABLE schema_version (number int PRIMARY KEY, applied_at timestamptz DEFAULT now())")
        for number, text in steps():
            if number < MONTHS_SINCE:
                connection.execute(text.encode())
                connection.execute("INSERT INTO schema_version (number) VALUES (%s)", (number,))
        yield connection
    db.execute("DROP DATABASE unparted")


def test_a_filled_table_is_parted_and_nothing_else_changes(old: psycopg.Connection) -> None:
    old.execute("INSERT INTO school (school, name, timezone) VALUES ('s', '', 'UTC')")
    moments = ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-31T20:00:00Z", "2026-11-30T00:00:00Z"]
    for seq, moment in enumerate(moments, 1):
        old.execute(
            "INSERT INTO event (school, device, epoch, seq, payload, hash, kind, day, flags, received_at, person)"
            " VALUES ('s', 's-1', 'e', %s, %s, %s, 'entry', '2026-01-02', 'review', %s, 'u1')",
            (seq, b"\x00\xff%d" % seq, b"h%d" % seq, moment),
        )
    columns = [column.name for column in old.execute("SELECT * FROM event LIMIT 0").description or ()]
    wanted = f"SELECT {', '.join(columns)} FROM event ORDER BY seq"
    before, facts = old.execute(wanted.encode()).fetchall(), old.execute("SELECT * FROM fact ORDER BY seq").fetchall()
    old.execute("SET timezone = 'Asia/Almaty'")
    migrate(old)
    assert old.execute(wanted.encode()).fetchall() == before
    assert old.execute("SELECT * FROM fact ORDER BY seq").fetchall() == facts
    parts = old.execute("SELECT seq, month, tableoid::regclass::text FROM event ORDER BY seq").fetchall()
    assert parts == [
        (1, "2025-12", "event_2025_12"), (2, "2026-01", "event_2026_01"), (3, "2026-01", "event_2026_01"),
        (4, "2026-11", "event_2026_11"),
    ]  # fmt: skip
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'event' ORDER BY 1"
    assert [row[0] for row in old.execute(indexes)] == ["event_day", "event_outage", "event_pkey", "event_void"]
    migrate(old)


def count_rows(db: psycopg.Connection, kiosk: Kiosk) -> tuple[int, int]:
    """Returns how many rows a kiosk's events have, and how many events there are."""
    row = db.execute(
        "SELECT count(*), count(DISTINCT (epoch, seq)) FROM event WHERE school = %s AND device = %s",
        (kiosk.school, kiosk.device),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_what_came_in_another_month_is_not_stored_again(db: psycopg.Connection, kiosk: Kiosk) -> None:
    """No unique key holds this: the head row does."""
    kiosk.record(*(entry(f"u{number}", school=kiosk.school, minute=number) for number in range(5)))
    accepted(kiosk.send_all())
    later = max(list_months(db))
    db.execute(
        "UPDATE event SET month = %s WHERE school = %s AND device = %s AND seq <= 3",
        (later, kiosk.school, kiosk.device),
    )
    assert accepted(kiosk.send(1, 5)).duplicates == 5
    assert count_rows(db, kiosk) == (5, 5)


def test_writers_at_once_store_each_event_once(db: psycopg.Connection, enrolled: Callable[[], Kiosk]) -> None:
    kiosk = enrolled()
    kiosk.record(*(entry(f"u{number}", school=kiosk.school, minute=number) for number in range(40)))
    start = Barrier(4)
    batches = [(first, last) for first in range(1, 41, 8) for last in (first + 7,)]

    def deliver(number: int) -> list[object]:
        start.wait()
        return [kiosk.send(first, last) for first, last in batches]

    with ThreadPoolExecutor(4) as pool:
        replies = [reply for listed in pool.map(deliver, range(4)) for reply in listed]
    stored = sum(8 - reply.duplicates for reply in replies if isinstance(reply, BatchReply))
    assert stored == 40, "each event was new to exactly one writer"
    assert count_rows(db, kiosk) == (40, 40)
