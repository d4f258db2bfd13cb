"""A commit whose wait for the standby was cancelled gives no receipt, nor does what reads it before it is safe."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest

from canteen_demo.postgres import EmbeddedPostgres
from sync.contract import batch, wire
from sync.contract.log_view import log_view_path
from sync.contract.wire import BatchReply, ProblemDocument
from sync.ledger.database import NotReplicated, connect_ledger, connected
from sync.ledger.errors import DatabaseUnavailable
from sync.ledger.registry import schools
from sync.ledger.server import LedgerOptions, LedgerServer
from tests.sync.ledger.kiosk import OPEN_DOOR, Kiosk, accepted, entry, new_school

PATIENCE_S = 60
ResultT = TypeVar("ResultT")


@pytest.fixture(scope="module")
def lone(open_folder: Path) -> Iterator[LedgerServer]:
    """A ledger whose PostgreSQL a test may leave without its standby."""
    options = LedgerOptions(folder=open_folder / "lone", port=0, limits=OPEN_DOOR, settle_interval_s=0)
    with EmbeddedPostgres(options.folder) as postgres, LedgerServer(postgres.url, options) as running:
        yield running


@pytest.fixture
def control(lone: LedgerServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(lone.database_url, autocommit=True) as connection:
        yield connection
        name_standby(connection, "")


def name_standby(control: psycopg.Connection, name: str) -> None:
    """Lets commits wait for a standby of this name; "": for none, and those that wait are released."""
    control.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    control.execute("SELECT pg_reload_conf()")


def lose_standby(lone: LedgerServer, control: psycopg.Connection) -> None:
    """From the return on, every commit waits."""
    school = new_school(control)
    name_standby(control, "nobody")
    with psycopg.connect(lone.database_url, autocommit=True) as probe, ThreadPoolExecutor(1) as thread:
        until = time.monotonic() + PATIENCE_S
        while not cancel_waits(
            control, thread.submit(probe.execute, "UPDATE school SET name = name WHERE school = %s", (school,))
        ):
            assert time.monotonic() < until


def cancel_waits(control: psycopg.Connection, running: Future[Any]) -> int:
    """Cancels the waits for a standby until `running` has ended; returns how many there were."""
    cancelled, until = 0, time.monotonic() + PATIENCE_S
    while not running.done():
        assert time.monotonic() < until
        rows = control.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        cancelled += len(rows.fetchall())
        time.sleep(0.01)
    return cancelled


def cancelled(control: psycopg.Connection, call: Callable[[], ResultT]) -> ResultT:
    """Runs `call` while every wait for the lost standby is cancelled; returns its result."""
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(call)
        assert cancel_waits(control, running) > 0
        return running.result()


@pytest.fixture
def delivering(lone: LedgerServer, control: psycopg.Connection) -> Iterator[Kiosk]:
    """A kiosk with ten events at the ledger and ten that are not."""
    kiosk = Kiosk.enrol(lone.url, schools.issue_code(control, new_school(control), "", datetime.now(UTC)))
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(20)))
    accepted(kiosk.send(1, 10))
    yield kiosk
    kiosk.close()


def post(kiosk: Kiosk, first: int, last: int) -> httpx.Response:
    return kiosk.post_body(batch.encode(kiosk.header(first, last), kiosk.payloads[first - 1 : last]))


def test_a_batch_on_one_machine_alone_gets_no_receipt(
    lone: LedgerServer, control: psycopg.Connection, delivering: Kiosk
) -> None:
    lose_standby(lone, control)
    answer = cancelled(control, lambda: post(delivering, 11, 20))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert wire.read_json(ProblemDocument, answer.content).detail == "NotReplicated"
    # PostgreSQL has it all the same, and shows it: whoever signs for it must wait, too.
    stored = control.execute("SELECT count(*) FROM event WHERE device = %s", (delivering.device,)).fetchone()
    assert stored == (20,)
    asks: tuple[Callable[[], httpx.Response], ...] = (
        lambda: post(delivering, 11, 20),
        lambda: delivering.call("GET", wire.cursor_path(delivering.device)),
        lambda: delivering.call("GET", log_view_path(delivering.device), query="since=0"),
    )
    for ask in asks:
        assert cancelled(control, ask).status_code == 503
    name_standby(control, "")
    assert delivering.cursor().accepted_through == 20
    reply = delivering.send(11, 20)
    assert isinstance(reply, BatchReply)
    assert delivering.checked(reply.receipt).seq == 20
    assert reply.duplicates == 10


def test_any_cancelled_commit_is_a_failure_and_the_connection_goes_on(
    lone: LedgerServer, control: psycopg.Connection
) -> None:
    school = new_school(control)

    def act() -> None:
        with connect_ledger(lone.database_url) as connection:
            rename = "UPDATE school SET name = %s WHERE school = %s"
            with pytest.raises(NotReplicated):
                connection.execute(rename, ("one", school))
            with pytest.raises(NotReplicated), connection.transaction():
                connection.execute(rename, ("two", school))
            with pytest.raises(NotReplicated), connection.transaction(), connection.pipeline():
                connection.execute(rename, ("three", school))
            assert connection.execute("SELECT name FROM school WHERE school = %s", (school,)).fetchone() == ("three",)

    lose_standby(lone, control)
    cancelled(control, act)


def test_an_operator_is_told_of_a_cancelled_commit(lone: LedgerServer, control: psycopg.Connection) -> None:
    school = new_school(control)

    def act() -> None:
        with (
            pytest.raises(DatabaseUnavailable, match="on one machine alone; see in `ledger log`"),
            connected(lone.database_url) as connection,
        ):
            connection.execute("UPDATE school SET name = 'one' WHERE school = %s", (school,))

    lose_standby(lone, control)
    cancelled(control, act)
