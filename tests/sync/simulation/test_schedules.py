"""Schedules of mishaps on real SQLite and real ingest: no confirmed event is ever gone without a word.

A failing seed prints the command that plays it again; a range is named as `SIMULATION_SEEDS=1000-1999`.
"""

import psycopg
import pytest

from sync.proof.signer import LogSigner
from tests.sync.simulation.real_world import make_real_world
from tests.sync.simulation.seeds import choose_seeds
from tests.sync.simulation.world import InvariantBroken

STEPS = 25
SEEDS_IN_EVERY_RUN = 300
SEEDS_AT_ONCE = 15  # one test's; so several workers share them
SEEDS_IN_SOAK = range(1_000, 21_000)
PARTS_OF_SOAK = 20


def play(seed: int, connection: psycopg.Connection, signer: LogSigner) -> list[str]:
    """Returns what happened under this seed, step by step."""
    with make_real_world(seed, connection, signer) as world:
        world.play(STEPS)
    return world.trace


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SEEDS_IN_EVERY_RUN // SEEDS_AT_ONCE))
def test_no_confirmed_event_is_gone_without_a_word(
    part: int, ledger_connection: psycopg.Connection, signer: LogSigner
) -> None:
    for seed in choose_seeds(range(SEEDS_IN_EVERY_RUN))[part * SEEDS_AT_ONCE : (part + 1) * SEEDS_AT_ONCE]:
        play(seed, ledger_connection, signer)


@pytest.mark.slow
def test_a_seed_plays_the_same_again(ledger_connection: psycopg.Connection, signer: LogSigner) -> None:
    for seed in (3, 4, 5):
        assert play(seed, ledger_connection, signer) == play(seed, ledger_connection, signer)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS_OF_SOAK))
def test_many_more_schedules(part: int, ledger_connection: psycopg.Connection, signer: LogSigner) -> None:
    share = len(SEEDS_IN_SOAK) // PARTS_OF_SOAK
    failures = []
    for seed in choose_seeds(SEEDS_IN_SOAK)[part * share : (part + 1) * share]:
        try:
            play(seed, ledger_connection, signer)
        except InvariantBroken as error:
            failures.append(str(error))
    assert not failures, f"{len(failures)} schedules: " + "\n\n".join(failures[:20])
