"""A palm to be recognised: its responses, and its code in every pose that a comparison asks for.

Poses lie on a lattice, so that one look-up serves many templates: turns in steps of 2.5°, scales in steps of 1.05,
shifts in steps of 4 px. The coarse search tries every third of them, the fine one their neighbours.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.palm.code import (
    COARSE_CELLS,
    COARSE_SIDE,
    COARSE_STEP,
    FINE_CELLS,
    FINE_SIDE,
    FINE_STEP,
    Cells,
    to_cells,
)
from edge_agent.palm.permutation import Scrambles
from edge_agent.palm.responses import ORIENTATIONS, Floats, Pose, Responses, axis, sample, sample_mask

TURN_STEP_DEG: Final = 2.5
SCALE_STEP: Final = 1.05
COARSE_TURNS: Final = (-6, -3, 0, 3, 6)  # × 2.5°
COARSE_SCALES: Final = (-9, -3, 3, 9)  # halves of a step: 0.80, 0.93, 1.08, 1.25
COARSE_SHIFT: Final = 5  # cells of 8 px each way: cut-outs of one contactless palm differ by as much
FINE_SHIFT: Final = 2 * COARSE_SHIFT + 1  # cells of 4 px: the coarse ones' reach, and one neighbour
OVERLAP_MIN: Final = 0.35  # of the cells; fewer are not compared
OVERLAP_FULL: Final = 0.8  # from here on an overlap counts as whole
WEIGHT_MAX: Final = 4  # of a strong coarse response, a weak one counts down to nothing; whole, so that sums are exact
STRONG: Final = 2.0  # mean magnitudes that make a response a strong one


@dataclass(frozen=True, slots=True)
class CoarseVariants:
    """The coarse code in every pose of the coarse lattice, weighted by how strong the lines are."""

    weights: Floats  # (poses, 1536) whole numbers, in the key's order of cells
    seen: Floats  # (poses, 256)
    total: Floats  # (poses,) sum of magnitudes
    factors: Floats  # (poses,) what makes a weighted sum an agreement, 0 where too little of the palm is left
    poses: NDArray[np.int16]  # (poses, 4): turn, scale, dx, dy on the lattice


class Probe:
    """One frame's palm, ready to be compared under one school's key. It fills itself on demand: for one thread."""

    __slots__ = ("_coarse", "_fine", "_responses", "_scrambles", "_thin")

    def __init__(self, responses: Responses, scrambles: Scrambles) -> None:
        self._responses = responses
        self._scrambles = scrambles
        self._coarse: CoarseVariants | None = None
        self._fine: dict[tuple[int, int], Cells] = {}
        self._thin: Cells | None = None

    @property
    def scrambles(self) -> Scrambles:
        return self._scrambles

    def coarse(self) -> CoarseVariants:
        """Computed at the first call."""
        if self._coarse is None:
            self._coarse = _coarse_variants(self._responses, self._scrambles)
        return self._coarse

    def fine(self, turn: int, scale: int) -> Cells:
        """Fine cells of the 3 × 3 turns and scales around a coarse pose: (9, 46²), room for every shift."""
        found = self._fine.get((turn, scale))
        if found is None:
            points = axis(FINE_SIDE + 2 * FINE_SHIFT, FINE_STEP)
            turns = [(turn + step) * TURN_STEP_DEG for step in (-1, 0, 1)]
            found = self._cells(turns, [SCALE_STEP ** ((scale + step) / 2) for step in (-2, 0, 2)], points, points)
            self._fine[turn, scale] = found
        return found

    def thin(self) -> Cells:
        """Every fourth fine cell at every coarse turn, scale and shift: (grids, 23², 256), in the key's order."""
        if self._thin is None:
            points = axis(FINE_SIDE + 2 * FINE_SHIFT, FINE_STEP)
            turns = [turn * TURN_STEP_DEG for turn in COARSE_TURNS]
            cells = self._cells(turns, [SCALE_STEP ** (scale / 2) for scale in COARSE_SCALES], points, points)
            reach = 2 * FINE_SHIFT + 1
            corners = (np.arange(reach)[:, None] * len(points) + np.arange(reach)[None, :]).reshape(-1, 1)
            order = self._scrambles.fine.order
            places = fine_places(len(points), 1)[order[thin_cells(self._scrambles)]]
            self._thin = np.take(cells, corners + places, axis=1)
        return self._thin

    def halves(self, pose: Pose, turns_deg: list[float], scales: list[float], reach: int) -> Cells:
        """Fine cells every half cell (2 px) around a pose's shift, `reach` more each side: (poses, points)."""
        count = 2 * FINE_SIDE - 1 + 2 * reach
        xs, ys = axis(count, FINE_STEP / 2, pose.dx), axis(count, FINE_STEP / 2, pose.dy)
        return self._cells(turns_deg, scales, xs, ys)

    def _cells(self, turns_deg: list[float], scales: list[float], xs: Floats, ys: Floats) -> Cells:
        found = sample(self._responses.fine, 1, turns_deg, scales, xs, ys)
        seen = sample_mask(self._responses.mask, turns_deg, scales, xs, ys)
        return to_cells(found, seen).reshape(len(turns_deg) * len(scales), -1)


def pose_at(turn: int, scale: int, dx: int, dy: int) -> Pose:
    """A pose of the lattice in degrees and pixels."""
    return Pose(turn * TURN_STEP_DEG, SCALE_STEP ** (scale / 2), dx * FINE_STEP, dy * FINE_STEP)


def _coarse_variants(responses: Responses, scrambles: Scrambles) -> CoarseVariants:
    side = COARSE_SIDE + 2 * COARSE_SHIFT
    points = axis(side, COARSE_STEP)
    turns, scales = [t * TURN_STEP_DEG for t in COARSE_TURNS], [SCALE_STEP ** (s / 2) for s in COARSE_SCALES]
    found = sample(responses.coarse, 2, turns, scales, points, points)
    seen = sample_mask(responses.mask, turns, scales, points, points)
    found *= -WEIGHT_MAX / (STRONG * responses.coarse_level)
    np.clip(found, -WEIGHT_MAX, WEIGHT_MAX, out=found)
    np.rint(found, out=found)
    found *= seen[..., None]
    grids = len(turns) * len(scales)
    order = scrambles.coarse.order
    windows = _windows(side)[:, order]  # (shifts, 256), cells in the key's order
    cells = found.reshape(grids, side * side, ORIENTATIONS)
    shown = np.take(seen.reshape(grids, side * side), windows, axis=1).reshape(-1, COARSE_CELLS)
    total = np.take(np.abs(cells).sum(2), windows, axis=1).sum(2).reshape(-1)
    weights = np.take(cells, windows, axis=1).reshape(-1, COARSE_CELLS * ORIENTATIONS)
    left = shown.mean(1)
    factors = np.where(left < OVERLAP_MIN, 0, np.sqrt(np.minimum(1, left / OVERLAP_FULL)) / np.maximum(total, 1))
    return CoarseVariants(weights, shown, total, factors.astype(np.float32), _coarse_poses())


@cache
def _windows(side: int) -> NDArray[np.intp]:
    """(shifts, 256): for every shift the places of the coarse code's cells in a wider grid, row by row."""
    grid = np.arange(side * side).reshape(side, side)
    return sliding_window_view(grid, (COARSE_SIDE, COARSE_SIDE)).reshape(-1, COARSE_CELLS).copy()


@cache
def _coarse_poses() -> NDArray[np.int16]:
    shifts = range(-2 * COARSE_SHIFT, 2 * COARSE_SHIFT + 1, 2)  # in fine cells
    return np.array(
        [(t, s, dx, dy) for t in COARSE_TURNS for s in COARSE_SCALES for dy in shifts for dx in shifts], np.int16
    )


@cache
def fine_places(side: int, stride: int) -> NDArray[np.intp]:
    """(1024,): places of the fine code's cells, `stride` apart, in the corner of a grid that is `side` wide."""
    rows = np.arange(FINE_SIDE) * stride
    places = (rows[:, None] * side + rows[None, :]).reshape(FINE_CELLS)
    places.flags.writeable = False
    return places


def thin_cells(scrambles: Scrambles) -> NDArray[np.intp]:
    """(256,): where the key has put every second cell of every second row."""
    row, column = np.divmod(scrambles.fine.order, FINE_SIDE)
    return np.flatnonzero((row % 2 == 1) & (column % 2 == 1))
