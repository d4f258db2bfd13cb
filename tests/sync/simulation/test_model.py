"""Schedules of mishaps without I/O: the client against a journal in memory and a small honest ledger.

`SIMULATION_SEEDS=17 pytest tests/sync/simulation/test_model.py` plays one again; a range is named as 0-999.
"""

import pytest

from tests.sync.simulation.model_world import make_model_world
from tests.sync.simulation.seeds import choose_seeds
from tests.sync.simulation.world import InvariantBroken, World

STEPS = 25
SEEDS_IN_EVERY_RUN = range(200)
SEEDS_IN_SOAK = 100_000
PARTS_OF_SOAK = 20
CRASHED_SEEDS = range(3)


def play(seed: int, cut_at: int | None = None) -> World:
    """Returns the world after the schedule of this seed; the power goes at this point, too."""
    world = make_model_world(seed)
    world.power.cut_at = cut_at
    world.play(STEPS)
    return world


@pytest.mark.slow
def test_the_client_loses_nothing_on_the_model() -> None:
    for seed in choose_seeds(SEEDS_IN_EVERY_RUN):
        play(seed)


def test_a_seed_of_the_model_plays_the_same_again() -> None:
    assert play(7).trace == play(7).trace


@pytest.mark.slow
@pytest.mark.parametrize("seed", CRASHED_SEEDS)
def test_the_power_may_go_at_every_point_of_a_schedule(seed: int) -> None:
    for point in range(1, play(seed).power.passed + 1, 4):
        play(seed, point)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS_OF_SOAK))
def test_many_more_schedules_on_the_model(part: int) -> None:
    share = SEEDS_IN_SOAK // PARTS_OF_SOAK
    failures = []
    for seed in choose_seeds(range(SEEDS_IN_SOAK))[part * share : (part + 1) * share]:
        try:
            play(seed)
        except InvariantBroken as error:
            failures.append(str(error))
    assert not failures, f"{len(failures)} schedules: " + "\n\n".join(failures[:20])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100))
def test_the_power_goes_at_each_point_of_many_schedules(seed: int) -> None:
    for point in range(1, play(seed).power.passed + 1):
        play(seed, point)
