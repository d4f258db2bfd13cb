"""A palm to be recognised: its responses, and its code in every pose that a comparison asks for.

Poses lie on a lattice, so that one look-up serves many templates: turns in steps of 2.5°, scales in steps of 1.05,
shifts in steps of 4 px. The coarse search tries every third of them, the fine one their neighbours.

Where only the few most alike of many palms are wanted, three numbers do for a cell's six lines: as a function of their
direction these are nearly a mean and one wave over 180°, and what is left of them tells palms apart the least.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.palm.matching.code import (
    COARSE_CELLS,
    COARSE_SIDE,
    COARSE_STEP,
    FINE_CELLS,
    FINE_SIDE,
    FINE_STEP,
    Cells,
    to_cells,
)
from edge_agent.palm.matching.limits import (
    BETWEEN_SCALES,
    BETWEEN_TURNS_DEG,
    BLOCK_CELLS,
    COARSE_SCALES,
    COARSE_SHIFT,
    COARSE_TURNS,
    LENGTH_TINY,
    LOOSE_REACH,
    OVERLAP_FULL,
    OVERLAP_MIN,
    SCALE_STEP,
    STRONG_RESPONSE,
    TURN_STEP_DEG,
    UPRIGHT_SHIFT,
    WEIGHT_MAX,
)
from edge_agent.palm.matching.permutation import Scrambles
from edge_agent.palm.matching.responses import (
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

Ints: TypeAlias = NDArray[np.integer]
Shifts: TypeAlias = NDArray[np.intp]
"""(…, 2): to the right and down, in fine cells."""

_COARSE_SPAN: Final = COARSE_SIDE + 2 * COARSE_SHIFT
FINE_SHIFT: Final = 2 * COARSE_SHIFT + LOOSE_REACH  # cells of 4 px
UPRIGHT_GRID: Final = COARSE_TURNS.index(0) * len(COARSE_SCALES) + COARSE_SCALES.index(0)
TERMS: Final = 3  # of a cell's lines, in short


@dataclass(frozen=True, slots=True)
class CoarseVariants:
    """The coarse code at every shift of one turn and scale, weighted by how strong the lines are."""

    weights: Floats  # (shifts, 1536) whole numbers, in the key's order of cells
    left: Floats  # (shifts,) how many of the cells show palm
    total: Floats  # (shifts,) sum of magnitudes
    _seen: Floats  # (side²,)
    _windows: NDArray[np.intp]  # (shifts, 256)

    def seen(self) -> Floats:
        """Returns which cells show palm, (shifts, 256); hardly ever needed."""
        return np.take(self._seen, self._windows)


@dataclass(frozen=True, slots=True)
class _CoarseGrids:
    """The coarse code as far as any shift reaches, once for each turn and scale."""

    cells: Floats  # (grids, side², 6) whole numbers
    terms: Floats  # (grids, side², 3) the same in short
    seen: Floats  # (grids, side²) 1 or 0
    left: Floats  # (grids, shifts) of the cells, how many show palm
    total: Floats  # (grids, shifts) sum of magnitudes
    factors: Floats  # (grids, shifts) what makes a weighted sum an agreement, 0 where too little of the palm is left


class Probe:
    """One frame's palm, ready to be compared under one school's key. It fills itself on demand: for one thread."""

    __slots__ = ("_grids", "_responses", "_scrambles", "_thin", "_thin_order", "_upright", "thin_cells")

    def __init__(self, responses: Responses, scrambles: Scrambles) -> None:
        self._responses = responses
        self._scrambles = scrambles
        self._grids: dict[bool, _CoarseGrids] = {}
        self._thin: Cells | None = None  # (grids, 25, 25, 16, 16), a view
        self._upright: Cells | None = None  # (shifts, 1024)
        self.thin_cells, self._thin_order = thin_cells(scrambles.fine.order.tobytes())

    @property
    def scrambles(self) -> Scrambles:
        return self._scrambles

    def coarse(self) -> Iterator[CoarseVariants]:
        """Yields each coarse turn and scale. All at once would be 15 MB, more than a processor's cache holds."""
        grids, windows = self._coarse_grids(), _windows(_COARSE_SPAN)[:, self._scrambles.coarse.order]
        for cells, left, total, seen in zip(grids.cells, grids.left, grids.total, grids.seen, strict=True):
            weights = np.take(cells, windows, axis=0).reshape(-1, COARSE_CELLS * ORIENTATIONS)
            yield CoarseVariants(weights, left, total, seen, windows)

    def in_short(
        self, cell_indices: NDArray[np.intp], reach: int, beyond: int = -1, *, between: bool = False
    ) -> Floats:
        """Returns the lines of those coarse cells that the key put at `cell_indices`, in short: (poses,
        len(cell_indices) · 3).

        At shifts of up to `reach` coarse cells but not of `beyond` or less, in the lattice's turns and scales or
        `between` them, and scaled so that their product with signs in short is about an agreement.
        """
        grids, shifts = self._coarse_grids(between=between), _shifts_within(reach, beyond)
        windows = _windows(_COARSE_SPAN)[shifts[:, None], self._scrambles.coarse.order[cell_indices]]
        terms = np.take(grids.terms, windows, axis=1).reshape(-1, len(cell_indices) * TERMS)
        terms *= grids.factors[:, shifts].reshape(-1, 1)
        return terms

    def _coarse_grids(self, *, between: bool = False) -> _CoarseGrids:
        grids = self._grids.get(between)
        if grids is None:
            turns = BETWEEN_TURNS_DEG if between else [turn * TURN_STEP_DEG for turn in COARSE_TURNS]
            scales = BETWEEN_SCALES if between else [SCALE_STEP ** (scale / 2) for scale in COARSE_SCALES]
            grids = self._grids[between] = _coarse_grids(self._responses, list(turns), list(scales))
        return grids

    def thin_at(self, grids: Ints, down: Ints, right: Ints) -> Cells:
        """Returns every fourth fine cell, (…, 256) as `thin_cells` has them, of these coarse turns and scales, at
        shifts `down` and `right` in fine cells from −`FINE_SHIFT` to `FINE_SHIFT`.
        """
        if self._thin is None:
            points = axis(FINE_SIDE + 2 * FINE_SHIFT, FINE_STEP)
            turns = [turn * TURN_STEP_DEG for turn in COARSE_TURNS]
            cells = self._cells(turns, [SCALE_STEP ** (scale / 2) for scale in COARSE_SCALES], points, points)
            windows = sliding_window_view(cells, (FINE_SIDE, FINE_SIDE), (1, 2))
            self._thin = windows[:, :, :, 1::2, 1::2]
        thin_cells = self._thin[grids, down + FINE_SHIFT, right + FINE_SHIFT]
        return thin_cells.reshape(*thin_cells.shape[:-2], len(self._thin_order)).take(self._thin_order, axis=-1)

    def upright(self) -> Cells:
        """Returns the fine code of the picture as it is, neither turned nor scaled, at each of `upright_shifts`,
        (shifts, 1024).
        """
        if self._upright is None:
            points = axis(FINE_SIDE + 2 * UPRIGHT_SHIFT, FINE_STEP)
            windows = sliding_window_view(self._cells([0.0], [1.0], points, points)[0], (FINE_SIDE, FINE_SIDE))
            self._upright = windows.reshape(-1, FINE_CELLS).take(self._scrambles.fine.order, axis=-1)
        return self._upright

    def texture(self) -> Floats:
        """Returns every fourth cell of `upright` in short, (shifts, 768), scaled so that its product with a texture of
        length 1 tells who is most alike.
        """
        return texture(self.upright()[:, self.thin_cells])

    def bent(self, pose: Pose, bend: Bend, side: int, step_px: float) -> Cells:
        """Returns fine cells (side²,) on a grid of `side` × `side` points, bent and then posed."""
        return to_cells(*sample_bent(self._responses, pose, bend, side, step_px)).reshape(-1)

    def _cells(self, turns_deg: list[float], scales: list[float], xs: Floats, ys: Floats) -> Cells:
        sampled = sample(self._responses.fine, 1, turns_deg, scales, xs, ys)
        visibility = sample_mask(self._responses.mask, turns_deg, scales, xs, ys)
        return to_cells(sampled, visibility).reshape(-1, len(ys), len(xs))


def pose_at(grid: int, dx: int, dy: int) -> Pose:
    """Returns a pose of the lattice in degrees and px. `grid` counts the coarse turns, and in each the coarse
    scales.
    """
    turn, scale = COARSE_TURNS[grid // len(COARSE_SCALES)], COARSE_SCALES[grid % len(COARSE_SCALES)]
    return Pose(turn * TURN_STEP_DEG, SCALE_STEP ** (scale / 2), dx * FINE_STEP, dy * FINE_STEP)


def in_short(lines: Floats) -> Floats:
    """Shortens (…, 6) lines to (…, 3): their mean and first wave over the six directions, scaled so that products stay
    the same.
    """
    return lines @ _terms()


def texture(cells: Cells) -> Floats:
    """Returns fine cells (n, cells) as signs in short, (n, cells · 3), of length 1."""
    visibility = (cells >> 6).astype(np.float32)[..., None]
    lines = ((cells[..., None] >> np.arange(ORIENTATIONS, dtype=np.uint8)) & 1).astype(np.float32)
    return normalised(in_short((lines * 2 - 1) * visibility).reshape(len(cells), -1))


def normalised(rows: Floats) -> Floats:
    """Returns the rows with length 1; one of nothing stays nothing."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LENGTH_TINY), np.float32)


@cache
def _terms() -> Floats:
    """Returns the factors that shorten six lines to three numbers, (6, 3)."""
    wave = 2 * np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    terms = np.stack([np.ones(ORIENTATIONS), np.sqrt(2) * np.cos(wave), np.sqrt(2) * np.sin(wave)], axis=1)
    return np.asarray(terms / np.sqrt(ORIENTATIONS), np.float32)


def _coarse_grids(responses: Responses, turns: list[float], scales: list[float]) -> _CoarseGrids:
    points = axis(_COARSE_SPAN, COARSE_STEP)
    sampled = sample(responses.coarse, 2, turns, scales, points, points)
    visibility = sample_mask(responses.mask, turns, scales, points, points)
    sampled *= -WEIGHT_MAX / (STRONG_RESPONSE * responses.coarse_level)
    np.clip(sampled, -WEIGHT_MAX, WEIGHT_MAX, out=sampled)
    np.rint(sampled, out=sampled)
    sampled *= visibility[..., None]
    grids = len(turns) * len(scales)
    cells, visibility = sampled.reshape(grids, -1, ORIENTATIONS), visibility.reshape(grids, -1)
    total, left = _over_windows(np.abs(cells) @ np.ones(ORIENTATIONS, np.float32)), _over_windows(visibility)
    share = left / np.float32(COARSE_CELLS)
    factors = np.where(share < OVERLAP_MIN, 0, np.sqrt(np.minimum(1, share / OVERLAP_FULL)) / np.maximum(total, 1))
    return _CoarseGrids(cells, in_short(cells), visibility, left, total, factors.astype(np.float32))


def _over_windows(cells: Floats) -> Floats:
    """Sums whole numbers (grids, side²) over the coarse code's window at every shift, (grids, shifts)."""
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
    """Returns for every shift the places of the coarse code's cells in a wider grid, row by row, (shifts, 256)."""
    grid = np.arange(side * side).reshape(side, side)
    return sliding_window_view(grid, (COARSE_SIDE, COARSE_SIDE)).reshape(-1, COARSE_CELLS).copy()


@cache
def fine_shifts(reach: int, beyond: int = -1) -> Shifts:
    """Returns the shifts (shifts, 2) of up to `reach` coarse cells but not of `beyond` or less."""
    down, right = np.divmod(_shifts_within(reach, beyond), 2 * COARSE_SHIFT + 1)
    return (np.stack([right, down], axis=1) - COARSE_SHIFT) * round(COARSE_STEP / FINE_STEP)


@cache
def upright_shifts() -> Shifts:
    """Returns the shifts (shifts, 2) at which the upright picture is tried, row by row."""
    down, right = np.divmod(np.arange((2 * UPRIGHT_SHIFT + 1) ** 2), 2 * UPRIGHT_SHIFT + 1)
    return np.stack([right, down], axis=1) - UPRIGHT_SHIFT


@cache
def fine_places(side: int, stride: int) -> NDArray[np.intp]:
    """Returns the places (1024,) of the fine code's cells, `stride` apart, in the corner of a grid that is `side`
    wide.
    """
    rows = np.arange(FINE_SIDE) * stride
    places = (rows[:, None] * side + rows[None, :]).reshape(FINE_CELLS)
    places.flags.writeable = False
    return places


@lru_cache(maxsize=4)
def thin_cells(order: bytes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns where the key has put every second cell of every second row, block by block of 4 × 4 of these, and which
    of these, row by row, they are; (256,) each.
    """
    row, column = np.divmod(np.frombuffer(order, np.intp), FINE_SIDE)
    odd_cells = np.flatnonzero((row % 2 == 1) & (column % 2 == 1))
    block = row[odd_cells] // BLOCK_CELLS * FINE_SIDE + column[odd_cells] // BLOCK_CELLS
    cells = odd_cells[np.argsort(block, kind="stable")]
    return cells, row[cells] // 2 * (FINE_SIDE // 2) + column[cells] // 2
