"""Lays a palm's skin straight: finds how it lies bent between two pictures, and how alike they are once that is undone.

A hand held otherwise is stretched here and tilted there. So each of 4 × 4 blocks of the template is looked for a few
half cells around the place where a common turn, scale and shift has it; a quadratic through what the blocks say bends
the whole grid; the probe is looked up again there, and once more. What is left of the differences each block may make
up by itself, at a price. A quadratic has twelve numbers: enough for tilt and stretch, too few to make a stranger fit.

Everything counted is a whole number, and blocks come in one order whatever the key, so that a permuted comparison
equals the plain one to the last bit.
"""

from functools import cache, lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.matching import bits
from edge_agent.palm.matching.code import FINE_CELLS, FINE_SIDE, FINE_STEP, LINES, Cells
from edge_agent.palm.matching.limits import (
    BENT_MIN,
    BLOCK_CELLS,
    CURVE_TINY,
    NEIGHBOUR_WEIGHT,
    OVERLAP_FULL,
    PRICE,
    REACHES,
    REMAINDER_PRICE,
    REMAINDER_REACH,
    STIFFNESS,
    SUPPORT_MIN,
)
from edge_agent.palm.matching.probe import Probe, fine_places
from edge_agent.palm.matching.responses import ORIENTATIONS, QUADRATIC, Bend, Floats, Pose, quadratic, straight

ACROSS: Final = FINE_SIDE // BLOCK_CELLS

Counts = tuple[Floats, Floats]
"""Cells compared and cells' worth of agreement, (…, places, blocks); places row by row, the unmoved in the middle."""


def straighten(
    probe: Probe, fine: Cells, pose: Pose, bend: Bend, least: tuple[float, float] = BENT_MIN
) -> tuple[float, Pose]:
    """Returns the agreement after the bend was found from a first guess, and the pose (without the bend) as it is then.

    A pair that agrees less than `least`, first as guessed and then with its blocks moved, stays with that.
    """
    order = probe.scrambles.fine.order
    flat = _plain(_counted(probe.bent(pose, bend, FINE_SIDE, FINE_STEP)[None, order], fine, order))
    if flat < least[0]:
        return flat, _refined(pose, bend)
    counts = _compare_bent(probe, fine, pose, bend, REACHES[0])
    remainder = loosely(counts, REMAINDER_PRICE, FINE_CELLS)
    if remainder >= least[1]:
        for reach, following in pairwise((*REACHES, REMAINDER_REACH)):
            bend = bend + fitted(counts, reach, FINE_STEP / 2)
            counts = _compare_bent(probe, fine, pose, bend, following)
        remainder = loosely(counts, REMAINDER_PRICE, FINE_CELLS)
    return float(remainder), _refined(pose, bend)


def _compare_bent(probe: Probe, fine: Cells, pose: Pose, bend: Bend, reach: int) -> Counts:
    """Returns what each block agrees at each place around the bent grid."""
    side = 2 * FINE_SIDE - 1 + 2 * reach
    cells = probe.bent(pose, bend, side, FINE_STEP / 2)
    order = probe.scrambles.fine.order
    return _counted(cells[_corners(side, 2 * reach + 1) + fine_places(side, 2)[order]], fine, order)


def _counted(moved: Cells, fine: Cells, order: NDArray[np.intp]) -> Counts:
    """Counts cells at some places, (places, 1024), against the template's."""
    valid = (moved & fine) >> 6
    differing = bits.count((moved ^ fine) & np.uint8(LINES)) * valid
    member = _blocks()[order]
    compared = valid.astype(np.float32) @ member
    return compared, compared - (differing.astype(np.float32) @ member) / np.float32(ORIENTATIONS / 2)


def loosely(counts: Counts, price: float, cells: int) -> NDArray[np.float64]:
    """Returns the agreement (…,) of a code of `cells` cells, when each block lies where it and its neighbours agree
    best.
    """
    compared, agreeing = counts
    surface = _surface(counts)[0]
    best_row = (surface - _prices(surface.shape[-2], price)).argmax(-2)[..., None, :]
    valid_counts = np.take_along_axis(compared, best_row, -2).sum((-2, -1), np.float64)
    agreed = np.take_along_axis(agreeing, best_row, -2).sum((-2, -1), np.float64)
    middle = compared[..., compared.shape[-2] // 2, :].sum(-1, np.float64)
    return np.asarray(agreed / np.maximum(valid_counts, 1) * _overlap_factor(middle / cells))


def _surface(counts: Counts) -> tuple[Floats, Floats]:
    """Returns how far each block and its neighbours agree at each place, and how much each block could compare."""
    compared, agreeing = counts
    near = _neighbours()
    support = compared @ near
    ratio = (agreeing @ near) / np.maximum(support, support.max((-2, -1), keepdims=True) * np.float32(SUPPORT_MIN) + 1)
    return ratio, support[..., support.shape[-2] // 2, :]


def fitted(counts: Counts, reach: int, step_px: float) -> Bend:
    """Returns the quadratic through the places where the blocks agree best, weighted by how sure they are."""
    surface, support = _surface(counts)
    places = (surface - _prices(len(surface), PRICE * step_px**2)).argmax(0)
    weight = np.maximum(np.take_along_axis(surface, places[None], 0)[0], 0).astype(np.float64) * support
    if weight.sum() <= 0:
        return straight()
    weight /= weight.sum()
    count = 2 * reach + 1
    down, right = np.divmod(places, count)
    peaks = np.stack([right + _beside(surface, places, right, 1), down + _beside(surface, places, down, count)], axis=1)
    terms = _terms() * weight[:, None]
    stiff = STIFFNESS * np.eye(QUADRATIC)
    stiff[0, 0] = 0  # a common shift costs nothing
    off = (peaks - reach) * step_px
    return np.asarray(np.linalg.solve(terms.T @ _terms() + stiff, terms.T @ off), np.float64)


def _beside(surface: Floats, places: NDArray[np.intp], position: NDArray[np.intp], step: int) -> NDArray[np.float64]:
    """Returns how far beside the best place the peak is, by a parabola through its neighbours; 0 at the rim."""
    count = round(len(surface) ** 0.5)
    inside = (position > 0) & (position < count - 1)
    block = np.arange(len(places))
    before, best, after = (
        np.asarray(surface[np.where(inside, places + way, places), block], np.float64) for way in (-step, 0, step)
    )
    curve = before - 2 * best + after
    # The price may have put a place off the peak: then there is no top between its neighbours.
    peaked = inside & (curve < -CURVE_TINY)
    return np.where(peaked, np.clip((before - after) / (2 * np.where(peaked, curve, 1)), -0.5, 0.5), 0.0)


def _plain(counts: Counts) -> float:
    """Returns the agreement of the grid as it is."""
    compared, agreeing = (part[len(part) // 2].sum(dtype=np.float64) for part in counts)
    return float(agreeing / max(compared, 1.0) * _overlap_factor(compared / FINE_CELLS))


def _overlap_factor(overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.minimum(1.0, overlap / OVERLAP_FULL))


def _refined(pose: Pose, bend: Bend) -> Pose:
    """Returns the turn, scale and shift that come nearest to the bent grid."""
    middles = _middles()
    bent = middles + _terms() @ bend
    plain, moved = middles[:, 0] + 1j * middles[:, 1], bent[:, 0] + 1j * bent[:, 1]
    factor = complex(np.vdot(plain, moved)) / float(np.vdot(plain, plain).real)
    shift = (complex(moved.mean()) + complex(pose.dx, pose.dy)) / factor
    turn = pose.turn_deg + float(np.degrees(np.angle(factor)))
    return Pose(turn, pose.scale * abs(factor), shift.real, shift.imag)


@cache
def _corners(side: int, count: int) -> NDArray[np.intp]:
    """Returns where in a grid of half cells the windows begin, (count², 1)."""
    corners = np.arange(count)[:, None] * side + np.arange(count)[None, :]
    return np.asarray(corners.reshape(-1, 1), np.intp)


@cache
def _blocks() -> Floats:
    """Returns which block each cell lies in, (1024, 16)."""
    row, column = np.divmod(np.arange(FINE_CELLS), FINE_SIDE)
    return np.asarray(np.eye(ACROSS * ACROSS)[row // BLOCK_CELLS * ACROSS + column // BLOCK_CELLS], np.float32)


@cache
def _neighbours() -> Floats:
    """Returns the weights of the blocks in a block's evidence, (16, 16): its own and half of those around it."""
    row, column = np.divmod(np.arange(ACROSS * ACROSS), ACROSS)
    distance = np.maximum(abs(row[:, None] - row[None]), abs(column[:, None] - column[None]))
    return np.asarray(np.where(distance == 0, 1, np.where(distance == 1, NEIGHBOUR_WEIGHT, 0)), np.float32)


@lru_cache(maxsize=8)
def _prices(places: int, price: float) -> Floats:
    """Returns the price of each place beside the middle, (places, 1)."""
    count = round(places**0.5)
    off = np.arange(count) - count // 2
    return np.asarray(price * (off[:, None] ** 2 + off[None, :] ** 2), np.float32).reshape(-1, 1)


@cache
def _middles() -> NDArray[np.float64]:
    """Returns the blocks' middles, (16, 2), in px from the region's."""
    along = (np.arange(ACROSS) * BLOCK_CELLS + (BLOCK_CELLS - FINE_SIDE) / 2) * FINE_STEP
    return np.array([(x, y) for y in along for x in along])


@cache
def _terms() -> NDArray[np.float64]:
    return quadratic(_middles()[:, 0], _middles()[:, 1])
