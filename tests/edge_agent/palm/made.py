"""Drawn palms for the tests, seen as the test wants."""

from functools import cache

import numpy as np

from drivers.simulated.palms import DrawnHandView, palm, some_capture
from edge_agent.palm.hand.cutout import read_cutout
from edge_agent.palm.matching.permutation import Scrambles, draw
from edge_agent.palm.matching.responses import Responses, respond
from edge_agent.palm.types import Hand, Region


def region(person: str, capture: DrawnHandView | None = None, seed: int = 0) -> Region:
    """A drawn palm; without a capture held and lit as that seed's child does."""
    dice = np.random.default_rng([seed, len(person), *person.encode()])
    return read_cutout(palm(person, "left", capture or some_capture(dice), dice), Hand.LEFT)


@cache
def responses(person: str, seed: int = 0) -> Responses:
    return respond(region(person, None, seed))


@cache
def scrambles(seed: int) -> Scrambles:
    """A key's permutations, from dice that tests may repeat."""
    return draw(np.random.default_rng(seed).bytes)
