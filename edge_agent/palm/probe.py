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
from edge_agent.palm.responses import (
    ORIENTATIONS,
    Bend,
    Floats,
    Pose,
    Responses,
    axis,
    sample,
    sample_bent,
    sample_mask,
)

TURN_STEP_DEG: Final = 2.5
SCALE_STEP: Final = 1.05
COARSE_TURNS: Final = (-6, -3, 0, 3, 6)  # × 2.5°
COARSE_SCALES: Final = (-9, -3, 3, 9)  # halves of a step: 0.80, 0.93, 1.08, 1.25
BETWEEN_TURNS_DEG: Final = (-11.25, -3.75, 3.75, 11.25)  # a palm between two poses of the lattice is hardest to find
BETWEEN_SCALES: Final = (0.865, 1.0, 1.16)
COARSE_SHIFT: Final = 5  # cells of 8 px each way: cut-outs of one contactless palm differ by as much
_COARSE_SPAN: Final = COARSE_SIDE + 2 * COARSE_SHIFT
THIN_BLOCK: Final = 8  # cells a side
LOOSE_REACH: Final = 2  # cells of 4 px that a block may lie beside a coarse shift
FINE_SHIFT: Final = 2 * COARSE_SHIFT + LOOSE_REACH  # cells of 4 px
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


@dataclass(frozen=True, slots=True)
class _CoarseGrids:
    """The coarse code as far as any shift reaches, once for each turn and scale."""

    cells: Floats  # (grids, side², 6) whole numbers
    seen: Floats  # (grids, side²) 1 or 0
    total: Floats  # (grids, shifts) sum of magnitudes
    factors: Floats  # (grids, shifts)


class Probe:
    """One frame's palm, ready to be compared under one school's key. It fills itself on demand: for one thread."""

    __slots__ = ("_coarse", "_grids", "_responses", "_scrambles", "_thin")

    def __init__(self, responses: Responses, scrambles: Scrambles) -> None:
        self._responses = responses
        self._scrambles = scrambles
        self._grids: dict[bool, _CoarseGrids] = {}
        self._coarse: dict[int, CoarseVariants] = {}
        self._thin: _Thin | None = None

    @property
    def scrambles(self) -> Scrambles:
        return self._scrambles

    def coarse(self, reach: int = COARSE_SHIFT) -> CoarseVariants:
        """At shifts of up to `reach` coarse cells. Computed at the first call."""
        found = self._coarse.get(reach)
        if found is None:
            grids, shifts = self._coarse_grids(), _shifts_within(reach)
            windows = _windows(_COARSE_SPAN)[shifts[:, None], self._scrambles.coarse.order]  # cells in the key's order
            weights = np.take(grids.cells, windows, axis=1).reshape(-1, COARSE_CELLS * ORIENTATIONS)
            seen = np.take(grids.seen, windows, axis=1).reshape(-1, COARSE_CELLS)
            total, factors = grids.total[:, shifts].reshape(-1), grids.factors[:, shifts].reshape(-1)
            found = self._coarse[reach] = CoarseVariants(weights, seen, total, factors, _coarse_poses(reach))
        return found

    def few_cells(self, kept: NDArray[np.intp], reach: int, beyond: int = -1, *, between: bool = False) -> Floats:
        """(poses, len(kept) · 6): the lines of those coarse cells that the key put at `kept`.

        At shifts of up to `reach` coarse cells but not of `beyond` or less, in the lattice's turns and scales or
        `between` them, and scaled so that their product with signs is an agreement.
        """
        grids, shifts = self._coarse_grids(between=between), _shifts_within(reach, beyond)
        windows = _windows(_COARSE_SPAN)[shifts[:, None], self._scrambles.coarse.order[kept]]
        weights = np.take(grids.cells, windows, axis=1).reshape(-1, len(kept) * ORIENTATIONS)
        weights *= grids.factors[:, shifts].reshape(-1, 1)
        return weights

    def _coarse_grids(self, *, between: bool = False) -> _CoarseGrids:
        found = self._grids.get(between)
        if found is None:
            turns = BETWEEN_TURNS_DEG if between else [turn * TURN_STEP_DEG for turn in COARSE_TURNS]
            scales = BETWEEN_SCALES if between else [SCALE_STEP ** (scale / 2) for scale in COARSE_SCALES]
            found = self._grids[between] = _coarse_grids(self._responses, list(turns), list(scales))
        return found

    def thin_at(self, rows: NDArray[np.intp]) -> Cells:
        """Every fourth fine cell, in the key's order: (…, 256).

        `rows` count coarse turn and scale, dy, dx; shifts go from −`FINE_SHIFT` to `FINE_SHIFT`.
        """
        if self._thin is None:
            points = axis(FINE_SIDE + 2 * FINE_SHIFT, FINE_STEP)
            turns = [turn * TURN_STEP_DEG for turn in COARSE_TURNS]
            cells = self._cells(turns, [SCALE_STEP ** (scale / 2) for scale in COARSE_SCALES], points, points)
            places = fine_places(len(points), 1)[self._scrambles.fine.order[thin_cells(self._scrambles)]]
            self._thin = _Thin(cells, places)
        return self._thin.at(rows)

    def bent(self, pose: Pose, bend: Bend, side: int, step_px: float) -> Cells:
        """Fine cells on a grid of `side` × `side` points, bent and then posed: (side²,)."""
        return to_cells(*sample_bent(self._responses, pose, bend, side, step_px)).reshape(-1)

    def _cells(self, turns_deg: list[float], scales: list[float], xs: Floats, ys: Floats) -> Cells:
        found = sample(self._responses.fine, 1, turns_deg, scales, xs, ys)
        seen = sample_mask(self._responses.mask, turns_deg, scales, xs, ys)
        return to_cells(found, seen).reshape(len(turns_deg) * len(scales), -1)


def pose_at(turn: int, scale: int, dx: int, dy: int) -> Pose:
    """A pose of the lattice in degrees and pixels."""
    return Pose(turn * TURN_STEP_DEG, SCALE_STEP ** (scale / 2), dx * FINE_STEP, dy * FINE_STEP)


class _Thin:
    """Every fourth cell of the fine code at any place of the lattice, each cut out when it is first asked for."""

    __slots__ = ("_cells", "_cut", "_places", "_windows")

    def __init__(self, cells: Cells, places: NDArray[np.intp]) -> None:
        self._cells = cells  # (grids, 54²)
        self._places = places  # (256,) in the corner of a grid
        count = len(cells) * (2 * FINE_SHIFT + 1) ** 2
        self._windows = np.empty((count, len(places)), np.uint8)
        self._cut = np.zeros(count, np.bool_)

    def at(self, rows: NDArray[np.intp]) -> Cells:
        asked = np.zeros_like(self._cut)
        asked[rows] = True
        missing = np.flatnonzero(asked & ~self._cut)
        grid, shift = np.divmod(missing, (2 * FINE_SHIFT + 1) ** 2)
        dy, dx = np.divmod(shift, 2 * FINE_SHIFT + 1)
        side = FINE_SIDE + 2 * FINE_SHIFT
        corners = (grid * side + dy) * side + dx
        self._windows[missing] = self._cells.reshape(-1)[corners[:, None] + self._places]
        self._cut |= asked
        return self._windows[rows]


def _coarse_grids(responses: Responses, turns: list[float], scales: list[float]) -> _CoarseGrids:
    points = axis(_COARSE_SPAN, COARSE_STEP)
    found = sample(responses.coarse, 2, turns, scales, points, points)
    seen = sample_mask(responses.mask, turns, scales, points, points)
    found *= -WEIGHT_MAX / (STRONG * responses.coarse_level)
    np.clip(found, -WEIGHT_MAX, WEIGHT_MAX, out=found)
    np.rint(found, out=found)
    found *= seen[..., None]
    grids = len(turns) * len(scales)
    cells, seen = found.reshape(grids, -1, ORIENTATIONS), seen.reshape(grids, -1)
    total, left = _over_windows(np.abs(cells).sum(2)), _over_windows(seen) / np.float32(COARSE_CELLS)
    factors = np.where(left < OVERLAP_MIN, 0, np.sqrt(np.minimum(1, left / OVERLAP_FULL)) / np.maximum(total, 1))
    return _CoarseGrids(cells, seen, total, factors.astype(np.float32))


def _over_windows(cells: Floats) -> Floats:
    """(grids, side²) whole numbers → (grids, shifts): their sums over the coarse code's window at every shift."""
    reach = 2 * COARSE_SHIFT + 1
    summed = np.zeros((len(cells), _COARSE_SPAN + 1, _COARSE_SPAN + 1), np.float64)
    summed[:, 1:, 1:] = cells.reshape(-1, _COARSE_SPAN, _COARSE_SPAN).cumsum(1, np.float64).cumsum(2)
    low, high = slice(0, reach), slice(COARSE_SIDE, COARSE_SIDE + reach)
    sums = summed[:, high, high] - summed[:, low, high] - summed[:, high, low] + summed[:, low, low]
    return np.asarray(sums, np.float32).reshape(len(cells), -1)


@cache
def _shifts_within(reach: int, beyond: int = -1) -> NDArray[np.intp]:
    off = np.abs(np.arange(2 * COARSE_SHIFT + 1) - COARSE_SHIFT)
    farther = np.maximum(off[:, None], off[None, :])
    return np.flatnonzero((farther <= reach) & (farther > beyond))


@cache
def _windows(side: int) -> NDArray[np.intp]:
    """(shifts, 256): for every shift the places of the coarse code's cells in a wider grid, row by row."""
    grid = np.arange(side * side).reshape(side, side)
    return sliding_window_view(grid, (COARSE_SIDE, COARSE_SIDE)).reshape(-1, COARSE_CELLS).copy()


@cache
def _coarse_poses(reach: int) -> NDArray[np.int16]:
    shifts = range(-2 * reach, 2 * reach + 1, 2)  # in fine cells
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
    """(256,): where the key has put every second cell of every second row; block by block of 4 × 4 of these."""
    row, column = np.divmod(scrambles.fine.order, FINE_SIDE)
    kept = np.flatnonzero((row % 2 == 1) & (column % 2 == 1))
    block = row[kept] // THIN_BLOCK * FINE_SIDE + column[kept] // THIN_BLOCK
    return np.asarray(kept[np.argsort(block, kind="stable")], np.intp)
