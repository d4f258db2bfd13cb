"""The palm under the valleys is hand: its square does not reach out of the silhouette."""

import numpy as np

from edge_agent.palm.hand.anatomy.rays import sample_mask
from edge_agent.palm.hand.anatomy.triples import GapTriples, place_points
from edge_agent.palm.hand.arrays import Flags, Floats, Mask
from edge_agent.palm.hand.proportions import (
    COVERAGE_CELLS,
    PALM_COVERED,
    PALM_IN_PICTURE,
    REGION_DROP,
    REGION_SIZE,
)


def score_coverage(triples: GapTriples, mask: Mask) -> Floats:
    """Returns the cost (n,) of a palm's square that is partly ground, or partly outside the picture."""
    base = 0.5 * (triples.first_point + triples.third_point)
    hand, inside = _sample_square(base, triples.along, triples.up, triples.length, mask)
    covered = hand.sum(axis=1) / np.maximum(1, inside.sum(axis=1))
    return np.asarray(PALM_COVERED.cost(covered) + PALM_IN_PICTURE.cost(inside.mean(axis=1)))


def measure_coverage(points: Floats, along: Floats, up: Floats, length: float, mask: Mask) -> float:
    """Returns the share of the palm's square under three valleys (3, 2) that is hand, of what is in the picture."""
    base = 0.5 * (points[0] + points[-1])
    hand, inside = _sample_square(base[None], along[None], up[None], np.array([length]), mask)
    return float(hand.sum() / max(1, int(inside.sum())))


def _sample_square(base: Floats, along: Floats, up: Floats, length: Floats, mask: Mask) -> tuple[Flags, Flags]:
    """Returns where the cells of n squares are hand, and where they are in the picture, each (n, cells)."""
    cells = (np.arange(COVERAGE_CELLS) + 0.5) / COVERAGE_CELLS
    across, down = (grid.ravel()[None] for grid in np.meshgrid(cells - 0.5, cells))
    rows = np.ones((len(base), 1))
    points = place_points(
        along, up, length, base, rows * across * REGION_SIZE, -rows * (down * REGION_SIZE + REGION_DROP)
    )
    return sample_mask(mask, points)
