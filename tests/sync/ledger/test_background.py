"""Work beside the requests goes on after an error that nobody expected."""

import logging
import threading

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from sync.ledger.background import BackgroundWork, IsStopping
from sync.ledger.server import LedgerServer


def test_an_unexpected_error_is_logged_and_the_work_goes_on(
    server: LedgerServer, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    done = threading.Event()

    def work(connection: psycopg.Connection, _: IsStopping) -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise ZeroDivisionError("a row of a kind that nobody expected")
        assert connection.execute("SELECT 1").fetchone() == (1,)
        done.set()

    with (
        ConnectionPool(server.database_url, connection_class=psycopg.Connection, min_size=1, max_size=1) as pool,
        caplog.at_level(logging.ERROR, "sync.ledger.background"),
    ):
        running = BackgroundWork("days", pool, 0.01, work, pause_s=0.02)
        running.start()
        assert done.wait(60)
        running.stop()
    (record,) = caplog.records
    assert record.getMessage().startswith("days: failed")
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
