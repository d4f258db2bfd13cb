"""Proofs: the cold start of `verify-meal`, the tree of a city's day, and how far the signed checkpoint is behind."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger.registry import schools
from sync.ledger.server import LedgerOptions, LedgerServer
from sync.ledger.transparency import logs
from sync.proof import verify_meal
from sync.proof.leaves import LogName
from sync.proof.tree import HashTree, hash_leaf
from tests.benchmarks.figures import Figure, Result, Run, high, middle
from tests.sync.proof.meal_log import WITNESS_KEY, ClaimsLog

CITY_LEAVES = 212_000  # a city's day
FLOOR = "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey"  # what no check can do without
COLD_START_S, CHECKPOINT_S = 0.5, 1.0


def run(run: Run) -> Result:
    rounds, leaves, commits = (2, 2_000, 3) if run.quick else (9, CITY_LEAVES, 60)
    log = ClaimsLog("sch-1", days=21, rows=37)
    text = log.prove_text(7, 11)
    keys = ["--ledger", str(log.key), "--witness", str(WITNESS_KEY)]
    script = str(Path(verify_meal.__file__))
    starts = [_seconds([sys.executable, "-P", script, *keys, "--", text]) for _ in range(rounds)]
    bare = [_seconds([sys.executable, "-P", "-c", FLOOR]) for _ in range(rounds)]
    began = time.perf_counter()
    root = HashTree(hash_leaf(b"%d" % number) for number in range(leaves)).root()
    tree_s = time.perf_counter() - began
    assert len(root) == 32
    delays = _checkpoint_delays(run.folder, commits)
    return Result("proofs", "a proof of 21 days of 37 meals; a log on a real ledger", [
        Figure("verify-meal, process start to end, median", middle(starts), "s", middle(bare)),
        Figure("verify-meal, the slowest", max(starts), "s", at_most=COLD_START_S),
        Figure(f"the root of {leaves:,} leaves", 1e6 * tree_s / leaves, "µs a leaf"),
        Figure("a commit to its signed checkpoint, median", middle(delays), "s", at_most=CHECKPOINT_S),
        Figure("a commit to its signed checkpoint, the slowest", high(delays, 1.0), "s", at_most=CHECKPOINT_S),
    ])  # fmt: skip


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def _checkpoint_delays(folder: Path, commits: int) -> list[float]:
    options = LedgerOptions(folder=folder / "ledger", port=0, settle_interval_s=0)
    delays = []
    with (
        EmbeddedPostgres(options.folder) as postgres,
        LedgerServer(postgres.url, options) as ledger,
        psycopg.connect(ledger.database_url, autocommit=True) as connection,
    ):
        schools.add_school(connection, "sch-1", "Мектеп")
        for number in range(commits):
            time.sleep(0.05 * (number % 7))  # commits at every place of the checkpointer's round
            logs.append_leaf(connection, "sch-1", LogName.EVENTS, b"leaf %d" % number)
            began = time.perf_counter()
            while logs.read_log_head(connection, "sch-1", LogName.EVENTS).size <= number:
                time.sleep(0.005)
            delays.append(time.perf_counter() - began)
    return delays
