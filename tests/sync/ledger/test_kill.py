"""kill -9 of the service, and of PostgreSQL under it, at random moments: what was acknowledged is there, once."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from canteen_demo.postgres import EmbeddedPostgres
from sync.contract.wire import BatchReply, ProblemDocument
from sync.ledger.registry import schools
from tests.sync.ledger.kiosk import Kiosk, entry, new_school

EVENTS = 3_000
BATCH = 25
PATIENCE_S = 60


class Process:
    """A ledger that can be killed and started again on the same folder and port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = 0
        self.url = ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.sync.ledger.serve_process", str(self.folder), str(self._port)]
        root = Path(__file__).parents[3]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the ledger did not start"
        self._port = int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def kill_postgres(self) -> None:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # not up again since the last kill
            text = (self.folder / "postgres/data/postmaster.pid").read_text(encoding="ascii")
            os.kill(int(text.split("\n")[0]), signal.SIGKILL)

    def wait_until_up(self) -> None:
        """A kill before may still be healing."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/v1/health", timeout=30).status_code == 200:
                    return
        raise AssertionError("the ledger did not come back")


@pytest.fixture(scope="module")
def process(open_folder: Path) -> Iterator[Process]:
    running = Process(open_folder / f"killed-{time.monotonic_ns()}")
    yield running
    running.kill()
    heir = EmbeddedPostgres(running.folder)  # the orphan is adopted, and stopped
    heir.start()
    heir.stop()


def deliver(kiosk: Kiosk, events: int, done: threading.Event, acknowledged: list[int], waits: list[int]) -> None:
    """What a kiosk does: send, keep what is acknowledged, after any trouble ask where the ledger stands."""
    first = 1
    deadline = time.monotonic() + PATIENCE_S * max(1, events // EVENTS)
    while first <= events and time.monotonic() < deadline:
        try:
            reply = kiosk.send(first, min(events, first + BATCH - 1))
            match reply:
                case BatchReply():
                    kiosk.checked(reply.receipt)
                    acknowledged.append(reply.accepted_through)
                    first = reply.accepted_through + 1
                case ProblemDocument(status=503):
                    waits.append(first)
                    done.wait(0.05)  # Retry-After says 5 s; a test is less polite
                case ProblemDocument():
                    raise AssertionError(reply)
        except httpx.TransportError:
            done.wait(0.05)
    done.set()


def check_kill(process: Process, kills: int, seed: int, *, postgres: bool, events: int = EVENTS) -> None:
    process.wait_until_up()
    embedded = EmbeddedPostgres(process.folder)
    with psycopg.connect(embedded.url, autocommit=True) as db:
        code = schools.issue_code(db, new_school(db), "", datetime.now(UTC))
    kiosk = Kiosk.enrol(process.url, code)
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(events)))
    kiosk.payloads[5] = b"no event"
    fixed = kiosk.hashes
    done = threading.Event()
    acknowledged: list[int] = []
    waits: list[int] = []  # told to come again
    sender = threading.Thread(target=deliver, args=(kiosk, events, done, acknowledged, waits), daemon=True)
    sender.start()
    dice = random.Random(seed)
    killed = 0
    for _ in range(kills):
        if done.wait(dice.uniform(0.02, 0.4)):
            break
        killed += 1
        if postgres:
            process.kill_postgres()
            done.wait(2.0)  # the service sees it within a second, and starts it again
        else:
            process.kill()
            process.start()
    sender.join()
    process.wait_until_up()
    assert killed > 0
    assert acknowledged[-1] == events
    assert postgres or not waits
    with psycopg.connect(embedded.url) as db:
        stored = db.execute(
            "SELECT seq, payload, hash FROM event WHERE device = %s ORDER BY seq", (kiosk.device,)
        ).fetchall()
        receipts = {n for (n,) in db.execute("SELECT accepted_through FROM receipt WHERE device = %s", (kiosk.device,))}
    assert stored == [(n, kiosk.payloads[n - 1], fixed[n]) for n in range(1, events + 1)]
    assert set(acknowledged) <= receipts
    kiosk.close()


def test_killed_service(process: Process) -> None:
    check_kill(process, 2, 1, postgres=False)


def test_killed_postgres(process: Process) -> None:
    check_kill(process, 1, 2, postgres=True)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(10))
def test_killed_often(process: Process, seed: int) -> None:
    check_kill(process, 10, seed, postgres=seed % 2 == 1, events=12_000)
