"""Candidate gaps and triples of them, as columns of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_agent.palm.hand.arrays import Flags, Floats, Rows
from edge_agent.palm.hand.contour import FingerGap


@dataclass(frozen=True, slots=True)
class GapColumns:
    """The candidate gaps of one silhouette, one row a gap.

    A row of -1 stands for a gap that nobody saw: it has no direction, and is neither closed nor flat.
    """

    points: Floats = field(repr=False)  # (m, 2), px of the crop: where a gap ends at the palm
    directions: Floats = field(repr=False)  # (m + 1, 2), unit vectors towards the fingertips
    depths: Floats = field(repr=False)  # (m,), of a bay its depth, of a dark line its strength
    closed: Flags = field(repr=False)  # (m + 1,)
    flat: Flags = field(repr=False)  # (m + 1,)


def stack_gaps(gaps: Sequence[FingerGap]) -> GapColumns:
    """Returns gaps as columns, with the row for a gap that nobody saw."""
    return GapColumns(
        np.array([gap.point for gap in gaps]).reshape(-1, 2),
        np.array([*(gap.direction for gap in gaps), np.zeros(2)]),
        np.array([gap.depth for gap in gaps], np.float64),
        np.array([*(gap.closed for gap in gaps), False]),
        np.array([*(gap.flat for gap in gaps), False]),
    )


@dataclass(frozen=True, slots=True)
class OuterValley:
    """The first or the third valley of every triple, with the side on which it lies."""

    gap: Rows = field(repr=False)  # (n,)
    point: Floats = field(repr=False)  # (n, 2)
    side: float  # -1 for the first valley, whose outside is against the frame's axis; 1 for the third


@dataclass(frozen=True, slots=True)
class GapTriples:
    """Candidates for the three gaps between four fingers, left to right with the fingers up: one row a triple."""

    first: Rows = field(repr=False)  # (n,), rows of the gaps' columns
    middle: Rows = field(repr=False)  # the same; -1 where nobody saw the gap
    third: Rows = field(repr=False)
    first_point: Floats = field(repr=False)  # (n, 2), px of the crop
    middle_point: Floats = field(repr=False)
    third_point: Floats = field(repr=False)
    along: Floats = field(repr=False)  # (n, 2), unit vectors from the first valley to the third
    up: Floats = field(repr=False)  # (n, 2), unit vectors towards the fingertips
    length: Floats = field(repr=False)  # (n,), px of the crop: L
    middle_along: Floats = field(repr=False)  # (n,), L of the middle valley along the frame
    middle_height: Floats = field(repr=False)  # (n,), L of it above the line through the outer valleys
    cost: Floats = field(repr=False)  # (n,), the sum of the terms so far

    def select(self, rows: Rows | Flags) -> "GapTriples":
        """Returns the triples of these rows, in their order."""
        return GapTriples(
            self.first[rows],
            self.middle[rows],
            self.third[rows],
            self.first_point[rows],
            self.middle_point[rows],
            self.third_point[rows],
            self.along[rows],
            self.up[rows],
            self.length[rows],
            self.middle_along[rows],
            self.middle_height[rows],
            self.cost[rows],
        )

    def outer_valleys(self) -> tuple[OuterValley, OuterValley]:
        """Returns the first and the third valley."""
        return OuterValley(self.first, self.first_point, -1.0), OuterValley(self.third, self.third_point, 1.0)

    def neighbours(self) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """Returns the two pairs of neighbouring valleys, each (n, 2)."""
        return (self.first_point, self.middle_point), (self.middle_point, self.third_point)

    def place(self, base: Floats, along: Floats, above: Floats) -> Floats:
        """Returns points (n, ..., 2) in px that lie so far (n, ...) in L along and above a base (n, 2)."""
        return place_points(self.along, self.up, self.length, base, along, above)

    def lean(self, directions: Floats) -> Floats:
        """Returns how far directions (n, 2) lean to the right of the frame's fingers, in rad (n,)."""
        aside, upward = (np.einsum("nd,nd->n", directions, axis) for axis in (self.along, self.up))
        return np.asarray(np.arctan2(aside, upward))


def place_points(
    axes_along: Floats, axes_up: Floats, lengths: Floats, base: Floats, along: Floats, above: Floats
) -> Floats:
    """Returns points (n, ..., 2) in px, given in the units of n frames from a base (n, 2) as along, above (n, ...)."""
    shape = (len(base),) + (1,) * (along.ndim - 1) + (2,)
    axis_along, axis_up, origin = (vectors.reshape(shape) for vectors in (axes_along, axes_up, base))
    unit = lengths.reshape((*shape[:-1], 1))
    return np.asarray(origin + unit * (along[..., None] * axis_along + above[..., None] * axis_up))
