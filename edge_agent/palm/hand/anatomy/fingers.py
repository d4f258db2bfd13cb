"""Fingers stand between and beside the valleys, wide and long enough."""

import numpy as np

from edge_agent.palm.hand.anatomy.rays import follow_rays, sample_mask
from edge_agent.palm.hand.anatomy.triples import GapColumns, GapTriples
from edge_agent.palm.hand.arrays import Flags, Floats, Mask
from edge_agent.palm.hand.proportions import (
    BETWEEN_ACROSS,
    BETWEEN_COLUMNS,
    BETWEEN_HEIGHTS,
    FINGER_BETWEEN,
    OUTER_REACH,
    OUTER_REACH_CUT,
    OUTER_WIDTH_MAX,
    OUTER_WIDTH_MIN,
    REACH_HEIGHTS,
    REACH_OUTWARD,
    REACH_TILTS,
    WHOLE_HEIGHTS,
    WHOLE_LENGTH_MIN,
    WHOLE_TILTS,
    WIDTH_BEYOND,
    WIDTH_DROP,
    WIDTH_HIDDEN,
    WIDTH_HIGHER,
    WIDTH_HIGHER_MIN,
    WIDTH_LEVEL_MIN,
    WIDTH_STEPS,
    WIDTH_TILT,
    WIDTH_TILTED_MAX,
)


def score_missing_fingers(triples: GapTriples, mask: Mask) -> Floats:
    """Returns the cost (n,) of valleys with no finger between: no columns of hand above the line through both."""
    across, above = BETWEEN_ACROSS.places(), BETWEEN_HEIGHTS.places()
    cost = np.zeros(len(triples.cost))
    for start, end in triples.neighbours():
        columns = start[:, None, :] + (end - start)[:, None, :] * across[:, None]
        points = columns[:, :, None, :] + above[:, None] * (triples.length[:, None] * triples.up)[:, None, None, :]
        hand, inside = sample_mask(mask, points)
        filled = np.sort(np.where(inside, hand, True).mean(axis=2), axis=1)
        cost += FINGER_BETWEEN.cost(filled[:, -BETWEEN_COLUMNS:].mean(axis=1))
    return cost


def find_whole_fingers(triples: GapTriples, mask: Mask) -> Flags:
    """Returns where (n,) both middle fingers are seen in their length: not cut by the picture, no stubs at a stop."""
    steps, tilts = WHOLE_HEIGHTS.places(), np.array(WHOLE_TILTS)[:, None]
    shape = np.ones((len(triples.cost), 1, 1))
    along, above = shape * (np.sin(tilts) * steps)[None], shape * (np.cos(tilts) * steps)[None]
    longest, cut = np.zeros(len(triples.cost)), np.zeros(len(triples.cost), np.bool_)
    for start, end in triples.neighbours():
        rays = follow_rays(mask, triples.place(0.5 * (start + end), along, above), steps, WHOLE_HEIGHTS.last)
        cut |= rays.hidden.any(axis=1)
        longest = np.maximum(longest, rays.reach.max(axis=1))
    return np.asarray(~cut & (longest > WHOLE_LENGTH_MIN))


def score_outer_widths(triples: GapTriples, gaps: GapColumns, mask: Mask) -> Floats:
    """Returns the cost (n,) of outer fingers that are no finger's width: less is no finger, more is two.

    Beside a closed finger a thumb may lie, and does not reach so far up: there, the finger's middle is looked at too.
    """
    steps, tilts = WIDTH_STEPS.places(), np.array([0.0, WIDTH_TILT])[:, None]
    shape = np.ones((len(triples.cost), 1, 1))
    cost = np.zeros(len(triples.cost))
    for valley in triples.outer_valleys():
        along = shape * (valley.side * np.cos(tilts) * steps)[None]
        above = shape * (-WIDTH_DROP - np.sin(tilts) * steps)[None]
        level, tilted = _measure_widths(mask, triples.place(valley.point, along, above), steps).T
        width = np.where(level < WIDTH_LEVEL_MIN, np.minimum(np.maximum(level, tilted), WIDTH_TILTED_MAX), level)
        higher_up = valley.point + WIDTH_HIGHER * triples.length[:, None] * gaps.directions[valley.gap]
        points = triples.place(higher_up, along[:, :1], np.zeros_like(along[:, :1]))
        higher = _measure_widths(mask, points, steps)[:, 0]
        use_higher = gaps.closed[valley.gap] & (higher > WIDTH_HIGHER_MIN)
        cost += OUTER_WIDTH_MIN.cost(width)
        cost += OUTER_WIDTH_MAX.cost(np.where(use_higher, np.minimum(width, higher), width))
    return cost


def _measure_widths(mask: Mask, points: Floats, steps: Floats) -> Floats:
    """Returns how far the hand reaches along rays (n, rays, k, 2) in L, (n, rays)."""
    rays = follow_rays(mask, points, steps, WIDTH_BEYOND)
    # The picture's edge hides the rest of a finger.
    return np.where(rays.hidden, WIDTH_HIDDEN.clip(rays.reach), rays.reach)


def score_outer_reaches(triples: GapTriples, gaps: GapColumns, mask: Mask, whole: Flags) -> Floats:
    """Returns the cost (n,) of outer fingers that are too short: a laid thumb ends at the fingers' base.

    `whole` (n,) tells where the middle fingers are seen in their length; where they are cut, so may the outer ones be.
    """
    steps = REACH_HEIGHTS.places()
    outward, tilts = (grid.ravel()[:, None] for grid in np.meshgrid(REACH_OUTWARD, REACH_TILTS))
    inwards = tilts[:, 0] < 0
    cost = np.zeros(len(triples.cost))
    for valley in triples.outer_valleys():
        # A closed finger lies along its gap, and a ray that leans inwards would run in its neighbour.
        closed = gaps.closed[valley.gap]
        lean = np.where(closed, triples.lean(gaps.directions[valley.gap]), 0.0)[:, None, None]
        angles = lean + valley.side * tilts
        along = valley.side * outward + np.sin(angles) * steps
        rays = follow_rays(mask, triples.place(valley.point, along, np.cos(angles) * steps), steps, REACH_HEIGHTS.last)
        reach = np.where(rays.hidden, REACH_HEIGHTS.last, rays.reach)
        longest = np.where(closed[:, None] & inwards, 0.0, reach).max(axis=1)
        cost += np.where(whole, OUTER_REACH.cost(longest), OUTER_REACH_CUT.cost(longest))
    return cost
