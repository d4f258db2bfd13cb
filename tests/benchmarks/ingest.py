"""The kiosks of a city deliver what a day without the line has left them, all at once, into the real ledger over HTTP.

Every request is made and signed beforehand, and a process of its own only writes it to a socket and reads the answer's
status: what is measured is the ledger's work and PostgreSQL's, on the processors that they share with that process.
"""

import multiprocessing
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from threading import Thread
from typing import BinaryIO

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.contract import batch, signature, wire
from sync.contract.roster import Entitlement, MealSession, Person
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerOptions
from sync.ledger.workers import run_workers
from tests.benchmarks.figures import Figure, Result, Run
from tests.benchmarks.processor import ProcessorTimes
from tests.benchmarks.settle import _lunch
from tests.sync.ledger.kiosk import OPEN_DOOR, Kiosk

SCHOOLS = 8  # which deliver at the same time
BATCHES = 25  # of each kiosk
PUPILS = 500  # each comes and goes once a day
FIRST = date(2026, 11, 2)
WORKERS = 2
EVENTS_PER_S_MIN = 40_000.0
SEAL_S_MAX = 1.0
LATER_S = 0.02


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one kiosk has to send: whole HTTP requests, in their order."""

    device: str
    requests: Sequence[bytes]


def run(run: Run) -> Result:
    count, batches = (2, 2) if run.quick else (SCHOOLS, BATCHES)
    folder = run.folder / "ingest"
    with EmbeddedPostgres(folder) as postgres:
        options = LedgerOptions(folder=folder, port=0, limits=OPEN_DOOR, settle_interval_s=0)
        with (
            run_workers(postgres.url, options, WORKERS) as ledger,
            closing(psycopg.connect(postgres.url, autocommit=True)) as db,
        ):
            backlogs = [prepare(db, ledger.url, f"sch-{number}", batches) for number in range(count)]
            db.execute("CHECKPOINT")
            spent = ProcessorTimes(ledger.list_pids(), postgres)
            took = deliver(ledger.url, backlogs)
            ledger_s, postgres_s = spent.read()
            sealed_s = await_seals(db)
            stored = count_stored(db)
        with closing(psycopg.connect(postgres.url, autocommit=True)) as db:
            floor = copy_again(db, postgres.url, backlogs)
    events = count * batches * batch.EVENTS_MAX
    limited = not run.quick  # at the reduced size a process spends its time on its first statements
    figures = [
        Figure("end to end", events / took, "events/s", at_least=EVENTS_PER_S_MIN if limited else None),
        Figure("the same; floor: PostgreSQL takes the rows by COPY", events / took, "events/s", events / floor),
        Figure("processor time of the ledger", 1e6 * ledger_s / events, "µs an event"),
        Figure("processor time of PostgreSQL", 1e6 * postgres_s / events, "µs an event"),
        Figure("from the last answer to the checkpoint over its batch", sealed_s, "s", at_most=SEAL_S_MAX),
        Figure("events that the ledger lacks", events - stored, "", at_most=0),
    ]  # fmt: skip
    what = f"{events:,} events of {count} kiosks in batches of {batch.EVENTS_MAX:,}, {WORKERS} processes of the ledger"
    return Result("ingest", what, figures)


def prepare(db: psycopg.Connection, url: str, school: str, batches: int) -> Backlog:
    """A school with a roster, and the signed requests of its kiosk."""
    people = [f"u-{number:08}" for number in range(PUPILS)]
    schools.add_school(db, school, school)
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="09:00", end="12:00"),
        *(Person(id=person, given_name="Ә", family_name="Қ") for person in people),
        *(Entitlement(id=f"{person}.state", person=person, programme="state") for person in people),
    ], in_force=datetime(2026, 11, 1, tzinfo=UTC))  # fmt: skip
    kiosk = Kiosk.enrol(url, schools.issue_code(db, school, "door", datetime.now(UTC)))
    kiosk.close()
    for number in range(batches):
        kiosk.record(*_lunch(school, FIRST + timedelta(days=number), people, len(kiosk.payloads)))
    hashes, compress = kiosk.hashes, batch.Compressor()
    requests = []
    for first in range(0, len(kiosk.payloads), batch.EVENTS_MAX):
        lines = kiosk.payloads[first : first + batch.EVENTS_MAX]
        header = batch.BatchHeader(
            first_seq=first + 1, count=len(lines), prev=hashes[first].hex(), head=hashes[first + len(lines)].hex()
        )
        requests.append(write_request(kiosk, compress(batch.encode(header, lines))))
    return Backlog(kiosk.device, requests)


def write_request(kiosk: Kiosk, body: bytes) -> bytes:
    path = wire.batches_path(kiosk.device, kiosk.epoch)
    headers = {"content-type": wire.NDJSON, "content-encoding": "zstd"}
    signed = signature.sign(
        signature.SignableRequest("POST", path, "", headers, body), kiosk.key, kiosk.device, int(time.time())
    )
    lines = [f"POST {path} HTTP/1.1", "host: ledger", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers | signed).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def deliver(url: str, backlogs: Sequence[Backlog], *, insists: bool = False) -> float:
    """Returns the seconds from the first request to the last answer. Raises RuntimeError for any answer but 200.

    `insists`: a request that is told to come later (503) is sent again after a moment.
    """
    host, port = url.removeprefix("http://").split(":")
    receive, send = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    requests = [backlog.requests for backlog in backlogs]
    sender = context.Process(target=_send_all, args=((host, int(port)), requests, insists, send), daemon=True)
    sender.start()
    send.close()  # so that a process which does not start is an EOFError and no long wait
    took, refused = receive.recv()
    sender.join()
    if refused:
        raise RuntimeError(f"the ledger did not take all: {refused[0]!r}")
    return float(took)


def _send_all(address: tuple[str, int], backlogs: Sequence[Sequence[bytes]], insists: bool, report: Connection) -> None:
    refused: list[bytes] = []
    threads = [Thread(target=_send, args=(address, requests, insists, refused)) for requests in backlogs]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.send((time.perf_counter() - started, refused))


def _send(address: tuple[str, int], requests: Sequence[bytes], insists: bool, refused: list[bytes]) -> None:
    with socket.create_connection(address) as connection, connection.makefile("rb") as answers:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            status, body = _exchange(connection, answers, request)
            while insists and status.startswith(b"HTTP/1.1 503"):
                time.sleep(LATER_S)
                status, body = _exchange(connection, answers, request)
            if not status.startswith(b"HTTP/1.1 200"):
                refused.append(status + body)
                return


def _exchange(connection: socket.socket, answers: BinaryIO, request: bytes) -> tuple[bytes, bytes]:
    """Returns the status line and the body of the answer."""
    connection.sendall(request)
    status, length = answers.readline(), 0
    while (line := answers.readline()) not in {b"\r\n", b""}:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, answers.read(length)


def copy_again(db: psycopg.Connection, url: str, backlogs: Sequence[Backlog]) -> float:
    """Returns the seconds in which PostgreSQL takes the same rows, in the form in which it takes them, as many at once.

    That is what no ledger can do without: a transaction a batch, into a table with the same columns and indexes.
    """
    db.execute("CREATE TABLE twin (LIKE event INCLUDING ALL)")
    rows = [
        [_read_rows(db, backlog.device, first) for first in range(1, len(backlog.requests) * batch.EVENTS_MAX, 1000)]
        for backlog in backlogs
    ]
    db.execute("CHECKPOINT")
    threads = [Thread(target=_copy_rows, args=(url, each)) for each in rows]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _read_rows(db: psycopg.Connection, device: str, first: int) -> bytes:
    place = f"device = '{device}' AND seq BETWEEN {first} AND {first + batch.EVENTS_MAX - 1}"
    text = f"COPY (SELECT * FROM event WHERE {place} ORDER BY seq) TO STDOUT (FORMAT BINARY)"
    with db.cursor() as cursor, cursor.copy(text.encode()) as copy:
        return b"".join(copy)


def _copy_rows(url: str, batches: Sequence[bytes]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for rows in batches:
            with connection.cursor() as cursor, cursor.copy("COPY twin FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(rows)


def await_seals(db: psycopg.Connection) -> float:
    """Returns the seconds until every leaf has its place under a signed checkpoint."""
    started = time.perf_counter()
    while db.execute("SELECT 1 FROM log_leaf WHERE number IS NULL LIMIT 1").fetchone() is not None:
        time.sleep(0.01)
    return time.perf_counter() - started


def count_stored(db: psycopg.Connection) -> int:
    row = db.execute("SELECT count(*) FROM event").fetchone()
    assert row is not None
    return int(row[0])
