"""A ledger in several processes: one port, the same keys, and none of them is missed."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from sync.ledger.registry import schools
from sync.ledger.server import LedgerOptions, LedgerServer
from sync.ledger.workers import LedgerWorkers, run_workers
from tests.sync.ledger.kiosk import OPEN_DOOR, Kiosk, accepted, entry, new_school


@pytest.fixture(scope="module")
def workers(server: LedgerServer, open_folder: Path) -> Iterator[LedgerWorkers]:
    options = LedgerOptions(folder=open_folder / "ledger", port=0, limits=OPEN_DOOR, settle_interval_s=0)
    with run_workers(server.database_url, options, 2) as running:
        yield running


def reconnect(kiosk: Kiosk, url: str) -> None:
    kiosk.http.close()
    kiosk.http = httpx.Client(base_url=url, timeout=30)


def test_any_process_takes_the_next_batch(workers: LedgerWorkers, db: psycopg.Connection) -> None:
    school = new_school(db)
    kiosk = Kiosk.enrol(workers.url, schools.issue_code(db, school, "left door", datetime.now(UTC)))
    kiosk.record(*(entry(f"u{n}", school=school) for n in range(20)))
    for number in range(1, 21):
        reconnect(kiosk, workers.url)  # the kernel chooses a process for each connection
        kiosk.checked(accepted(kiosk.send(number, number)).receipt)
    kiosk.close()


def test_a_process_that_dies_is_started_again(workers: LedgerWorkers, db: psycopg.Connection) -> None:
    school = new_school(db)
    kiosk = Kiosk.enrol(workers.url, schools.issue_code(db, school, "left door", datetime.now(UTC)))
    killed = workers.list_pids()[0]
    os.kill(killed, signal.SIGKILL)
    until = time.monotonic() + 120
    while killed in workers.list_pids():
        assert time.monotonic() < until
        workers.watch()
        time.sleep(0.05)
    workers.await_all()
    for number in range(1, 6):
        kiosk.record(entry(f"u{number}", school=school))
        reconnect(kiosk, workers.url)
        accepted(kiosk.send(number, number))
    kiosk.close()
    assert len(workers.list_pids()) == 2


def test_all_processes_end_with_the_first(server: LedgerServer, open_folder: Path) -> None:
    options = LedgerOptions(folder=open_folder / "ledger", port=0, settle_interval_s=0)
    with run_workers(server.database_url, options, 2) as running:
        pids, url = running.list_pids(), running.url
        assert httpx.get(f"{url}/v1/health").status_code == 200
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/v1/health")
