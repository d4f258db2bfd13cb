"""Gaps between fingers that touch: a dark line, or a sliver of ground, instead of a bay in the outline.

Such a gap is straight and long, has finger on both sides, and ends at the palm. It is looked for everywhere and in
every direction: a gap's end is where much evidence lies ahead, little behind, and hand to the left and the right.
Creases of the palm are shorter, fainter or go on. The same evidence says later whether three gaps leave any line
between fingers unexplained.
"""

from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.contour import Floats, Gap
from edge_agent.palm.hand.segment import Mask, Silhouette

# The map's scale: pixels to half a palm's width. At it the darkest line of a gap is about four pixels wide.
_RADIUS = 36.0
_SURE = 240  # level of the map that means a gap for sure
_LEVEL_OF_DARKNESS = 4000.0  # levels for a curvature of one
_DIRECTIONS = 12  # in half a turn
_STRENGTH_MIN = 0.55
_STRETCH_MIN = _SURE // 6  # of a third of the level
_FLANK_MIN = 180  # of 255, hand
_ENDS_MAX = 32


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much each place looks like the gap between two fingers, on a map of its own scale: 0 no, `_SURE` surely."""

    # A stretch of dark line or of a sliver of ground, by the line's direction: (directions, height, width).
    lines: NDArray[np.uint8] = field(repr=False)
    # The same with all the ground.
    gaps: NDArray[np.uint8] = field(repr=False)
    # `lines` of three neighbouring directions: whether there is any, more or less that way.
    about: NDArray[np.uint8] = field(repr=False)
    hand: NDArray[np.uint8] = field(repr=False)
    # map = silhouette * scale
    scale: float

    def along(self, levels: NDArray[np.uint8], points: Floats, ways: Floats) -> Floats:
        """Return the level, 0 to 1, at points in the silhouette's pixels, of lines that lead a way (unit vectors)."""
        height, width = levels.shape[1:]
        x = np.clip(np.rint((points[..., 0] + 0.5) * self.scale - 0.5).astype(np.intp), 0, width - 1)
        y = np.clip(np.rint((points[..., 1] + 0.5) * self.scale - 0.5).astype(np.intp), 0, height - 1)
        turn = np.rint(np.arctan2(ways[..., 0], -ways[..., 1]) * (_DIRECTIONS / np.pi)).astype(np.intp) % _DIRECTIONS
        return np.asarray(levels[turn, y, x] / _SURE, np.float64)


def evidence_of(silhouette: Silhouette) -> Evidence:
    scale = _RADIUS / silhouette.radius
    height, width = silhouette.mask.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # Green shows the shadow between fingers best.
    grey = silhouette.image[..., 1] if silhouette.image.ndim == 3 else silhouette.image
    mask = np.asarray(cv2.resize(silhouette.mask * 255, size, interpolation=way), np.uint8)
    hand = (mask > 127).astype(np.uint8)
    solid = (cv2.resize(silhouette.solid * 255, size, interpolation=way) > 127).astype(np.uint8)
    wide = _wide_ground(hand)
    dark = _darkness(np.asarray(cv2.resize(grey, size, interpolation=way), np.uint8), hand)
    lines = np.clip(dark * _LEVEL_OF_DARKNESS, 0, _SURE).astype(np.uint8)
    sliver = (hand == 0) & (wide == 0)
    # A hand darkens towards its rim against open ground: no line.
    rim = cv2.dilate(wide, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))) > 0
    lines[rim & ~sliver] = 0
    lines[sliver] = _SURE
    gaps = lines.copy()
    gaps[wide > 0] = _SURE
    stretches = _stretches(lines)
    about = np.maximum(stretches, np.maximum(np.roll(stretches, 1, axis=0), np.roll(stretches, -1, axis=0)))
    return Evidence(stretches, _stretches(gaps), about, solid * np.uint8(255), scale)


def _stretches(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    thick = cv2.dilate(level, np.ones((3, 3), np.uint8))
    return np.stack([cv2.filter2D(thick, -1, k, borderType=cv2.BORDER_REPLICATE) for k in _kernels()])


@cache
def _kernels() -> tuple[NDArray[np.float32], ...]:
    half = round(0.15 * _RADIUS)
    kernels = []
    for turn in range(_DIRECTIONS):
        angle = np.pi * turn / _DIRECTIONS
        x, y = half * np.sin(angle), -half * np.cos(angle)
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.uint8)
        cv2.line(kernel, (round(half - x), round(half - y)), (round(half + x), round(half + y)), 1)
        kernels.append((kernel / kernel.sum()).astype(np.float32))
    return tuple(kernels)


def _darkness(grey: NDArray[np.uint8], hand: Mask) -> NDArray[np.float32]:
    """Return the larger curvature of the log picture: positive on dark ridges, the same in any light."""
    log = _LOGARITHM[grey]
    weight = hand.astype(np.float32)
    blur = 0.12 * _RADIUS
    nearby = cv2.GaussianBlur(log * weight, (0, 0), blur) / np.maximum(cv2.GaussianBlur(weight, (0, 0), blur), 1e-3)
    sigma = 0.03 * _RADIUS
    smooth = cv2.GaussianBlur(np.where(hand > 0, log, nearby), (0, 0), sigma)
    xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, dx, dy, ksize=3) / 4 for dx, dy in ((2, 0), (0, 2), (1, 1)))
    curvature = (xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.asarray(curvature * sigma * sigma, np.float32)


_LOGARITHM = np.log(np.arange(256, dtype=np.float32) + 8)


def _wide_ground(hand: Mask) -> Mask:
    """Return the ground that a disk of a tenth of the radius fits into: an opening, by two distance maps."""
    disk, pad = 0.1 * _RADIUS, int(0.3 * _RADIUS) + 1
    ground = cv2.copyMakeBorder(1 - hand, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    core = cv2.distanceTransform(ground, cv2.DIST_L2, 5) > disk
    opened = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5) <= disk
    return opened[pad:-pad, pad:-pad].astype(np.uint8)


def closed_gaps(evidence: Evidence) -> list[Gap]:
    """Return the ends of what looks like gaps, the clearest first."""
    side = round(0.3 * _RADIUS)
    solid = np.asarray(cv2.blur(evidence.hand, (side, side), borderType=cv2.BORDER_REPLICATE), np.uint8)
    places, ways, strengths = [], [], []
    for turn in range(_DIRECTIONS):
        angle = np.pi * turn / _DIRECTIONS
        way = np.array([np.sin(angle), -np.cos(angle)])
        across = np.array([-way[1], way[0]])
        narrow, level = evidence.lines[turn] // 3, evidence.gaps[turn] // 3
        right, left = (np.maximum(*(_moved(solid, s * r * across) for r in (0.22, 0.45))) for s in (1, -1))
        flanked = np.minimum(left, right)
        for up in (way, -way):
            # At its end the gap is narrow; wider ones the outline shows.
            above = [_moved(narrow, 0.15 * up), _moved(level, 0.42 * up), _moved(level, 0.69 * up)]
            score = cv2.subtract(
                above[0] + above[1] + above[2], cv2.convertScaleAbs(_moved(level, -0.28 * up), alpha=1.8)
            )
            # A ring may hide one of three stretches, not the first.
            score[np.minimum(above[0], np.maximum(above[1], above[2])) <= _STRETCH_MIN] = 0
            score[np.minimum(_moved(flanked, 0.15 * up), _moved(flanked, 0.5 * up)) <= _FLANK_MIN] = 0
            highest = cv2.dilate(score, np.ones((5, 5), np.uint8))
            y, x = np.nonzero((score == highest) & (score > _STRENGTH_MIN * _SURE))
            places.append(np.stack([x, y], axis=1).astype(np.float64))
            ways.append(np.tile(up, (len(x), 1)))
            strengths.append(score[y, x] / _SURE)
    return _clearest(np.concatenate(places), np.concatenate(ways), np.concatenate(strengths), evidence)


def _moved(level: NDArray[np.uint8], by: Floats) -> NDArray[np.uint8]:
    """Return what lies this far (radii) away from each pixel; the nearest pixel where that is outside."""
    height, width = level.shape
    dx = max(1 - width, min(width - 1, round(float(by[0]) * _RADIUS)))
    dy = max(1 - height, min(height - 1, round(float(by[1]) * _RADIUS)))
    part = level[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
    sides = max(0, -dy), max(0, dy), max(0, -dx), max(0, dx)
    return np.asarray(cv2.copyMakeBorder(part, *sides, cv2.BORDER_REPLICATE), np.uint8)


def _clearest(places: Floats, ways: Floats, strengths: Floats, evidence: Evidence) -> list[Gap]:
    left = np.argsort(-strengths, kind="stable")
    kept: list[int] = []
    while len(left) and len(kept) < _ENDS_MAX:
        best = left[0]
        kept.append(int(best))
        near = np.hypot(*(places[left] - places[best]).T) < 0.18 * _RADIUS
        left = left[~(near & (ways[left] @ ways[best] > 0.7))]
    gaps = evidence.gaps.max(axis=0)
    straight = _straightened(gaps, places[kept], ways[kept])
    points = (places[kept] + 0.5) / evidence.scale - 0.5
    return [Gap(p, w, float(s), closed=True) for p, w, s in zip(points, straight, strengths[kept], strict=True)]


def _straightened(gaps: NDArray[np.uint8], places: Floats, ways: Floats) -> Floats:
    """Return the directions between the twelve in which the gaps' lines lie best, (n, 2)."""
    angles = np.deg2rad(np.arange(-16, 17, 4))[:, None]
    across = np.stack([-ways[:, 1], ways[:, 0]], axis=1)
    fan = np.cos(angles) * ways[:, None, :] + np.sin(angles) * across[:, None, :]
    reach = (np.linspace(0.3, 0.9, 10) * _RADIUS)[:, None]
    points = places[:, None, None, :] + reach * fan[:, :, None, :]
    height, width = gaps.shape
    x = np.clip(np.rint(points[..., 0]).astype(np.intp), 0, width - 1)
    y = np.clip(np.rint(points[..., 1]).astype(np.intp), 0, height - 1)
    weight = gaps[y, x].mean(axis=2)
    weight = np.maximum(0, weight - 0.8 * weight.max(axis=1, keepdims=True)) + 1e-6
    way = np.einsum("nk,nkd->nd", weight, fan)
    return np.asarray(way / np.hypot(way[:, 0], way[:, 1])[:, None], np.float64)
