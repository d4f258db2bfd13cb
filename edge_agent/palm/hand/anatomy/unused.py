"""No gap was left out that belongs between or beside the chosen ones."""

import numpy as np

from edge_agent.palm.hand.anatomy.rays import follow_rays
from edge_agent.palm.hand.anatomy.triples import GapColumns, GapTriples, OuterValley
from edge_agent.palm.hand.arrays import TINY_LENGTH, Flags, Floats, Mask
from edge_agent.palm.hand.proportions import (
    BESIDE_CUT_DROP_MAX,
    BESIDE_CUT_RISE_MIN,
    BESIDE_DROP_MIN,
    BESIDE_DROP_RANGE,
    BESIDE_OUT,
    BESIDE_OUTWARD,
    BESIDE_REACH,
    BESIDE_SURE_DROP_FREE,
    BESIDE_SURE_DROP_MAX,
    BESIDE_SURE_REACH_MIN,
    BESIDE_SURE_RISE_MIN,
    BETWEEN_APART_MIN,
    BETWEEN_HEIGHT,
    BETWEEN_MIDDLE_APART,
    BETWEEN_RISE_MIN,
    BETWEEN_SURENESS,
    UNUSED_GAP_COST,
)


def score_unused_gaps(triples: GapTriples, gaps: GapColumns, mask: Mask, whole: Flags) -> Floats:
    """Returns the cost (n,) of the bay that was most surely left out; dark lines count in `dark_lines`.

    `whole` (n,) tells where the middle fingers are seen in their length.
    """
    bays = np.flatnonzero(~gaps.closed[:-1])
    if not len(bays):
        return np.zeros(len(triples.cost))
    chosen = np.stack([triples.first, triples.middle, triples.third], axis=1)
    free = (bays != chosen[:, :, None]).all(axis=1)
    points = gaps.points[bays]
    rise = triples.up @ gaps.directions[bays].T
    sureness = _judge_between(triples, points, rise)
    for valley in triples.outer_valleys():
        sureness = np.maximum(sureness, _judge_beside(triples, valley, points, rise, mask, whole))
    return np.asarray(UNUSED_GAP_COST * np.where(free, sureness, 0.0).max(axis=1))


def _judge_between(triples: GapTriples, points: Floats, rise: Floats) -> Floats:
    """Returns how surely each bay (m, 2) belongs between the chosen ones, 0 to 1, (n, m). `rise` is (n, m), cos."""
    offset = points[None] - triples.first_point[:, None]
    along = np.einsum("ngd,nd->ng", offset, triples.along) / triples.length[:, None]
    height = np.einsum("ngd,nd->ng", offset, triples.up) / triples.length[:, None]
    apart = np.minimum(
        np.minimum(np.abs(along), np.abs(along - 1)),
        np.abs(along - triples.middle_along[:, None]) - BETWEEN_MIDDLE_APART,
    )
    between = (apart > BETWEEN_APART_MIN) & (along > 0) & (along < 1)
    between &= BETWEEN_HEIGHT.holds(height) & (rise > BETWEEN_RISE_MIN) & (triples.middle >= 0)[:, None]
    return np.where(between, BETWEEN_SURENESS, 0.0)


def _judge_beside(
    triples: GapTriples, valley: OuterValley, points: Floats, rise: Floats, mask: Mask, whole: Flags
) -> Floats:
    """Returns how surely each bay (m, 2) belongs beside an outer valley, 0 to 1, (n, m). `rise` is (n, m), cos."""
    step = valley.point - triples.middle_point
    width = np.hypot(step[:, 0], step[:, 1])[:, None] + TINY_LENGTH
    step = step / width
    up = valley.side * np.stack([step[:, 1], -step[:, 0]], axis=1)
    offset = points[None] - valley.point[:, None]
    out = np.einsum("ngd,nd->ng", offset, step) / width
    drop = -np.einsum("ngd,nd->ng", offset, up) / width
    beside = BESIDE_OUT.holds(out) & (drop > BESIDE_DROP_MIN)
    # Behind a finger's gap stands a finger; behind the gap of a thumb laid along the palm, only its tip. Where fingers
    # are cut that cannot be seen, and only a gap in line with the others counts.
    sure = (drop < BESIDE_SURE_DROP_MAX) & (rise > BESIDE_SURE_RISE_MIN)
    sure &= _measure_reach(triples, valley, points, mask) > BESIDE_SURE_REACH_MIN
    in_line = (drop < BESIDE_CUT_DROP_MAX) & (rise > BESIDE_CUT_RISE_MIN)
    free = np.where(whole[:, None], BESIDE_SURE_DROP_FREE, 0.0)
    weight = 1 - np.maximum(0.0, drop - free) / BESIDE_DROP_RANGE
    return np.where(beside & np.where(whole[:, None], sure, in_line), weight, 0.0)


def _measure_reach(triples: GapTriples, valley: OuterValley, points: Floats, mask: Mask) -> Floats:
    """Returns how far the hand reaches towards the fingertips just outside each bay (m, 2), in L, (n, m)."""
    steps = BESIDE_REACH.places()
    outward = np.array(BESIDE_OUTWARD)[:, None]
    shape = np.ones((len(triples.cost), 1, 1, 1))
    along, above = shape * (valley.side * outward + 0 * steps), shape * (steps + 0 * outward)
    placed = triples.place(np.zeros((len(triples.cost), 2)), along, above)
    rays = follow_rays(mask, placed + points[:, None, None, :], steps, BESIDE_REACH.last)
    return np.asarray(np.where(rays.hidden, BESIDE_REACH.last, rays.reach).max(axis=-1))
