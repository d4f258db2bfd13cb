"""Measures how alike a probe and a template are: exact masked Hamming distance, after the pose between them was found.

    coarse    every pose of the coarse lattice (5 turns × 5 scales × 121 shifts) by one matrix product; of the best six
              turns and scales the best shift goes on
    hint      there, nine shifts by every fourth cell of the fine code; the best two go on
    upright   neither turned nor scaled, 121 shifts by the whole fine code, as the plain method does; the best always
              goes on, since skin without creases tells the coarse code nothing
    loose     there, each of 4 × 4 blocks by itself up to two cells beside; a pair that agrees nowhere ends here, with
              no less than it agreed upright
    bend      from the best of them on, the skin is laid straight (`bend`)

Agreement is 1 − 2·(differing bits / compared bits): 1 for the same picture, 0 for chance. A small overlap agrees by
accident more often, so it is pulled to chance with the root of its size (Daugman's re-scaling, with a reference of 80 %
of the cells). Everything counted is a whole number, so that a permuted comparison equals the plain one to the last bit.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.matching import bits
from edge_agent.palm.matching.bend import ACROSS, fitted, loosely, straighten
from edge_agent.palm.matching.code import COARSE_CELLS, FINE_STEP, VALID, Cells
from edge_agent.palm.matching.limits import (
    BENT_MIN,
    BETWEEN_SCALES,
    COARSE_POSES_MAX,
    COARSE_SCALES,
    COARSE_SHIFT,
    COARSE_TURNS,
    HINTED_TOGETHER,
    LOOSE_POSE_MIN,
    LOOSE_POSES,
    LOOSE_PRICE,
    LOOSE_REACH,
    OVERLAP_FULL,
    OVERLAP_MIN,
    TEMPLATES_STRAIGHTENED,
)
from edge_agent.palm.matching.permutation import Scramble
from edge_agent.palm.matching.probe import (
    UPRIGHT_GRID,
    CoarseVariants,
    Probe,
    Shifts,
    fine_shifts,
    pose_at,
    upright_shifts,
)
from edge_agent.palm.matching.responses import ORIENTATIONS, UPRIGHT, Bend, Floats, Pose

Starts: TypeAlias = NDArray[np.int16]
"""(…, 3): grid (of a turn and a scale), dx, dy on the lattice."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The result of one comparison. `agreement` is 1 for the same picture, about 0 for strangers; `pose` is how the
    probe lies against the template.
    """

    agreement: float
    pose: Pose


STRANGERS: Final = Likeness(0.0, UPRIGHT)


@dataclass(frozen=True, slots=True)
class Rough:
    """The state of one template's comparison so far: its loose agreement, and how its blocks lie."""

    likeness: Likeness
    template: int
    bend: Bend


@dataclass(frozen=True, slots=True)
class Poses:
    """The pose of each of n templates that is worth a closer look."""

    starts: Starts  # (n, 3)
    hints: NDArray[np.float64]  # (n,) how well every fourth fine cell agrees there, or all of them upright
    loose: NDArray[np.float64]  # (n,) and how well block by block
    compared: Floats  # (n, 25, 16) cells of each block at each place beside
    agreeing: Floats  # (n, 25, 16)

    def of(self, rows: slice) -> "Poses":
        return Poses(self.starts[rows], self.hints[rows], self.loose[rows], self.compared[rows], self.agreeing[rows])

    def rough(self, index: int) -> Rough:
        grid, dx, dy = self.starts[index].tolist()
        bend = fitted((self.compared[index], self.agreeing[index]), LOOSE_REACH, FINE_STEP)
        return Rough(Likeness(float(self.loose[index]), pose_at(grid, dx, dy)), index, bend)


@dataclass(frozen=True, slots=True)
class Templates:
    """Templates of one comparison with pad and inner turns taken off; the cells stay where the key put them."""

    fine: Cells  # (n, 1024)
    signs: Floats  # (n, 1536) +1 line, −1 none, 0 no palm
    seen: Floats  # (n, 256)


def unlock(fine: Cells, coarse: Cells, fine_scramble: Scramble, coarse_scramble: Scramble) -> Templates:
    """Makes kept cells, (n, 1024) and (n, 256), comparable."""
    signs, visibility = coarse_signs(coarse, coarse_scramble)
    return Templates(fine_scramble.unpad(fine), signs, visibility)


def coarse_signs(coarse: Cells, scramble: Scramble) -> tuple[Floats, Floats]:
    """Returns kept coarse cells (n, 256) as signs (n, 1536) and validity (n, 256)."""
    cells = scramble.unpad(coarse)
    visibility = (cells >> 6).astype(np.float32)
    lines = (cells[:, :, None] >> np.arange(ORIENTATIONS, dtype=np.uint8)) & 1
    signs = (lines.astype(np.float32) * 2 - 1) * visibility[:, :, None]
    return signs.reshape(len(coarse), COARSE_CELLS * ORIENTATIONS), visibility


def coarse_agreements(probe: Probe, templates: Templates) -> Floats:
    """Returns the weighted agreement of the coarse codes at every pose of the coarse lattice, (n, poses)."""
    whole = bool(templates.seen.all())  # as mostly: then what both show is what the probe shows
    return np.concatenate([_agreements(variants, templates, whole=whole) for variants in probe.coarse()], axis=1)


def _agreements(variants: CoarseVariants, templates: Templates, *, whole: bool) -> Floats:
    agreements = templates.signs @ variants.weights.T
    shared = variants.left[None] if whole else templates.seen @ variants.seen().T
    overlap = shared / np.float32(COARSE_CELLS)
    # Which weights lie in the overlap would take a second product as large as the first; their share is near enough.
    density = variants.total / np.maximum(variants.left, 1)
    agreements /= np.maximum(overlap * (density * np.float32(COARSE_CELLS)), 1)
    agreements *= np.sqrt(np.minimum(1, overlap / np.float32(OVERLAP_FULL)))
    return np.where(overlap < OVERLAP_MIN, np.float32(-1), agreements)


def compare(probe: Probe, templates: Templates) -> list[Likeness]:
    """Compares the probe with each template, by all stages."""
    poses = find_poses(probe, templates)
    likenesses = [Likeness(max(0.0, hint), UPRIGHT) for hint in poses.hints.tolist()]
    for index in np.flatnonzero(poses.loose >= LOOSE_POSE_MIN).tolist():
        likenesses[index] = settle(probe, templates.fine, poses.rough(index))
    return likenesses


def compare_palm(
    probe: Probe, fine: Cells, poses: Poses, loose_min: float = LOOSE_POSE_MIN, bent_min: tuple[float, float] = BENT_MIN
) -> Likeness:
    """Compares the probe with the templates of one palm (n, 1024) from their `poses`, and gives up below either
    limit.
    """
    best = np.argsort(-poses.loose, kind="stable")[:TEMPLATES_STRAIGHTENED].tolist()
    settled: list[Likeness] = []
    for index in best:
        # The second best is no better than one that was given up.
        if poses.loose[index] < loose_min or (settled and settled[0].agreement < bent_min[1]):
            break
        settled.append(settle(probe, fine, poses.rough(index), bent_min))
    return max(settled, key=lambda likeness: likeness.agreement, default=STRANGERS)


def settle(probe: Probe, fine: Cells, rough: Rough, bent_min: tuple[float, float] = BENT_MIN) -> Likeness:
    """Finishes the comparison of a template that was found worth it."""
    return Likeness(*straighten(probe, fine[rough.template], rough.likeness.pose, rough.bend, bent_min))


def find_poses(probe: Probe, templates: Templates) -> Poses:
    """Finds where each template may lie."""
    return refine_poses(
        probe, templates.fine, best_starts(coarse_agreements(probe, templates), fine_shifts(COARSE_SHIFT))
    )


def best_starts(alike: Floats, off: Shifts) -> Starts:
    """Returns the best shift of the best few turns and scales, (n, few, 3), from how `alike` (n, poses) each pose of
    the lattice is.
    """
    of_grids = np.ascontiguousarray(alike).reshape(len(alike), len(COARSE_TURNS) * len(COARSE_SCALES), len(off))
    shifts = of_grids.argmax(2)  # (n, grids)
    best = np.take_along_axis(of_grids, shifts[..., None], 2)[..., 0]
    chosen = np.argsort(-best, axis=1, kind="stable")[:, :COARSE_POSES_MAX]
    return _poses(chosen, off[np.take_along_axis(shifts, chosen, 1)])


def starts_around(alike: Floats, off: Shifts) -> Starts:
    """Returns the four neighbours on the lattice of the best pose between its points, (n, 4, 3)."""
    grids, shifts = np.divmod(alike.argmax(1), len(off))
    turns, scales = np.divmod(grids, len(BETWEEN_SCALES))
    around = [(turns + turn) * len(COARSE_SCALES) + scales + scale for turn in (0, 1) for scale in (0, 1)]
    return _poses(np.stack(around, axis=1), off[shifts][:, None])


def _poses(grids: NDArray[np.intp], off: Shifts) -> Starts:
    return np.stack(np.broadcast_arrays(grids, off[..., 0], off[..., 1]), axis=-1).astype(np.int16)


def refine_poses(probe: Probe, fine: Cells, starts: Starts) -> Poses:
    """Finds for each template (n, 1024) the pose near one of its starts (n, few, 3) that the fine code agrees with
    best.
    """
    parts = [slice(first, first + HINTED_TOGETHER) for first in range(0, len(fine), HINTED_TOGETHER)]
    best_starts = [_best_start(probe, fine[part], starts[part]) for part in parts]
    none = np.zeros((0, (2 * LOOSE_REACH + 1) ** 2, ACROSS * ACROSS), np.float32)
    return Poses(
        np.concatenate([np.zeros((0, 3), np.int16), *(poses.starts for poses in best_starts)]),
        np.concatenate([np.zeros(0), *(poses.hints for poses in best_starts)]),
        np.concatenate([np.zeros(0), *(poses.loose for poses in best_starts)]),
        np.concatenate([none, *(poses.compared for poses in best_starts)]),
        np.concatenate([none, *(poses.agreeing for poses in best_starts)]),
    )


def _best_start(probe: Probe, fine: Cells, starts: Starts) -> Poses:
    """Picks among the starts (n, poses, 3) with the best hints the one that agrees best."""
    thin = fine[:, None, None, probe.thin_cells]
    hints = agreement(_thin_around(probe, starts, 1), thin).max(2)  # (n, poses)
    order = np.argsort(-hints, axis=1, kind="stable")[:, :LOOSE_POSES]
    upright, as_it_is = _upright_starts(probe, fine)
    hints = np.concatenate([np.take_along_axis(hints, order, 1), as_it_is], axis=1)
    starts = np.concatenate([np.take_along_axis(starts, order[..., None], 1), upright], axis=1)
    counted = _counted(_thin_around(probe, starts, LOOSE_REACH), thin)
    compared, differs = ((part[..., ::2] + part[..., 1::2]).astype(np.float32) for part in counted)  # two words a block
    agreeing = compared - differs / np.float32(ORIENTATIONS / 2)
    overlap = compared[:, :, compared.shape[2] // 2].sum(-1) / thin.shape[-1]
    loose = np.where(
        overlap < OVERLAP_MIN, -1.0, loosely((compared, agreeing), LOOSE_PRICE, thin.shape[-1])
    )  # (n, kept)
    best = np.arange(len(fine)), loose.argmax(1)
    return Poses(starts[best], np.maximum(hints[best], as_it_is[:, 0]), loose[best], compared[best], agreeing[best])


def _upright_starts(probe: Probe, fine: Cells) -> tuple[Starts, NDArray[np.float64]]:
    """Returns the shift at which the picture as it is, neither turned nor scaled, agrees best with each template,
    (n, 1, 3), and how well, (n, 1).
    """
    agreements = agreement(probe.upright()[None], fine[:, None])
    best = agreements.argmax(1)[:, None]
    return _poses(np.full_like(best, UPRIGHT_GRID), upright_shifts()[best]), np.take_along_axis(agreements, best, 1)


def _thin_around(probe: Probe, starts: Starts, reach: int) -> Cells:
    """Returns the probe's thin codes around each start, row by row, (n, poses, places, 256)."""
    down, right = np.divmod(np.arange((2 * reach + 1) ** 2), 2 * reach + 1)
    grids, dx, dy = (starts[..., axis, None] for axis in range(3))
    return probe.thin_at(grids, dy + down - reach, dx + right - reach)


def agreement(moved: Cells, fine: Cells) -> NDArray[np.float64]:
    """Returns the masked Hamming agreement of (…, cells) with (…, cells), both comparable; −1 where too little
    overlaps.
    """
    counted = _counted(moved, fine)
    cells, differing = (part.sum(-1, dtype=np.float64) for part in counted)
    overlap = cells / fine.shape[-1]
    agreeing = 1 - differing / np.maximum(cells, 1) * (2 / ORIENTATIONS)
    return np.where(overlap < OVERLAP_MIN, -1.0, agreeing * np.sqrt(np.minimum(1, overlap / OVERLAP_FULL)))


def _counted(moved: Cells, fine: Cells) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Counts for every eight cells (…, cells / 8) how many show palm in both, and how many bits of those differ."""
    moved_words, right = np.ascontiguousarray(moved).view(np.uint64), np.ascontiguousarray(fine).view(np.uint64)
    valid = moved_words & right & _VALID_WORD
    lines = valid - (valid >> np.uint64(6))  # per byte 0x40 → 0x3F, 0 → 0; no byte borrows from the next
    return bits.count(valid), bits.count((moved_words ^ right) & lines)


_VALID_WORD: Final = np.uint64(int.from_bytes(bytes([VALID]) * 8, "little"))
