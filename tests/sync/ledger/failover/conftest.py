"""One cluster for all tests of a worker: its start takes longer than a failover."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sync.ledger.failover.cluster import PatroniCluster, running_cluster


@pytest.fixture(scope="session")
def cluster(open_folder: Path) -> Iterator[PatroniCluster]:
    with running_cluster(open_folder / "cluster") as running:
        yield running


@pytest.fixture(scope="session")
def ledger_folder(open_folder: Path) -> Path:
    """The one folder of the cluster's ledger: a process with the keys of another is refused by the database."""
    return open_folder / "cluster-ledger"
