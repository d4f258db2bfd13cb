"""Kiosks that stay attached to a ledger: the agent's own journal and uplink, in a thread each."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from edge_agent.identity import DeviceIdentity, Registration
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.evidence import EvidenceFolder
from edge_agent.runtime.uplink import LedgerContact, Uplink
from edge_agent.settings.tables import LedgerSettings
from sync.client.heartbeat import AgentReport
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.registration import register_kiosk
from sync.contract.chain import DeviceId
from sync.contract.dynamic_codes import CodeUse
from sync.contract.roster import RosterPage
from sync.ledger.registry import schools
from tests.edge_agent.journal.samples import migrate_in_process
from tests.sync.client.drain import now
from tests.sync.ledger.failover.cluster import PATIENCE_S, wait_until
from tests.sync.ledger.kiosk import entry, new_school

PACE = LedgerSettings(heartbeat_s=1.0, roster_interval_s=5.0, retry_max_s=2.0)  # a minute's work in a second


def wall() -> datetime:
    return datetime.now(UTC)


class JournalRoster:
    """The roster in a journal; nobody shows it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def roster_version(self) -> int:
        return self._journal.roster.pulled_version()

    def apply_roster(self, pages: Sequence[RosterPage], confirmation_time: datetime) -> None:
        self._journal.roster.apply(pages, confirmation_time)

    def confirm_roster(self, confirmation_time: datetime) -> None:
        self._journal.roster.confirm(confirmation_time)

    def wants_code_uses(self) -> bool:
        return False

    def code_uses_version(self) -> int:
        return self._journal.code_uses.version()

    def accept_code_uses(self, uses: Sequence[CodeUse], version: int) -> None:
        self._journal.code_uses.accept(uses, version)


class AttachedKiosk:
    """A registered kiosk of a school of its own, which records when it is told to and does the rest by itself."""

    def __init__(self, ledger_url: str, db: psycopg.Connection, folder: Path) -> None:
        self.school, key = new_school(db), DeviceKey.make()
        with HttpxTransport(ledger_url) as http:
            reply = register_kiosk(http, key, schools.issue_code(db, self.school, "", wall()), clock=wall)
        self.device = DeviceId(reply.device)
        self.journal = Journal.open(
            folder / f"{self.school}.db", KioskIdentity(self.device, key.public_bytes, self.school), now=now,
            ballast_bytes=0, migrate=migrate_in_process,
        )  # fmt: skip
        registration = Registration(
            device=self.device, school=self.school, ledger=ledger_url, server_key=reply.server_key
        )
        self.contact = LedgerContact()
        self._uplink = Uplink(
            DeviceIdentity(self.device, self.school, key, registration), registration, self.journal, PACE,
            contact=self.contact, wall=wall, agent_report=lambda: AgentReport("test", 0, "boot", "synchronised"),
            roster=JournalRoster(self.journal), random_source=random.Random(1), evidence=EvidenceFolder(folder),
            store_server_key=lambda _: None,
        )  # fmt: skip
        self._pulse = Pulse(time.monotonic)
        self._thread = threading.Thread(target=self._uplink.run, args=(self._pulse,), daemon=True)
        self._thread.start()
        self.recorded = 0

    def record(self, events: int) -> None:
        numbers = range(self.recorded, self.recorded + events)
        self.journal.append_all([entry(f"u{n}", school=self.school, minute=n) for n in numbers])
        self.recorded += events
        self._pulse.wake()

    def await_receipts(self) -> None:
        wait_until(lambda: self.journal.outbox.queue_depth() == 0, f"{self.device}: {self.contact.step}")

    def is_whole(self, db: psycopg.Connection) -> bool:
        """Returns True where the ledger has each entry, once."""
        rows = db.execute(
            "SELECT person FROM event WHERE school = %s AND kind = 'entry'"
            " UNION ALL SELECT person FROM carried WHERE school = %s AND kind = 'entry'",
            (self.school, self.school),
        ).fetchall()
        return sorted(rows) == sorted((f"u{n}",) for n in range(self.recorded))

    def close(self) -> None:
        self._pulse.stop()
        self._uplink.close()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.journal.close()


@contextmanager
def attached_kiosks(ledger_url: str, database_url: str, folder: Path, count: int) -> Iterator[list[AttachedKiosk]]:
    """Yields so many kiosks; when it ends they are closed."""
    kiosks: list[AttachedKiosk] = []
    try:
        with psycopg.connect(database_url, autocommit=True) as db:
            kiosks += [AttachedKiosk(ledger_url, db, folder) for _ in range(count)]
        yield kiosks
    finally:
        for kiosk in kiosks:
            kiosk.close()
