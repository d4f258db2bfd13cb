"""Hands of boxes for the tests of single terms.

Lengths are in L: x from the first valley to the third, y to the fingertips. The hand is a left one, the thumb's side
first, its valleys at (0, 0), (0.5, 0.08) and (1, 0).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from edge_agent.palm.hand.anatomy.candidates import find_triples
from edge_agent.palm.hand.anatomy.triples import GapColumns, GapTriples, stack_gaps
from edge_agent.palm.hand.arrays import Floats, Mask, Pixels
from edge_agent.palm.hand.closed import GapEvidence
from edge_agent.palm.hand.contour import FingerGap
from edge_agent.palm.hand.proportions import DIRECTIONS, SURE_LEVEL

UNIT = 100.0  # px to L
HAND_RADIUS = UNIT / 1.2  # px: R of a usual hand
SCENE_SIDE = 500  # px of the picture
ORIGIN = np.array([200.0, 250.0])  # px of the first valley

Box = tuple[float, float, float, float]  # left, bottom, right, top
Line = tuple[tuple[float, float], tuple[float, float]]

PALM: Box = (-0.45, -1.6, 1.45, 0.0)
INDEX: Box = (-0.45, 0.0, -0.04, 1.4)
MIDDLE: Box = (0.04, 0.0, 0.46, 1.5)
RING: Box = (0.54, 0.0, 0.96, 1.5)
LITTLE: Box = (1.04, 0.0, 1.45, 1.2)
WHOLE_HAND = (PALM, INDEX, MIDDLE, RING, LITTLE)


def place(x: float, y: float) -> Floats:
    """Returns the px of a point given in L."""
    return ORIGIN + UNIT * np.array([x, -y])


def gap(
    x: float, y: float, lean: float = 0.0, *, depth: float = 0.8, closed: bool = False, flat: bool = False
) -> FingerGap:
    """Returns a gap that ends at a point and leads up, leaning to the right by radians."""
    return FingerGap(place(x, y), np.array([math.sin(lean), -math.cos(lean)]), depth, closed, flat)


VALLEYS = (gap(0.0, 0.0, -0.2), gap(0.5, 0.08, -0.1), gap(1.0, 0.0, 0.1))


def triple(gaps: Sequence[FingerGap] = VALLEYS, radius: float = HAND_RADIUS) -> tuple[GapTriples, GapColumns]:
    """Returns the triple of the first three gaps, however unlike a hand it is, and the columns of all gaps.

    Of two gaps it is the pair whose middle one nobody saw.
    """
    columns = stack_gaps(gaps)
    unseen = len(gaps) == 2
    first, middle, third = (0, -1, 1) if unseen else (0, 1, 2)
    span = columns.points[third] - columns.points[first]
    length = float(np.hypot(*span))
    along = span / length
    up = np.array([along[1], -along[0]])
    middle_point = 0.5 * (columns.points[first] + columns.points[third]) if unseen else columns.points[middle]
    step = middle_point - columns.points[first]
    return GapTriples(
        np.array([first]),
        np.array([middle]),
        np.array([third]),
        columns.points[[first]],
        middle_point[None],
        columns.points[[third]],
        along[None],
        up[None],
        np.array([length]),
        np.array([step @ along / length]),
        np.array([step @ up / length]),
        np.zeros(1),
    ), columns


def count_triples(*gaps: FingerGap, radius: float = HAND_RADIUS, with_unseen: bool = False) -> int:
    """Returns how many triples of the gaps can be a hand."""
    triples = find_triples(stack_gaps(gaps), radius, with_unseen=with_unseen)
    return 0 if triples is None else len(triples.cost)


def draw_mask(*boxes: Box) -> Mask:
    """Returns a mask that is hand in the boxes."""
    mask = np.zeros((SCENE_SIDE, SCENE_SIDE), np.uint8)
    for x_start, bottom, x_end, top in boxes:
        (x0, y0), (x1, y1) = place(x_start, top), place(x_end, bottom)
        mask[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] = 1
    return mask


def draw_evidence(*lines: Line, ground: Sequence[Line] = ()) -> GapEvidence:
    """Returns evidence of dark lines in every direction at once, and of strips of open ground."""
    dark = _draw_lines(lines)
    hand = np.full((SCENE_SIDE, SCENE_SIDE), 255, np.uint8)
    lit = np.maximum(dark, _draw_lines(ground))
    levels, gaps = (np.repeat(level[None], DIRECTIONS, axis=0) for level in (dark, lit))
    return GapEvidence(levels, gaps, levels, hand, 1.0)


def _draw_lines(lines: Sequence[Line]) -> Pixels:
    level = np.zeros((SCENE_SIDE, SCENE_SIDE), np.uint8)
    for start, end in lines:
        ends = [tuple(int(v) for v in np.rint(place(*point))) for point in (start, end)]
        cv2.line(level, ends[0], ends[1], SURE_LEVEL, 5)
    return level


def crop_top(mask: Mask, gaps: Sequence[FingerGap], y: float) -> tuple[Mask, list[FingerGap]]:
    """Returns the picture without what lies above a height, and the gaps in it."""
    rows = round(place(0, y)[1])
    return mask[rows:], [replace(candidate, point=candidate.point - (0, rows)) for candidate in gaps]


def crop_right(mask: Mask, x: float) -> Mask:
    """Returns the picture without what lies to the right of a place."""
    return mask[:, : round(place(x, 0)[0])]
