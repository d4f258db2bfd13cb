"""Dark lines lie in the gaps and nowhere else: each ends at its valley, and none runs along a finger."""

from dataclasses import dataclass, field

import numpy as np

from edge_agent.palm.hand.anatomy.triples import GapColumns, GapTriples
from edge_agent.palm.hand.arrays import Floats, Pixels
from edge_agent.palm.hand.closed import GapEvidence
from edge_agent.palm.hand.proportions import (
    BROAD_ASIDE,
    BROAD_HEIGHTS,
    BROAD_LEVEL_MIN,
    FINGER_ASIDE,
    FINGER_HEIGHTS,
    FINGER_LINE,
    GAP_LED,
    LINE_BEHIND,
    LINE_BESIDE,
    LINE_DEPTHS,
    LINE_HEIGHTS,
)


@dataclass(frozen=True, slots=True)
class GapLine:
    """One of the three gaps of every triple, as a line from its valley."""

    valley: Floats = field(repr=False)  # (n, 2), px of the crop
    direction: Floats = field(repr=False)  # (n, 2), unit vectors
    length: Floats = field(repr=False)  # (n,), L in px of the crop

    def read(self, evidence: GapEvidence, levels: Pixels, heights: Floats, aside: Floats) -> Floats:
        """Returns the mean level (n,) at heights (h,) up the line, the highest of the places aside (a,) at each."""
        across = np.stack([-self.direction[:, 1], self.direction[:, 0]], axis=1)
        steps = heights[:, None, None] * self.direction[:, None, None, :]
        steps = steps + aside[None, :, None] * across[:, None, None, :]
        points = self.valley[:, None, None, :] + self.length[:, None, None, None] * steps
        read = evidence.read_levels(levels, points, self.direction[:, None, None, :])
        return np.asarray(read.max(axis=2).mean(axis=1), np.float64)


GapLines = tuple[GapLine, GapLine, GapLine]


def score_dark_lines(triples: GapTriples, gaps: GapColumns, evidence: GapEvidence) -> Floats:
    """Returns the cost (n,) of all that the dark lines say against a triple."""
    lines = draw_gap_lines(triples, gaps)
    cost = score_gaps_without_line(lines, evidence) + score_lines_behind_valleys(lines, evidence)
    return cost + score_lines_along_fingers(lines, triples, evidence)


def draw_gap_lines(triples: GapTriples, gaps: GapColumns) -> GapLines:
    """Returns the three gaps of every triple as lines; one that nobody saw leads to the fingertips."""
    unseen = (triples.middle < 0)[:, None]
    return (
        GapLine(triples.first_point, gaps.directions[triples.first], triples.length),
        GapLine(triples.middle_point, np.where(unseen, triples.up, gaps.directions[triples.middle]), triples.length),
        GapLine(triples.third_point, gaps.directions[triples.third], triples.length),
    )


def score_gaps_without_line(lines: GapLines, evidence: GapEvidence) -> Floats:
    """Returns the cost (n,) of chosen gaps that show neither ground nor a dark line on their way up."""
    heights, aside = LINE_HEIGHTS.places(), LINE_BESIDE.places()
    cost = np.zeros(len(lines[0].length))
    for line in lines:
        cost += GAP_LED.cost(line.read(evidence, evidence.gaps, heights, aside))
    return cost


def score_lines_behind_valleys(lines: GapLines, evidence: GapEvidence) -> Floats:
    """Returns the cost (n,) of lines that go on behind the valley, into the palm: a crease, or a gap's middle."""
    depths, aside = -LINE_DEPTHS.places(), 2 * LINE_BESIDE.places()
    low, sides = np.array(BROAD_HEIGHTS), (np.array([-BROAD_ASIDE]), np.array([BROAD_ASIDE]))
    cost = np.zeros(len(lines[0].length))
    for line in lines:
        behind = line.read(evidence, evidence.around, depths, aside)
        # Where an open gap ends broadly, what goes on is a fold of the skin.
        broad = np.minimum(*(line.read(evidence, evidence.gaps, low, side) for side in sides))
        cost += np.where(broad > BROAD_LEVEL_MIN, 0.0, LINE_BEHIND.cost(behind))
    return cost


def score_lines_along_fingers(lines: GapLines, triples: GapTriples, evidence: GapEvidence) -> Floats:
    """Returns the cost (n,) of lines along the middle of a finger: a gap that was left out."""
    first, middle, third = lines
    half = 0.5 * triples.length[:, None] * triples.along
    beyond_first = GapLine(first.valley - half, first.direction, first.length)
    beyond_third = GapLine(third.valley + half, third.direction, third.length)
    heights, aside = FINGER_HEIGHTS.places(), FINGER_ASIDE.places()[None, None, :, None]
    unit = triples.length[:, None, None, None]
    cost = np.zeros(len(triples.cost))
    for start, end in ((first, middle), (middle, third), (beyond_first, first), (third, beyond_third)):
        base = start.valley[:, None, None, :] * (1 - aside) + end.valley[:, None, None, :] * aside
        direction = start.direction[:, None, None, :] * (1 - aside) + end.direction[:, None, None, :] * aside
        points = base + unit * heights[None, :, None, None] * direction
        level = evidence.read_levels(evidence.lines, points, direction).max(axis=2).mean(axis=1)
        cost += FINGER_LINE.cost(level)
    return cost
