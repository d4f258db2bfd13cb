"""How alike a probe and a template are: exact masked Hamming distance, after the pose between them was found.

    coarse    every pose of the coarse lattice (5 turns × 4 scales × 121 shifts) by one matrix product; of the best six
              turns and scales the best shift goes on
    hint      there, nine shifts by every fourth cell of the fine code; a pair that agrees nowhere ends here, with 0
    fine      around each pose that is left: 3 turns × 3 scales × 9 shifts of the fine code
    settle    around the best: half of those steps again, at half cells
    yield     a palm is no plate: each of 4 × 4 blocks may lie up to one cell off, at a price, and not far from what
              its neighbours say

Agreement is 1 − 2·(differing bits / compared bits): 1 for the same picture, 0 for chance. A small overlap agrees by
accident more often, so it is pulled to chance with the root of its size (Daugman's re-scaling, with a reference of 80 %
of the cells). Everything counted is a whole number, so that a permuted comparison equals the plain one to the last bit.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm import bits
from edge_agent.palm.code import COARSE_CELLS, FINE_CELLS, FINE_SIDE, LINES, VALID, Cells
from edge_agent.palm.permutation import Scramble
from edge_agent.palm.probe import (
    COARSE_SCALES,
    COARSE_TURNS,
    FINE_SHIFT,
    OVERLAP_FULL,
    OVERLAP_MIN,
    Probe,
    fine_places,
    pose_at,
    thin_cells,
)
from edge_agent.palm.responses import ORIENTATIONS, UPRIGHT, Floats, Pose

COARSE_POSES_MAX: Final = 6  # turns and scales that the fine code is asked about
HINT_MIN: Final = 0.13  # agreement of every fourth fine cell; below it a pose is chance
PLAIN_STRANGER: Final = 0.14  # fine agreement of a palm's first template below which the others are not asked
TEMPLATES_SEARCHED: Final = 3  # of one palm
TEMPLATES_SETTLED: Final = 2
HINTED_TOGETHER: Final = 64  # templates; bounds the memory of one step to some 10 MB
FINE_LOOKED_AT: Final = 24  # of 81 a pose
FINE_AGREEMENT_MIN: Final = 0.15  # a pair below it is not settled: settling adds a tenth at most
SETTLE_TURNS_DEG: Final = (-1.25, 0.0, 1.25)
SETTLE_SCALES: Final = (1 / 1.02, 1.0, 1.02)
YIELD_REACH: Final = 2  # half cells that a block may lie off: 4 px
YIELD_BLOCK: Final = 8  # cells
YIELD_PRICE: Final = 0.01  # agreement, times the square of half cells off
NEIGHBOUR_WEIGHT: Final = 0.5

Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Likeness:
    """`agreement`: 1 the same picture, about 0 strangers. `pose`: how the probe lies against the template."""

    agreement: float
    pose: Pose


STRANGERS: Final = Likeness(0.0, UPRIGHT)


@dataclass(frozen=True, slots=True)
class Rough:
    """What was found of one template so far."""

    likeness: Likeness
    template: int


@dataclass(frozen=True, slots=True)
class Poses:
    """Poses of n templates that are worth a closer look, the best coarse one first."""

    starts: NDArray[np.int16]  # (n, poses, 4): turn, scale, dx, dy on the lattice
    hints: NDArray[np.float64]  # (n, poses)

    def of(self, rows: slice) -> "Poses":
        return Poses(self.starts[rows], self.hints[rows])

    def above(self, hint: float) -> "Poses":
        """Only those that hint at so much; the others count as chance."""
        return Poses(self.starts, np.where(self.hints >= hint, self.hints, -1.0))


@dataclass(frozen=True, slots=True)
class Templates:
    """Templates of one comparison with pad and inner turns taken off, cells still where the key put them."""

    fine: Cells  # (n, 1024)
    signs: Floats  # (n, 1536) +1 line, −1 none, 0 no palm
    seen: Floats  # (n, 256)


def unlock(fine: Cells, coarse: Cells, fine_scramble: Scramble, coarse_scramble: Scramble) -> Templates:
    """Make kept cells, (n, 1024) and (n, 256), comparable."""
    signs, seen = coarse_signs(coarse, coarse_scramble)
    return Templates(fine_scramble.unpad(fine), signs, seen)


def coarse_signs(coarse: Cells, scramble: Scramble) -> tuple[Floats, Floats]:
    """Kept coarse cells (n, 256) as signs (n, 1536) and validity (n, 256)."""
    cells = scramble.unpad(coarse)
    seen = (cells >> 6).astype(np.float32)
    lines = (cells[:, :, None] >> np.arange(ORIENTATIONS, dtype=np.uint8)) & 1
    signs = (lines.astype(np.float32) * 2 - 1) * seen[:, :, None]
    return signs.reshape(len(coarse), COARSE_CELLS * ORIENTATIONS), seen


def coarse_agreements(probe: Probe, templates: Templates) -> Floats:
    """(poses, n): weighted agreement of the coarse codes at every pose of the coarse lattice."""
    variants = probe.coarse()
    found = variants.weights @ templates.signs.T
    overlap = (variants.seen @ templates.seen.T) / np.float32(COARSE_CELLS)
    # Which weights lie in the overlap would take a second product as large as the first; their share is near enough.
    density = variants.total / np.maximum(variants.seen.sum(1), 1)
    weight = overlap * (density * np.float32(COARSE_CELLS))[:, None]
    found /= np.maximum(weight, 1)
    found *= np.sqrt(np.minimum(1, overlap / np.float32(OVERLAP_FULL)))
    found[overlap < OVERLAP_MIN] = -1
    return found


def compare(probe: Probe, templates: Templates) -> list[Likeness]:
    """The probe against each template, all stages."""
    poses = find_poses(probe, templates)
    return [
        compare_at(probe, templates.fine[index], poses.starts[index, poses.hints[index] >= HINT_MIN])
        for index in range(len(templates.fine))
    ]


def compare_palm(probe: Probe, fine: Cells, poses: Poses) -> Likeness:
    """The probe against one palm's several templates (n, 1024), of which `poses` were found."""
    return settle_palm(probe, fine, rough_palm(probe, fine, poses))


def rough_palm(probe: Probe, fine: Cells, poses: Poses) -> list[Rough]:
    """How alike they are before settling and yielding, the best first; empty where no template hints at anything.

    The template that hints best goes first; the others only follow where it is not plainly a stranger's.
    """
    hints = poses.hints.max(1)
    found: list[Rough] = []
    for index in np.argsort(-hints, kind="stable")[:TEMPLATES_SEARCHED].tolist():
        starts = poses.starts[index, poses.hints[index] >= HINT_MIN]
        if not len(starts):
            break
        found.append(Rough(_fine_search(probe, fine[index], starts), index))
        if found[0].likeness.agreement < PLAIN_STRANGER:
            break
    return sorted(found, key=lambda rough: -rough.likeness.agreement)


def settle_palm(probe: Probe, fine: Cells, found: list[Rough]) -> Likeness:
    """The rest of the way. Only the best are settled: they say the same a little worse, and this is where a search
    spends its time."""
    settled = [_finish(probe, fine[rough.template], rough.likeness) for rough in found[:TEMPLATES_SETTLED]]
    return max(settled, key=lambda likeness: likeness.agreement, default=STRANGERS)


def find_poses(probe: Probe, templates: Templates) -> Poses:
    """Where each template may lie: the best shift of the best few turns and scales, and what the fine code hints."""
    coarse = coarse_agreements(probe, templates)
    grids = len(COARSE_TURNS) * len(COARSE_SCALES)
    coarse = coarse.reshape(grids, -1, coarse.shape[1])
    shifts = coarse.argmax(1)  # (grids, n)
    best = np.take_along_axis(coarse, shifts[:, None], 1)[:, 0]
    chosen = np.argsort(-best, axis=0, kind="stable")[:COARSE_POSES_MAX].T  # (n, poses)
    places = np.take_along_axis(shifts.T, chosen, 1) + chosen * coarse.shape[1]
    starts = probe.coarse().poses[places]  # (n, poses, 4)
    hints = np.full(chosen.shape, -1.0)
    for first in range(0, len(chosen), HINTED_TOGETHER):
        part = slice(first, first + HINTED_TOGETHER)
        hints[part] = _hints(probe, templates.fine[part], chosen[part], starts[part])
    return Poses(starts, hints)


def compare_at(probe: Probe, fine: Cells, starts: NDArray[np.int16]) -> Likeness:
    """From coarse poses (k, 4) on: fine, settle, yield."""
    return _finish(probe, fine, _fine_search(probe, fine, starts)) if len(starts) else STRANGERS


def _finish(probe: Probe, fine: Cells, best: Likeness) -> Likeness:
    if best.agreement < FINE_AGREEMENT_MIN:
        return best
    settled = _settle(probe, fine, best)
    return Likeness(_yield(probe, fine, settled.pose), settled.pose)


def _hints(probe: Probe, fine: Cells, grids: NDArray[np.intp], starts: NDArray[np.int16]) -> NDArray[np.float64]:
    """(n, poses): the best of nine shifts, by every fourth cell of the fine code, turn and scale as they are."""
    reach = 2 * FINE_SHIFT + 1
    shifts = starts[:, :, None, 2:].astype(np.intp) + _NEAR + FINE_SHIFT  # (n, poses, 9, 2)
    rows = (grids[:, :, None] * reach + shifts[..., 1]) * reach + shifts[..., 0]
    moved = probe.thin_at(rows)
    return np.asarray(agreement(moved, fine[:, None, None, thin_cells(probe.scrambles)]).max(2), np.float64)


def _corners(starts: NDArray[np.int16]) -> NDArray[np.intp]:
    """(k, 9): where in a grid of the probe the nine windows around a coarse shift begin."""
    side = FINE_SIDE + 2 * FINE_SHIFT
    shifts = starts[:, 2:].astype(np.intp)[:, None, :] + _NEAR  # (k, 9, 2)
    return np.asarray((FINE_SHIFT + shifts[:, :, 1]) * side + FINE_SHIFT + shifts[:, :, 0], np.intp)


def _fine_search(probe: Probe, fine: Cells, starts: NDArray[np.int16]) -> Likeness:
    """The best of 81 neighbours of each pose: all by every fourth cell, the best of those by every cell."""
    side = FINE_SIDE + 2 * FINE_SHIFT
    grids = np.concatenate([probe.fine(turn, scale) for turn, scale in starts[:, :2].tolist()]).reshape(-1)
    corners = np.arange(9 * len(starts)).reshape(-1, 9, 1) * (side * side) + _corners(starts)[:, None]
    corners = corners.reshape(-1, 1)  # (poses · grids · shifts, 1)
    order = probe.scrambles.fine.order
    places = fine_places(side, 1)[order]
    thin = thin_cells(probe.scrambles)
    hints = agreement(grids[corners + places[thin]], fine[thin])
    first = np.argpartition(-hints, FINE_LOOKED_AT)[:FINE_LOOKED_AT]
    agreements = agreement(grids[corners[first] + places], fine)
    best = float(agreements.max())
    at = int(first[agreements == best].min())  # the lowest of equals, whatever order they were put in
    index, rest = divmod(at, 81)
    grid, near = divmod(rest, 9)
    turn, scale, x, y = (int(value) for value in starts[index])
    dx, dy = _NEAR[near].tolist()
    return Likeness(best, pose_at(turn + grid // 3 - 1, scale + 2 * (grid % 3 - 1), x + dx, y + dy))


def _settle(probe: Probe, fine: Cells, best: Likeness) -> Likeness:
    turns = [best.pose.turn_deg + turn for turn in SETTLE_TURNS_DEG]
    scales = [best.pose.scale * scale for scale in SETTLE_SCALES]
    side = 2 * FINE_SIDE - 1 + 2
    grids = probe.halves(best.pose, turns, scales, 1)
    windows = _half_cell_windows(probe, side, 3)
    agreements = agreement(grids[:, windows].reshape(-1, FINE_CELLS), fine)
    at = int(agreements.argmax())
    grid, corner = divmod(at, 9)
    pose = Pose(
        turns[grid // 3],
        scales[grid % 3],
        best.pose.dx + 2.0 * (corner % 3 - 1),
        best.pose.dy + 2.0 * (corner // 3 - 1),
    )
    return Likeness(float(agreements[at]), pose)


def _yield(probe: Probe, fine: Cells, pose: Pose) -> float:
    """Agreement when each block lies where it agrees best."""
    count = 2 * YIELD_REACH + 1
    side = 2 * FINE_SIDE - 1 + 2 * YIELD_REACH
    cells = probe.halves(pose, [pose.turn_deg], [pose.scale], YIELD_REACH)[0]
    moved = cells[_half_cell_windows(probe, side, count)]  # (25, 1024)
    valid = (moved & fine) >> 6
    differing = _BITS_OF_CELL[(moved ^ fine) & LINES] * valid
    member = _blocks()[probe.scrambles.fine.order]
    compared = valid.astype(np.float32) @ member  # (25, 16) cells
    agreeing = compared - (differing.astype(np.float32) @ member) / np.float32(ORIENTATIONS / 2)
    near = _neighbours()
    support = compared @ near
    ratio = (agreeing @ near) / np.maximum(support, support.max() * np.float32(0.1) + 1) - _price(count)
    choice = ratio.argmax(0)[None]
    cells = float(np.take_along_axis(compared, choice, 0).sum())
    overlap = float(compared[len(compared) // 2].sum()) / FINE_CELLS
    return float(np.take_along_axis(agreeing, choice, 0).sum()) / max(cells, 1.0) * _overlap_factor(overlap)


def agreement(moved: Cells, fine: Cells) -> NDArray[np.float64]:
    """Masked Hamming agreement of (…, cells) with (…, cells), both comparable; −1 where too little overlaps."""
    left, right = np.ascontiguousarray(moved).view(np.uint64), np.ascontiguousarray(fine).view(np.uint64)
    valid = left & right & _VALID_WORD
    lines = valid - (valid >> np.uint64(6))  # per byte 0x40 → 0x3F, 0 → 0; no byte borrows from the next
    differing = bits.count((left ^ right) & lines).sum(-1, dtype=np.int64)
    cells = bits.count(valid).sum(-1, dtype=np.int64)
    overlap = cells / fine.shape[-1]
    agreeing = 1 - differing / np.maximum(cells, 1) * (2 / ORIENTATIONS)
    return np.where(overlap < OVERLAP_MIN, -1.0, agreeing * np.sqrt(np.minimum(1, overlap / OVERLAP_FULL)))


def _overlap_factor(overlap: float) -> float:
    return float(np.sqrt(min(1.0, overlap / OVERLAP_FULL)))


_NEAR: Final = np.array([(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
_VALID_WORD: Final = np.uint64(int.from_bytes(bytes([VALID]) * 8, "little"))
_BITS_OF_CELL: Final = np.array([value.bit_count() for value in range(64)], np.uint8)


def _half_cell_windows(probe: Probe, side: int, count: int) -> NDArray[np.intp]:
    """(count², 1024): places of the fine cells at every shift by half cells."""
    corners = (np.arange(count)[:, None] * side + np.arange(count)[None, :]).reshape(-1, 1)
    return corners + fine_places(side, 2)[probe.scrambles.fine.order]


@cache
def _blocks() -> Floats:
    """(1024, 16): which block a cell lies in."""
    row, column = np.divmod(np.arange(FINE_CELLS), FINE_SIDE)
    across = FINE_SIDE // YIELD_BLOCK
    return np.asarray(np.eye(across * across)[row // YIELD_BLOCK * across + column // YIELD_BLOCK], np.float32)


@cache
def _neighbours() -> Floats:
    """(16, 16): a block's own evidence and half of that around it."""
    across = FINE_SIDE // YIELD_BLOCK
    row, column = np.divmod(np.arange(across * across), across)
    distance = np.maximum(abs(row[:, None] - row[None]), abs(column[:, None] - column[None]))
    return np.where(distance == 0, 1, np.where(distance == 1, NEIGHBOUR_WEIGHT, 0)).astype(np.float32)


@cache
def _price(count: int) -> Floats:
    """(count², 1)"""
    off = np.arange(count) - count // 2
    return (YIELD_PRICE * (off[:, None] ** 2 + off[None, :] ** 2)).astype(np.float32).reshape(-1, 1)
