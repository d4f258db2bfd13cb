"""A damaged journal on a stick: what it still holds is stored once, and closes holes."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from edge_agent.journal.damage.salvage import read_all_epochs
from edge_agent.journal.epochs import KioskIdentity
from sync.client.keys import DeviceKey
from sync.contract import batch
from sync.contract.chain import Head
from sync.contract.event import encode
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.holes import read_holes
from sync.ledger.intake.salvage import BroughtEvent, StoredSalvage, store_salvaged
from sync.ledger.judgement.report import build_report
from sync.ledger.server import LedgerServer
from tests.conftest import CITUS_URL
from tests.edge_agent.journal.samples import NOON, build_entry, open_journal
from tests.edge_agent.journal.test_open import ALTERED, spoil
from tests.sync.ledger.kiosk import Kiosk, accepted, read_reply


def bring(db: psycopg.Connection, path: Path) -> StoredSalvage:
    """Brings every epoch, and returns the outcome of the last one."""
    outcomes = []
    for found in read_all_epochs(path):
        assert found.epoch is not None
        events = [BroughtEvent(row.seq, row.hash, row.payload, row.proven) for row in found.rows]
        epoch = found.epoch
        outcomes.append(store_salvaged(db, epoch.device, epoch.public_key, epoch.id, events, NOON))
    return outcomes[0]


def test_what_a_stick_brings_is_stored_once(db: psycopg.Connection, kiosk: Kiosk, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    identity = KioskIdentity(kiosk.device, DeviceKey(kiosk.key).public_bytes, kiosk.school)
    with open_journal(path, identity) as journal:
        journal.append_all([build_entry(number, f"p{number}") for number in range(1, 21)])
        kiosk.epoch = journal.outbox.epoch
        kiosk.payloads = [row.payload for row in journal.outbox.read_rows(0, 100, 100_000)]
    accepted(kiosk.send(1, 8))
    spoil(path, ALTERED + " 15")
    outcome = bring(db, path)
    assert (outcome.brought, outcome.stored, outcome.unproven) == (19, 11, 0)
    assert bring(db, path).stored == 0
    counted = db.execute(
        "SELECT count(*), count(DISTINCT seq) FROM fact WHERE school = %s AND device = %s", (kiosk.school, kiosk.device)
    ).fetchone()
    assert counted == (19, 19)
    accepted(kiosk.send(9, 20))
    assert kiosk.cursor().accepted_through == 20
    assert read_holes(db, kiosk.school) == []
    report = build_report(db, kiosk.school, NOON.date(), NOON.date(), now=NOON)
    assert sum(line.visits for line in report.lines) == 20, "each once, whichever way it came"


def test_a_batch_that_waited_for_the_stick_leaves_no_copy(
    db: psycopg.Connection, server: LedgerServer, kiosk: Kiosk
) -> None:
    """The kiosk sends what the stick brings at that moment: its batch waits for the head's lock."""
    kiosk.record(build_entry(1, "p1"), build_entry(2, "p2"))
    accepted(kiosk.send(1, 1))
    brought = BroughtEvent(2, kiosk.hashes[2], kiosk.payloads[1], is_proven=True)
    public_key = kiosk.key.public_key().public_bytes_raw()
    with psycopg.connect(server.database_url, autocommit=True) as operator, ThreadPoolExecutor(1) as sending:
        with operator.transaction():
            store_salvaged(operator, kiosk.device, public_key, kiosk.epoch, [brought], NOON)
            answer, until = sending.submit(kiosk.send, 2, 2), time.monotonic() + 60
            while db.execute(SELECT_WAITING, {"by": operator.info.backend_pid}).fetchone() is None:
                assert not answer.done(), "the stick's transaction holds the head"
                assert time.monotonic() < until
        accepted(answer.result())
    place = (kiosk.school, kiosk.device)
    for table in ("event", "carried"):
        stored = db.execute(f"SELECT seq FROM {table} WHERE school = %s AND device = %s ORDER BY seq", place).fetchall()
        assert stored == {"event": [(1,), (2,)], "carried": []}[table]


# On a cluster the lock is a worker's.
SELECT_WAITING = (
    "SELECT 1 FROM citus_lock_waits, citus_dist_stat_activity WHERE global_pid = blocking_gpid AND pid = %(by)s"
    if CITUS_URL
    else "SELECT 1 FROM pg_stat_activity WHERE %(by)s = ANY(pg_blocking_pids(pid))"
)


def test_a_stick_brings_every_epoch_and_the_bytes_behind_a_tombstone(
    db: psycopg.Connection, kiosk: Kiosk, tmp_path: Path
) -> None:
    """The kiosk is dead and the ledger was restored: what was acknowledged in a closed epoch is on the card alone."""
    path = tmp_path / "journal.db"
    identity = KioskIdentity(kiosk.device, DeviceKey(kiosk.key).public_bytes, kiosk.school)
    with open_journal(path, identity) as journal:
        appended = journal.append_all([build_entry(number, f"p{number}") for number in range(1, 6)])
        kiosk.epoch = journal.outbox.epoch
        kiosk.payloads = [row.payload for row in journal.outbox.read_rows(0, 100, 100_000)]
        journal.outbox.acknowledge(Head(appended[4].seq, appended[4].hash), b"receipt")
        journal.outbox.open_epoch("repair", parent=journal.outbox.acknowledged())
        journal.append(build_entry(6, "p6"))
    stone = batch.tombstone_line(batch.Tombstone(hash=kiosk.hashes[2].hex(), reason="deferred-400", seq=2))
    header = replace(kiosk.header(1, 3), tombstones=(2,))
    body = batch.encode(header, [kiosk.payloads[0], stone, kiosk.payloads[2]])
    accepted(read_reply(kiosk.post_body(body)))
    bring(db, path)
    rows = db.execute(
        "SELECT payload FROM fact WHERE school = %s AND kind = 'entry' ORDER BY epoch = %s DESC, seq",
        (kiosk.school, kiosk.epoch),
    ).fetchall()
    assert [bytes(row[0]) for row in rows] == [*kiosk.payloads, encode(build_entry(6, "p6"))]
    wanted = db.execute("SELECT 1 FROM quarantine WHERE school = %s AND code = 'tombstone'", (kiosk.school,))
    assert wanted.fetchone() is None


def test_a_journal_of_another_device_is_not_taken(db: psycopg.Connection, kiosk: Kiosk, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with open_journal(path, KioskIdentity(kiosk.device, bytes(32), kiosk.school)) as journal:
        journal.append(build_entry(1))
    with pytest.raises(NotUnderstood, match="key of this journal"):
        bring(db, path)
