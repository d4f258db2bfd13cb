"""A backlog of weeks leaves a kiosk: to a sink that does nothing, and into the real ledger on PostgreSQL.

Each batch in turn goes the whole way and over its floor, so that whatever else the machine does hits both alike.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from sync.client.batches import BatchSender
from sync.client.channel import LedgerChannel
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.paced import Pace, SyncOutcome
from sync.client.registration import register_kiosk
from sync.contract import batch
from sync.contract.batch import Batch
from sync.contract.chain import DeviceId, Epoch, Hash
from sync.ledger.intake.event_columns import EventColumns, read_columns
from sync.ledger.intake.event_storing import store_events
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from tests.benchmarks.figures import Figure, Result, Run
from tests.sync.client import drain
from tests.sync.ledger.test_kill import Process
from tests.system.daemon import school_export

SCHOOL = "sch-12"
PEOPLE = 1_729
WEEK_EVENTS = 7 * 2_500  # of a school with 1,700 pupils
WEEK_S_MAX = 600.0  # a line that was down for a week is made good within a lesson break
EPOCH = Epoch("0" * 16)


def run(run: Run) -> Result:
    events = 5_000 if run.quick else 100_000
    to_sink = run.folder / "to-sink"
    to_sink.mkdir()
    client, raw = drain.measure(events, to_sink)
    ledger = into_ledger(run.folder / "into-ledger", events)
    figures = [
        Figure("to a sink; floor: httpx posting the same bodies", client, "events/s", raw),
        Figure("into the ledger; floor: locked head, COPY", events / ledger.sent, "events/s", events / ledger.copied),
        Figure(
            f"a week's {WEEK_EVENTS:,} events into the ledger",
            WEEK_EVENTS * ledger.sent / events,
            "s",
            at_most=WEEK_S_MAX,
        ),
        Figure("events that the ledger lacks", events - ledger.stored, "", at_most=0),
        Figure("events it has twice, or finds odd", ledger.odd, "", at_most=0),
    ]
    return Result("backlog", f"{events:,} events in batches of up to {batch.EVENTS_MAX:,}", figures)


@dataclass
class Spent:
    """Seconds of each way, and what was in the ledger at the end."""

    sent: float = 0.0
    copied: float = 0.0
    stored: int = 0
    odd: int = 0


@dataclass
class Floor:
    """The same rows for a device of its own, without HTTP, signatures, chain, evidence and receipts."""

    connection: psycopg.Connection
    device: DeviceId

    def __post_init__(self) -> None:
        self.connection.execute("INSERT INTO device (school, device, name) VALUES (%s, %s, '')", (SCHOOL, self.device))
        self.connection.execute("INSERT INTO head VALUES (%s, %s, %s, 0, '')", (SCHOOL, self.device, EPOCH))

    def copy(self, sent: Batch, hashes: Sequence[Hash], columns: EventColumns) -> None:
        with self.connection.transaction():
            self.connection.execute(
                "SELECT epoch, seq, hash FROM head WHERE school = %s AND device = %s FOR UPDATE", (SCHOOL, self.device)
            ).fetchone()
            key = (SCHOOL, self.device, EPOCH)
            store_events(self.connection, key, sent.header.first_seq, sent.lines, hashes, columns.rows)
            self._move(sent, hashes)

    def _move(self, sent: Batch, hashes: Sequence[Hash]) -> None:
        self.connection.execute(
            "UPDATE head SET seq = %s, hash = %s WHERE school = %s AND device = %s",
            (sent.last_seq, hashes[-1], SCHOOL, self.device),
        )


def into_ledger(folder: Path, events: int) -> Spent:
    spent = Spent()
    folder.mkdir(mode=0o755)
    key = DeviceKey.make()
    with ledger(folder / "ledger") as (url, db):
        code = schools.issue_code(db, SCHOOL, "door", datetime.now(UTC))
        with HttpxTransport(url) as http:
            identity = register_kiosk(http, key, code, clock=_now)
            kiosk = KioskIdentity(DeviceId(identity.device), key.public_bytes, SCHOOL)
            recorded = drain.RecordingTransport(http, [])
            with Journal.open(folder / "journal.db", kiosk, now=drain.now, ballast_bytes=0) as journal:
                for first in range(0, events, 1_000):
                    numbers = range(first, min(first + 1_000, events))
                    journal.append_all([msgspec.structs.replace(drain.entry(n), school=SCHOOL) for n in numbers])
                client = BatchSender(
                    journal.outbox,
                    LedgerChannel(recorded, key, identity.device, _now),
                    bytes.fromhex(identity.server_key),
                    Pace(_now, time.monotonic, Random(1)),
                )
                assert client.step().outcome is SyncOutcome.ALIGNED
                _drain(journal, client, recorded, db, spent)
            spent.stored, spent.odd = _stored(db, kiosk.device)
    return spent


def _drain(
    journal: Journal, client: BatchSender, recorded: drain.RecordingTransport, db: psycopg.Connection, spent: Spent
) -> None:
    floor = Floor(db, DeviceId(f"{SCHOOL}-copy"))
    while journal.outbox.queue_depth():
        started = time.perf_counter()
        step = client.step()
        spent.sent += time.perf_counter() - started
        assert step.outcome is SyncOutcome.SENT, step.why
        _, _, body = recorded.posts.pop()
        sent = batch.decode(batch.decompress(body, "zstd"))
        hashes = batch.link_hashes(sent)
        columns = read_columns(sent.lines, sent.header.first_seq, school=SCHOOL, epoch=EPOCH, now=_now())
        started = time.perf_counter()
        floor.copy(sent, hashes, columns)
        spent.copied += time.perf_counter() - started


def _stored(db: psycopg.Connection, device: DeviceId) -> tuple[int, int]:
    """Events of the device, and those that somebody should look at."""
    row = db.execute(
        "SELECT (SELECT count(*) FROM event WHERE device = %(device)s),"
        " (SELECT count(*) FROM quarantine) + (SELECT count(*) FROM fork) + (SELECT count(*) FROM carried)",
        {"device": device},
    ).fetchone()
    assert row is not None
    return row[0], row[1]


@contextmanager
def ledger(folder: Path) -> Iterator[tuple[str, psycopg.Connection]]:
    """A ledger in a process of its own, with a school that has a roster; its URL and a connection to its database."""
    process = Process(folder)
    try:
        with closing(psycopg.connect(EmbeddedPostgres(folder).url, autocommit=True)) as db:
            schools.add_school(db, SCHOOL, "School")
            cards = {f"p-{number}": ("em4100", f"01{number:08X}") for number in range(PEOPLE)}
            export = school_export(folder.parent / "export", SCHOOL, cards)
            # The entries name people as the export does.
            import_export(db, read_export(export), [SCHOOL], date=_now().date().isoformat(), keep_ids=True)
            yield process.url, db
    finally:
        process.kill()
        heir = EmbeddedPostgres(folder)  # the orphan is adopted, and stopped
        heir.start()
        heir.stop()


def _now() -> datetime:
    return datetime.now(UTC)
