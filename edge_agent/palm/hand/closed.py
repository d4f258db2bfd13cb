"""Gaps between fingers that touch: a dark line, or a sliver of ground, instead of a bay in the outline.

Such a gap is straight and long, has a finger on both sides, and ends at the palm. It is looked for everywhere and in
every direction: a gap's end is where much evidence lies on the way to the fingertips, little behind, and hand to both
sides. Creases of the palm are shorter, fainter or go on. The same evidence says later whether three gaps leave any line
between fingers unexplained.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.arrays import GREY_AXES, HALF_GREY, TINY_LEVEL, TINY_SHARE, WHITE, Floats, Mask, Pixels
from edge_agent.palm.hand.contour import FingerGap
from edge_agent.palm.hand.proportions import (
    BEHIND_WEIGHT,
    DARKNESS_BLUR,
    DARKNESS_GAIN,
    DARKNESS_OFFSET,
    DIRECTIONS,
    ENDS_ALIKE_MIN,
    ENDS_MAX,
    ENDS_NEAR_MAX,
    ENDS_SIDE,
    FAN_DEG,
    FAN_REACH,
    FAN_SHARE_MIN,
    FLANK_HEIGHTS,
    FLANK_LEVEL_MIN,
    FLANK_REACHES,
    FLANK_SIDE,
    GROUND_BLUR,
    LINE_THICKNESS,
    MAP_RADIUS,
    RIM_SIDE,
    STRENGTH_MIN,
    STRETCH_BEHIND,
    STRETCH_HALF,
    STRETCH_HEIGHTS,
    STRETCH_LEVEL_MIN,
    STRETCH_SHARES,
    SURE_LEVEL,
    WIDE_GROUND,
    WIDE_GROUND_PAD,
)
from edge_agent.palm.hand.segment import Silhouette

_SOBEL_SIDE: Final = 3  # px; OpenCV's smallest kernel for second derivatives
_SOBEL_GAIN: Final = 4  # what that kernel multiplies a curvature by
_LOGARITHM: Final = np.log(np.arange(WHITE + 1, dtype=np.float32) + DARKNESS_OFFSET)


@dataclass(frozen=True, slots=True)
class GapEvidence:
    """How much each place looks like the gap between two fingers, on a map of its own: 0 no, `SURE_LEVEL` surely."""

    lines: Pixels = field(repr=False)  # (directions, height, width): stretches of dark line or of a sliver of ground
    gaps: Pixels = field(repr=False)  # the same with all the ground
    around: Pixels = field(repr=False)  # the most of `lines` in three neighbouring directions
    hand: Pixels = field(repr=False)  # (height, width): 255 where the silhouette is hand
    scale: float  # map = silhouette * scale

    def read_levels(self, levels: Pixels, points: Floats, directions: Floats) -> Floats:
        """Returns the level, 0 to 1, (...,) of lines that lead along unit vectors at points (..., 2) of the crop."""
        height, width = levels.shape[1:]
        x = np.clip(np.rint((points[..., 0] + 0.5) * self.scale - 0.5).astype(np.intp), 0, width - 1)
        y = np.clip(np.rint((points[..., 1] + 0.5) * self.scale - 0.5).astype(np.intp), 0, height - 1)
        turns = np.arctan2(directions[..., 0], -directions[..., 1]) * (DIRECTIONS / np.pi)
        return np.asarray(levels[np.rint(turns).astype(np.intp) % DIRECTIONS, y, x] / SURE_LEVEL, np.float64)


def gather_evidence(silhouette: Silhouette) -> GapEvidence:
    """Returns the map of what looks like gaps on a silhouette."""
    scale = MAP_RADIUS / silhouette.radius
    height, width = silhouette.mask.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # Green shows the shadow between fingers best.
    grey = silhouette.image[..., 1] if silhouette.image.ndim > GREY_AXES else silhouette.image
    mask = np.asarray(cv2.resize(silhouette.mask * WHITE, size, interpolation=interpolation), np.uint8)
    hand = (mask > HALF_GREY).astype(np.uint8)
    solid = (cv2.resize(silhouette.solid * WHITE, size, interpolation=interpolation) > HALF_GREY).astype(np.uint8)
    wide = _find_wide_ground(hand)
    dark = _measure_darkness(np.asarray(cv2.resize(grey, size, interpolation=interpolation), np.uint8), hand)
    lines = np.clip(dark * DARKNESS_GAIN, 0, SURE_LEVEL).astype(np.uint8)
    sliver = (hand == 0) & (wide == 0)
    # A hand darkens towards its rim against open ground: no line.
    rim = cv2.dilate(wide, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (RIM_SIDE, RIM_SIDE))) > 0
    lines[rim & ~sliver] = 0
    lines[sliver] = SURE_LEVEL
    gaps = lines.copy()
    gaps[wide > 0] = SURE_LEVEL
    stretches = _average_stretches(lines)
    around = np.maximum(stretches, np.maximum(np.roll(stretches, 1, axis=0), np.roll(stretches, -1, axis=0)))
    return GapEvidence(stretches, _average_stretches(gaps), around, solid * np.uint8(WHITE), scale)


def find_closed_gaps(evidence: GapEvidence) -> list[FingerGap]:
    """Returns the ends of what looks like gaps, the clearest first."""
    side = round(FLANK_SIDE * MAP_RADIUS)
    solid = np.asarray(cv2.blur(evidence.hand, (side, side), borderType=cv2.BORDER_REPLICATE), np.uint8)
    places, directions, strengths = [], [], []
    for turn in range(DIRECTIONS):
        angle = np.pi * turn / DIRECTIONS
        direction = np.array([np.sin(angle), -np.cos(angle)])
        across = np.array([-direction[1], direction[0]])
        line, level = evidence.lines[turn] // STRETCH_SHARES, evidence.gaps[turn] // STRETCH_SHARES
        flanks = [
            np.maximum(*(_shift_map(solid, side * reach * across) for reach in FLANK_REACHES)) for side in (1, -1)
        ]
        flanked = np.minimum(*flanks)
        for up in (direction, -direction):
            score = _score_ends(line, level, flanked, up)
            highest = cv2.dilate(score, np.ones((ENDS_SIDE, ENDS_SIDE), np.uint8))
            y, x = np.nonzero((score == highest) & (score > STRENGTH_MIN * SURE_LEVEL))
            places.append(np.stack([x, y], axis=1).astype(np.float64))
            directions.append(np.tile(up, (len(x), 1)))
            strengths.append(score[y, x] / SURE_LEVEL)
    return _choose_clearest(np.concatenate(places), np.concatenate(directions), np.concatenate(strengths), evidence)


def _score_ends(line: Pixels, level: Pixels, flanked: Pixels, up: Floats) -> Pixels:
    """Returns how much each place of the map is the end of a gap that leads `up`, 0 to `SURE_LEVEL`.

    `line` and `level` hold a third of what the map shows that way, without and with the open ground.
    """
    # At its end the gap is narrow; wider ones the outline shows.
    near, middle, far = (
        _shift_map(levels, height * up) for levels, height in zip((line, level, level), STRETCH_HEIGHTS, strict=True)
    )
    behind = cv2.convertScaleAbs(_shift_map(level, -STRETCH_BEHIND * up), alpha=BEHIND_WEIGHT)
    score = np.asarray(cv2.subtract(near + middle + far, behind), np.uint8)
    # A ring may hide one of three stretches, not the first.
    score[np.minimum(near, np.maximum(middle, far)) <= STRETCH_LEVEL_MIN] = 0
    score[np.minimum(*(_shift_map(flanked, height * up) for height in FLANK_HEIGHTS)) <= FLANK_LEVEL_MIN] = 0
    return score


def _choose_clearest(places: Floats, directions: Floats, strengths: Floats, evidence: GapEvidence) -> list[FingerGap]:
    """Returns one gap for each group of ends that lie together and point alike, the clearest first."""
    waiting = np.argsort(-strengths, kind="stable")
    chosen: list[int] = []
    while len(waiting) and len(chosen) < ENDS_MAX:
        best = waiting[0]
        chosen.append(int(best))
        near = np.hypot(*(places[waiting] - places[best]).T) < ENDS_NEAR_MAX * MAP_RADIUS
        waiting = waiting[~(near & (directions[waiting] @ directions[best] > ENDS_ALIKE_MIN))]
    straight = _straighten(evidence.gaps.max(axis=0), places[chosen], directions[chosen])
    points = (places[chosen] + 0.5) / evidence.scale - 0.5
    return [
        FingerGap(point, direction, float(strength), closed=True)
        for point, direction, strength in zip(points, straight, strengths[chosen], strict=True)
    ]


def _straighten(gaps: Pixels, places: Floats, directions: Floats) -> Floats:
    """Returns the directions (n, 2) between the twelve in which the gaps' lines lie best."""
    angles = np.deg2rad(FAN_DEG.places())[:, None]
    across = np.stack([-directions[:, 1], directions[:, 0]], axis=1)
    fan = np.cos(angles) * directions[:, None, :] + np.sin(angles) * across[:, None, :]
    reach = (FAN_REACH.places() * MAP_RADIUS)[:, None]
    points = places[:, None, None, :] + reach * fan[:, :, None, :]
    height, width = gaps.shape
    x = np.clip(np.rint(points[..., 0]).astype(np.intp), 0, width - 1)
    y = np.clip(np.rint(points[..., 1]).astype(np.intp), 0, height - 1)
    weight = gaps[y, x].mean(axis=2)
    # A fan that sees nothing keeps its middle direction.
    weight = np.maximum(0, weight - FAN_SHARE_MIN * weight.max(axis=1, keepdims=True)) + TINY_LEVEL
    mean = np.einsum("nk,nkd->nd", weight, fan)
    return np.asarray(mean / np.hypot(mean[:, 0], mean[:, 1])[:, None], np.float64)


def _shift_map(level: Pixels, offset: Floats) -> Pixels:
    """Returns what lies an offset (R) away from each pixel; the nearest pixel of the map where that is outside."""
    height, width = level.shape
    dx = max(1 - width, min(width - 1, round(float(offset[0]) * MAP_RADIUS)))
    dy = max(1 - height, min(height - 1, round(float(offset[1]) * MAP_RADIUS)))
    part = level[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
    sides = max(0, -dy), max(0, dy), max(0, -dx), max(0, dx)
    return np.asarray(cv2.copyMakeBorder(part, *sides, cv2.BORDER_REPLICATE), np.uint8)


def _average_stretches(level: Pixels) -> Pixels:
    """Returns the mean level of a short stretch through each pixel, (directions, height, width)."""
    thick = cv2.dilate(level, np.ones((LINE_THICKNESS, LINE_THICKNESS), np.uint8))
    return np.stack([cv2.filter2D(thick, -1, kernel, borderType=cv2.BORDER_REPLICATE) for kernel in _stretch_kernels()])


@cache
def _stretch_kernels() -> tuple[NDArray[np.float32], ...]:
    """Returns a line through the middle of a square for each direction, its sum one."""
    half = round(STRETCH_HALF * MAP_RADIUS)
    kernels = []
    for turn in range(DIRECTIONS):
        angle = np.pi * turn / DIRECTIONS
        x, y = half * np.sin(angle), -half * np.cos(angle)
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.uint8)
        cv2.line(kernel, (round(half - x), round(half - y)), (round(half + x), round(half + y)), 1)
        kernels.append((kernel / kernel.sum()).astype(np.float32))
    return tuple(kernels)


def _measure_darkness(grey: Pixels, hand: Mask) -> NDArray[np.float32]:
    """Returns the larger curvature of the log picture: positive on dark ridges, the same in any light."""
    log = _LOGARITHM[grey]
    weight = hand.astype(np.float32)
    blur = GROUND_BLUR * MAP_RADIUS
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), blur), TINY_SHARE)
    nearby = cv2.GaussianBlur(log * weight, (0, 0), blur) / share
    sigma = DARKNESS_BLUR * MAP_RADIUS
    smooth = cv2.GaussianBlur(np.where(hand > 0, log, nearby), (0, 0), sigma)
    xx, yy, xy = (
        cv2.Sobel(smooth, cv2.CV_32F, dx, dy, ksize=_SOBEL_SIDE) / _SOBEL_GAIN for dx, dy in ((2, 0), (0, 2), (1, 1))
    )
    curvature = (xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.asarray(curvature * sigma * sigma, np.float32)


def _find_wide_ground(hand: Mask) -> Mask:
    """Returns the ground that a disk of a tenth of the radius fits into: an opening, by two distance maps."""
    disk, pad = WIDE_GROUND * MAP_RADIUS, int(WIDE_GROUND_PAD * MAP_RADIUS) + 1
    ground = cv2.copyMakeBorder(1 - hand, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    core = cv2.distanceTransform(ground, cv2.DIST_L2, cv2.DIST_MASK_5) > disk
    opened = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) <= disk
    return opened[pad:-pad, pad:-pad].astype(np.uint8)
