"""Every parser on noise and damaged frames. The default run takes a third of a second for each; `make soak` takes ten
minutes and ten megabytes (FUZZ_S sets other seconds). `coverage_fuzz` beside this looks for more, guided by what was
reached.
"""

import os
import random

import pytest

from tests.drivers.fuzzing import MIB, run_for, swallow
from tests.drivers.parsers import FORGOTTEN, PARSERS


def test_no_protocol_of_decode_was_forgotten() -> None:
    assert not FORGOTTEN


@pytest.mark.parametrize("name", PARSERS)
def test_a_moment_of_damaged_frames(name: str) -> None:
    run_for(PARSERS[name], 0.3, seed=1)


@pytest.mark.parametrize("name", PARSERS)
def test_noise_leaves_nothing_behind(name: str) -> None:
    swallow(PARSERS[name], MIB // 16, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", PARSERS)
def test_ten_minutes_of_damaged_frames(name: str) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    streams = run_for(PARSERS[name], float(os.environ.get("FUZZ_S", "600")), seed)
    print(f"{streams} streams")


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", PARSERS)
def test_ten_megabytes_of_noise(name: str) -> None:
    swallow(PARSERS[name], 10 * MIB, seed=2)
