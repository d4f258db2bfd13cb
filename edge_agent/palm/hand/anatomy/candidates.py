"""The gaps worth trying, and the triples of them that are possible at all."""

from dataclasses import replace

import numpy as np

from edge_agent.palm.hand.anatomy.shape import score_shape
from edge_agent.palm.hand.anatomy.triples import GapColumns, GapTriples
from edge_agent.palm.hand.arrays import TINY_LENGTH, Flags, Rows
from edge_agent.palm.hand.contour import FingerGap
from edge_agent.palm.hand.proportions import (
    CANDIDATE_ALIKE_MIN,
    CANDIDATE_NEAR_MAX,
    GAP_CANDIDATES_MAX,
    NEIGHBOUR_ALIKE_MIN,
    NEIGHBOUR_ASIDE,
    NEIGHBOUR_RISE_MAX,
    OUTER_ALIKE_MIN,
    OUTER_ASIDE,
    POSSIBLE_HEIGHT,
    POSSIBLE_MIDDLE,
    POSSIBLE_RISE_MIN,
    POSSIBLE_RISE_UNSEEN_MIN,
    POSSIBLE_SIZE,
    POSSIBLE_SIZE_UNSEEN,
    UNSEEN_HEIGHT,
)


def drop_doubles(gaps: list[FingerGap], radius: float) -> list[FingerGap]:
    """Returns the gaps without the weaker of two candidates for one, the strongest first.

    What the outline shows counts more than a dark line. `radius` is in px of the crop.
    """
    ordered = sorted(gaps, key=lambda gap: (gap.closed, -gap.depth))
    if not ordered:
        return []
    points, directions = np.array([gap.point for gap in ordered]), np.array([gap.direction for gap in ordered])
    chosen: list[FingerGap] = []
    waiting = np.arange(len(ordered))
    while len(waiting) and len(chosen) < GAP_CANDIDATES_MAX:
        best = waiting[0]
        chosen.append(ordered[best])
        near = np.hypot(*(points[waiting] - points[best]).T) < CANDIDATE_NEAR_MAX * radius
        alike = directions[waiting] @ directions[best] > CANDIDATE_ALIKE_MIN
        waiting = waiting[~(near & alike)]
    return chosen


def find_triples(gaps: GapColumns, radius: float, *, with_unseen: bool) -> GapTriples | None:
    """Returns every triple that can be three gaps of a hand, with the cost of its shape; None where there is none.

    `with_unseen` adds pairs of outer gaps whose middle one nobody saw. `radius` is in px of the crop.
    """
    first, middle, third = pair_up(gaps, radius, with_unseen=with_unseen)
    if not len(first):
        return None
    span = gaps.points[third] - gaps.points[first]
    length = np.hypot(span[:, 0], span[:, 1]) + TINY_LENGTH
    along = span / length[:, None]
    up = np.stack([along[:, 1], -along[:, 0]], axis=1)
    unseen = middle < 0
    half_way = gaps.points[first] + 0.5 * span + UNSEEN_HEIGHT * length[:, None] * up
    middle_point = np.where(unseen[:, None], half_way, gaps.points[middle])
    step = middle_point - gaps.points[first]
    triples = GapTriples(
        first,
        middle,
        third,
        gaps.points[first],
        middle_point,
        gaps.points[third],
        along,
        up,
        length,
        np.einsum("nd,nd->n", step, along) / length,
        np.einsum("nd,nd->n", step, up) / length,
        np.zeros(len(first)),
    )
    possible = _find_possible(triples, gaps, radius)
    if not possible.any():
        return None
    triples = triples.select(possible)
    return replace(triples, cost=score_shape(triples, gaps, radius))


def _find_possible(triples: GapTriples, gaps: GapColumns, radius: float) -> Flags:
    """Returns which triples (n,) have the proportions of a hand, however it is held."""
    unseen = triples.middle < 0
    rises = np.stack(
        [
            np.einsum("nd,nd->n", gaps.directions[rows], triples.up)
            for rows in (triples.first, triples.middle, triples.third)
        ]
    )
    rises[1, unseen] = 1.0
    size = triples.length / radius
    possible = POSSIBLE_MIDDLE.holds(triples.middle_along) & POSSIBLE_HEIGHT.holds(triples.middle_height)
    possible &= np.where(unseen, POSSIBLE_SIZE_UNSEEN.holds(size), POSSIBLE_SIZE.holds(size))
    return np.asarray(possible & (rises.min(axis=0) > np.where(unseen, POSSIBLE_RISE_UNSEEN_MIN, POSSIBLE_RISE_MIN)))


def pair_up(gaps: GapColumns, radius: float, *, with_unseen: bool) -> tuple[Rows, Rows, Rows]:
    """Returns the rows of triples whose neighbours lie side by side, left to right; -1 for a middle nobody saw."""
    directions = gaps.directions[:-1]
    mean = directions[:, None] + directions[None]
    mean = mean / (np.hypot(mean[..., 0], mean[..., 1])[..., None] + TINY_LENGTH)
    offset = (gaps.points[None] - gaps.points[:, None]) / radius
    rise = np.abs(np.einsum("ijd,ijd->ij", offset, mean))
    aside = np.einsum("ijd,ijd->ij", offset, np.stack([-mean[..., 1], mean[..., 0]], axis=-1))
    alike = np.einsum("id,jd->ij", directions, directions)
    beside = NEIGHBOUR_ASIDE.holds(aside) & (rise < NEIGHBOUR_RISE_MAX + aside) & (alike > NEIGHBOUR_ALIKE_MIN)
    first, middle, third = np.nonzero(beside[:, :, None] & beside[None, :, :])
    if with_unseen:
        outer = OUTER_ASIDE.holds(aside) & (rise < aside) & (alike > OUTER_ALIKE_MIN)
        outer_first, outer_third = np.nonzero(outer)
        unseen = np.full(len(outer_first), -1)
        first, third = np.append(first, outer_first), np.append(third, outer_third)
        middle = np.append(middle, unseen)
    return first, middle, third
