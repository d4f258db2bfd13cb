"""Schools that return with backlogs, and the ledger as its operator starts it."""

import itertools
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg

from sync.contract import chain
from sync.contract.chain import Hash
from sync.contract.wire import BatchReply, ProblemDocument
from sync.ledger.registry import schools
from tests.sync.ledger.failover.cluster import PATIENCE_S, wait_until
from tests.sync.ledger.kiosk import Kiosk, entry, new_school
from tests.system.daemon import AGENT

BATCH = 25


@contextmanager
def ledger_process(url: str, folder: Path) -> Iterator[str]:
    """Yields the URL of `edge-agent ledger serve` on this database; its log is `ledger.log` beside its folder."""
    command = ["ledger", "serve", "--database-url", url, "--data", str(folder), "--port", "0", "--rate", "100000"]
    with folder.with_name("ledger.log").open("ab") as log:
        process = subprocess.Popen([*AGENT, *command], stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        announced = process.stdout.readline().split()
        assert announced, f"the ledger did not start: see {log.name}"
        yield announced[-1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass(slots=True)
class BacklogKiosk(Kiosk):
    """A kiosk with much to send: it hashes each event once."""

    chained: list[Hash] = field(default_factory=list)

    @property
    def hashes(self) -> list[Hash]:
        if not self.chained:
            public = self.key.public_key().public_bytes_raw()
            self.chained.append(chain.genesis(self.device, public, self.epoch, self.parent))
        self.chained += chain.chain_hashes(self.chained[-1], self.payloads[len(self.chained) - 1 :])
        return self.chained


class SchoolReturn:
    """One school's kiosk that sends and sends, as a kiosk does: after a refusal or silence it comes again."""

    def __init__(self, kiosk: BacklogKiosk, pause_s: float) -> None:
        self.kiosk = kiosk
        self._pause_s = pause_s  # between two batches: the machine is there for others, too
        self.acknowledged = 0
        self.answers: list[tuple[float, int]] = []  # when, on the monotonic clock, and up to which event
        self.refusals = 0
        self.failure: ProblemDocument | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._deliver, daemon=True)
        self._thread.start()

    def _deliver(self) -> None:
        kiosk = self.kiosk
        while not self._ending.is_set() and self.failure is None:
            if len(kiosk.payloads) == self.acknowledged:
                first = len(kiosk.payloads)
                kiosk.record(*(entry(f"u{first + n}", school=kiosk.school, minute=n) for n in range(BATCH)))
            try:
                reply = kiosk.send(self.acknowledged + 1, len(kiosk.payloads))
            except httpx.TransportError:
                self._ending.wait(0.1)
                continue
            match reply:
                case BatchReply():
                    assert kiosk.checked(reply.receipt).seq == reply.accepted_through
                    self.acknowledged = reply.accepted_through
                    self.answers.append((time.monotonic(), self.acknowledged))
                    self._ending.wait(self._pause_s)
                case ProblemDocument(status=503):
                    self.refusals += 1
                    self._ending.wait(0.1)  # Retry-After says 5 s; a test is less polite
                case ProblemDocument():
                    self.failure = reply

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(PATIENCE_S)
        self.kiosk.close()
        assert not self._thread.is_alive()

    def check(self, db: psycopg.Connection) -> None:
        """Every event that has a receipt is stored, once, byte for byte, in its place."""
        assert self.failure is None
        stored = db.execute(
            "SELECT seq, payload, hash FROM event WHERE device = %s AND seq <= %s ORDER BY seq",
            (self.kiosk.device, self.acknowledged),
        ).fetchall()
        expected = zip(self.kiosk.payloads, self.kiosk.hashes[1:], strict=True)
        assert stored == [
            (n, payload, hashed) for n, (payload, hashed) in enumerate(expected, 1) if n <= self.acknowledged
        ]


@contextmanager
def returning_schools(
    ledger_url: str, database_url: str, count: int, pause_s: float = 0.1
) -> Iterator[list[SchoolReturn]]:
    """Yields so many schools that return at once; when it ends they have stopped."""
    with psycopg.connect(database_url, autocommit=True) as db:
        codes = [schools.issue_code(db, new_school(db), "", datetime.now(UTC)) for _ in range(count)]
    kiosks = [BacklogKiosk.enrol(ledger_url, code) for code in codes]
    returning = [SchoolReturn(kiosk, pause_s) for kiosk in kiosks]
    try:
        yield returning
    finally:
        for school in returning:
            school.stop()


def await_progress(returning: list[SchoolReturn], batches: int) -> None:
    """Waits until each school has got so many receipts more."""
    wanted = {id(school): len(school.answers) + batches for school in returning}
    wait_until(
        lambda: all(school.failure or len(school.answers) >= wanted[id(school)] for school in returning),
        "a school got no receipt",
    )


def longest_silence(returning: list[SchoolReturn], since: float) -> float:
    """Returns for how many seconds on end no school got a receipt, from `since` on the monotonic clock on."""
    times = sorted([since, *(when for school in returning for when, _ in school.answers if when >= since)])
    return max((after - before for before, after in itertools.pairwise(times)), default=0.0)
