"""The cost of three valleys by themselves: where they lie, how their gaps lean, how well they were seen."""

import numpy as np

from edge_agent.palm.hand.anatomy.triples import GapColumns, GapTriples
from edge_agent.palm.hand.arrays import Floats
from edge_agent.palm.hand.proportions import (
    CLOSED_CLEARNESS,
    CLOSED_COST,
    FOLD_ASIDE_MAX,
    FOLD_COST,
    FOLD_DISTANCE,
    HAND_SIZE,
    LITTLE_SIDE_LEAN,
    MIDDLE_HEIGHT,
    MIDDLE_LEAN,
    MIDDLE_PLACE,
    THUMB_SIDE_LEAN,
    UNSEEN_COST,
)


def score_shape(triples: GapTriples, gaps: GapColumns, radius: float) -> Floats:
    """Returns the cost (n,) of the valleys' places and directions, before the silhouette is looked at."""
    cost = score_middle_height(triples) + score_size(triples, radius)
    cost += score_posture(triples, gaps)
    return np.asarray(cost + score_visibility(triples, gaps, radius))


def score_middle_height(triples: GapTriples) -> Floats:
    """Returns the cost of a middle valley that is not a little above the line through the outer ones.

    A thumb's gap in place of a finger's lies so low that the valley between stands far too high.
    """
    return MIDDLE_HEIGHT.cost(triples.middle_height)


def score_size(triples: GapTriples, radius: float) -> Floats:
    """Returns the cost of outer valleys that are too near or too far for the palm's radius (px of the crop)."""
    return HAND_SIZE.cost(triples.length / radius)


def score_posture(triples: GapTriples, gaps: GapColumns) -> Floats:
    """Returns the cost of how the gaps lean and of where the middle one lies, for the likelier side of the thumb.

    To the line through the valleys, which falls to the little finger, all fingers of a closed hand lean to the thumb;
    spreading them moves the outer ones.
    """
    first, middle, third = (
        triples.lean(gaps.directions[rows]) for rows in (triples.first, triples.middle, triples.third)
    )
    middle = np.where(triples.middle < 0, 0.5 * (first + third), middle)
    place = MIDDLE_PLACE.cost(triples.middle_along)
    thumb_first = place + MIDDLE_LEAN.cost(middle) + THUMB_SIDE_LEAN.cost(first) + LITTLE_SIDE_LEAN.cost(third)
    thumb_third = place + MIDDLE_LEAN.cost(-middle) + THUMB_SIDE_LEAN.cost(-third) + LITTLE_SIDE_LEAN.cost(-first)
    return np.minimum(thumb_first, thumb_third)


def score_visibility(triples: GapTriples, gaps: GapColumns, radius: float) -> Floats:
    """Returns the cost of gaps that are no bays of the outline: dark lines, folds of the skin, gaps nobody saw."""
    costs = np.append(_score_closed(gaps, radius), UNSEEN_COST)
    return np.asarray(costs[triples.first] + costs[triples.middle] + costs[triples.third])


def _score_closed(gaps: GapColumns, radius: float) -> Floats:
    """Returns the cost (m,) of each gap: nothing where it is open, little where it is clearly closed."""
    closed, directions = gaps.closed[:-1], gaps.directions[:-1]
    costs = np.where(closed, CLOSED_COST + CLOSED_CLEARNESS.cost(gaps.depths), 0.0)
    opened = gaps.points[~closed]
    for row in np.flatnonzero(closed):
        # A line whose way leads through the end of an open gap is the fold of skin behind it.
        offsets = opened - gaps.points[row]
        distance = np.einsum("gd,d->g", offsets, directions[row]) / radius
        aside = np.einsum("gd,d->g", offsets, np.array([-directions[row, 1], directions[row, 0]])) / radius
        folds = FOLD_COST * (1 - distance / FOLD_DISTANCE)
        in_line = (distance > 0) & (np.abs(aside) < FOLD_ASIDE_MAX)
        costs[row] = max(costs[row], np.max(folds[in_line], initial=0.0))
    return costs
