"""A ledger of the time before there were columns: its events get them as if they had just come."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest

from sync.contract.event import Carried, ClockQuality, encode
from sync.ledger.intake.column_filling import fill_columns
from sync.ledger.intake.event_rows import COLUMN_NAMES
from sync.ledger.judgement.days import settle_days
from sync.ledger.migrate import migrate, steps
from sync.ledger.server import LedgerServer
from tests.sync.ledger.judgement.recomputation import read_by_day, recompute_visits
from tests.sync.ledger.judgement.test_attacks import lunch, paid
from tests.sync.ledger.kiosk import Kiosk, accepted

__all__ = ["lunch"]

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
_OLD_COLUMNS = {
    "school": "school, name, timezone",
    "device": "school, device, name",
    "epoch": "school, device, epoch, public_key, genesis, parent, parent_seq, parent_hash, opened_at",
    "head": "school, device, epoch, seq, hash",
    "event": "school, device, epoch, seq, payload, hash, kind, day, flags, received_at",
    "carried": "school, device, epoch, seq, hash, payload, kind, day, flags, by_epoch, by_seq, received_at",
}


@pytest.fixture
def old(db: psycopg.Connection, server: LedgerServer) -> Iterator[psycopg.Connection]:
    """A database of the last schema without columns."""
    db.execute("DROP DATABASE IF EXISTS old")
    db.execute("CREATE DATABASE old")
    url = psycopg.conninfo.make_conninfo(server.database_url, dbname="old")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("CREATE TABLE schema_version (number int PRIMARY KEY, applied_at timestamptz DEFAULT now())")
        for number, text in steps():
            if number <= 3:
                connection.execute(text.encode())
                connection.execute("INSERT INTO schema_version (number) VALUES (%s)", (number,))
        yield connection
    db.execute("DROP DATABASE old")


def test_old_events_get_the_columns_that_new_ones_have(
    db: psycopg.Connection, old: psycopg.Connection, lunch: str, kiosk: Kiosk
) -> None:
    wrong = paid(lunch, "u2", 2, at="2019-01-01T00:00:00.000Z", clock=ClockQuality.UNSYNCHRONISED, boot="w")
    kiosk.record(paid(lunch, "u1", 5), b"rubbish", wrong, paid(lunch, "u3", 3, boot="w", mono_ms=180_000))
    inner = encode(paid(lunch, "u4", 4)).decode()
    kiosk.record(Carried(
        school=lunch, at="2026-11-20T05:00:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        old_epoch="00000000000000aa", old_seq=1, old_hash="00" * 32, payload=inner,
    ))  # fmt: skip
    accepted(kiosk.send_all())
    for table, columns in _OLD_COLUMNS.items():
        for row in db.execute(f"SELECT {columns} FROM {table} WHERE school = %s", (lunch,)).fetchall():
            marks = ", ".join(["%s"] * len(row))
            old.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row)
    migrate(old)
    fill_columns(old)  # once more: it changes nothing
    columns, carried = ", ".join(COLUMN_NAMES), ", ".join(set(COLUMN_NAMES) - {"latest_before"})
    for query in (
        f"SELECT seq, {columns} FROM event WHERE school = %s ORDER BY seq",
        f"SELECT {carried} FROM carried WHERE school = %s",
        "SELECT latest FROM head WHERE school = %s",
        "SELECT boot, span, mono_ms, recorded_at FROM clock_anchor WHERE school = %s ORDER BY boot, span",
        "SELECT seq, boot, day, true_day FROM strayed_event WHERE school = %s",
        "SELECT day FROM dirty_day WHERE school = %s ORDER BY day",
    ):
        expected = db.execute(query.encode(), (lunch,)).fetchall()
        assert expected
        assert old.execute(query.encode(), (lunch,)).fetchall() == expected
    settle_days(old, lunch, now=NOW)
    assert read_by_day(old, lunch) == recompute_visits(old, lunch, NOW)
    assert sum(map(len, read_by_day(old, lunch).values())) == 4
