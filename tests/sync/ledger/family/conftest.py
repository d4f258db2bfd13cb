"""A family's pages over the real tables, served on loopback, with a clock that stands still."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette

from sync.contract.event import Claim
from sync.contract.roster import Change, Entitlement, MealSession, Person
from sync.ledger import keys
from sync.ledger.door.listening import HttpServerThread, ListeningAddress
from sync.ledger.family.app import mount_family
from sync.ledger.judgement.days import settle_days
from sync.ledger.registry import rosters
from sync.ledger.server import LedgerServer
from sync.ledger.transparency.statements import state_days
from sync.proof.signer import LogSigner
from tests.sync.ledger.kiosk import Kiosk, accepted, entry
from tests.sync.ledger.transparency.test_witness import RunningWitness

DAY = "2026-11-20"
NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
ROSTER: list[Change] = [
    *(Person(id=f"p{number}", given_name="Айгерім", family_name=f"Омар{number}") for number in range(3)),
    *(Entitlement(id=f"e{number}", person=f"p{number}", programme="state") for number in range(2)),
    MealSession(id="lunch", name="Lunch", name_kk="Түскі ас", name_ru="Обед", start="08:00", end="12:00"),
]


@pytest.fixture
def signer(server: LedgerServer, open_folder: Path) -> LogSigner:
    return keys.load_or_create_signer(open_folder / "ledger" / "log.key", "canteen.local")


@pytest.fixture
def witness(tmp_path: Path, signer: LogSigner) -> Iterator[RunningWitness]:
    running = RunningWitness(tmp_path, signer.ledger_key)
    yield running
    running.close()


@pytest.fixture
def pool(server: LedgerServer) -> Iterator[ConnectionPool[psycopg.Connection]]:
    with ConnectionPool(
        server.database_url, connection_class=psycopg.Connection, min_size=1, max_size=2, open=True,
        kwargs={"autocommit": True},
    ) as opened:  # fmt: skip
        yield opened


@pytest.fixture
def family_url(pool: ConnectionPool[psycopg.Connection], signer: LogSigner, witness: RunningWitness) -> Iterator[str]:
    app = Starlette(routes=[mount_family(pool, lambda: NOW, signer, witness.witness.key)])
    running = HttpServerThread(app, ListeningAddress(), "family-http")
    yield running.url
    running.stop()


@pytest.fixture
def lunch(db: psycopg.Connection, kiosk: Kiosk) -> Kiosk:
    """A kiosk whose school has had one lunch, judged and stated."""
    rosters.apply_changes(db, kiosk.school, ROSTER, in_force=datetime(2026, 9, 1, tzinfo=UTC))
    kiosk.record(*(
        entry(f"p{number}", school=kiosk.school, minute=number, claim=Claim.CLAIMABLE, programme="state", roster=1)
        for number in range(3)
    ))  # fmt: skip
    accepted(kiosk.send_all())
    settle(db, kiosk)
    return kiosk


def settle(db: psycopg.Connection, kiosk: Kiosk) -> None:
    settle_days(db, kiosk.school, now=NOW)
    state_days(db, kiosk.school, now=NOW)
