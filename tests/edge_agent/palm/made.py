"""Drawn palms for the tests, seen as the test wants."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

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


def band(dice: np.random.Generator, finest_px: float, coarsest_px: float) -> NDArray[np.float32]:
    """Noise between two sizes, with deviation 1."""
    noise = dice.standard_normal((128, 128)).astype(np.float32)
    kept = cv2.GaussianBlur(noise, (0, 0), finest_px) - cv2.GaussianBlur(noise, (0, 0), coarsest_px)
    return np.asarray(kept / kept.std(), np.float32)


def creaseless(skin: int, day: int) -> Region:
    """Skin with a fine texture and no creases, under shading that is another each day, as near-infrared light shows
    it.
    """
    texture, shading = band(np.random.default_rng(skin), 1.5, 4), band(np.random.default_rng([skin, day]), 5, 9)
    noise = np.random.default_rng([skin, day, 1]).standard_normal((128, 128))
    grey = np.clip(128 + 8 * (texture + 0.7 * shading + 0.3 * noise), 0, 255).astype(np.uint8)
    return Region(grey, np.ones((128, 128), np.bool_), Hand.LEFT)
