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

from edge_agent.palm.contour import Floats, Gap
from edge_agent.palm.segment import Mask, Silhouette

# The map's scale: pixels to half a palm's width. At it the darkest line of a gap is about four pixels wide.
_RADIUS = 36.0
_SURE = 240  # level of the map that means a gap for sure
_LEVEL_OF_DARKNESS = 4000.0  # levels for a curvature of one
_DIRECTIONS = 12  # in half a turn
_STRENGTH_MIN = 0.55
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
    solid = np.asarray(cv2.blur(evidence.hand, (_px(0.3), _px(0.3)), borderType=cv2.BORDER_REPLICATE), np.uint8)
    found = []
    for turn in range(_DIRECTIONS):
        angle = np.pi * turn / _DIRECTIONS
        way = np.array([np.sin(angle), -np.cos(angle)])
        across = np.array([-way[1], way[0]])
        level = evidence.gaps[turn]
        right, left = (np.maximum(*(_moved(solid, s * r * across) for r in (0.22, 0.45))) for s in (1, -1))
        flanked = np.minimum(left, right)
        for up in (way, -way):
            # At its end the gap is narrow; wider ones the outline shows.
            above = [_moved(evidence.lines[turn], 0.15 * up), _moved(level, 0.42 * up), _moved(level, 0.69 * up)]
            # A ring may hide one of three stretches, not the first.
            much = above[0] // 3 + above[1] // 3 + above[2] // 3
            score = cv2.subtract(much, cv2.convertScaleAbs(_moved(level, -0.28 * up), alpha=0.6))
            usable = (np.minimum(_moved(flanked, 0.15 * up), _moved(flanked, 0.5 * up)) > 180) & (
                np.minimum(above[0], np.maximum(above[1], above[2])) > 120
            )
            score = np.where(usable, score, 0).astype(np.uint8)
            highest = cv2.dilate(score, np.ones((5, 5), np.uint8))
            y, x = np.nonzero((score == highest) & (score > _STRENGTH_MIN * _SURE))
            found += [(float(score[b, a]) / _SURE, np.array([a, b], np.float64), up) for a, b in zip(x, y, strict=True)]
    return _clearest(found, evidence.gaps.max(axis=0), evidence.scale)


def _px(radii: float) -> int:
    return round(radii * _RADIUS)


def _moved(level: NDArray[np.uint8], by: Floats) -> NDArray[np.uint8]:
    """Return what lies this far (radii) away from each pixel; the nearest pixel where that is outside."""
    height, width = level.shape
    dx = max(1 - width, min(width - 1, round(float(by[0]) * _RADIUS)))
    dy = max(1 - height, min(height - 1, round(float(by[1]) * _RADIUS)))
    part = level[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
    sides = max(0, -dy), max(0, dy), max(0, -dx), max(0, dx)
    return np.asarray(cv2.copyMakeBorder(part, *sides, cv2.BORDER_REPLICATE), np.uint8)


def _clearest(found: list[tuple[float, Floats, Floats]], gaps: NDArray[np.uint8], scale: float) -> list[Gap]:
    kept: list[tuple[float, Floats, Floats]] = []
    for strength, place, up in sorted(found, key=lambda f: -f[0]):
        near = (np.hypot(*(place - p)) < 0.18 * _RADIUS and up @ u > 0.7 for _, p, u in kept)
        if not any(near):
            kept.append((strength, place, up))
        if len(kept) == _ENDS_MAX:
            break
    return [Gap((p + 0.5) / scale - 0.5, _straightened(gaps, p, u), s, closed=True) for s, p, u in kept]


def _straightened(gaps: NDArray[np.uint8], place: Floats, up: Floats) -> Floats:
    """Return the direction between the twelve in which the gap's line lies best."""
    angles = np.deg2rad(np.arange(-16, 17, 4))
    across = np.array([-up[1], up[0]])
    ways = np.cos(angles)[:, None] * up + np.sin(angles)[:, None] * across
    points = place + (np.linspace(0.3, 0.9, 10) * _RADIUS)[:, None] * ways[:, None]
    height, width = gaps.shape
    x = np.clip(np.rint(points[..., 0]).astype(np.intp), 0, width - 1)
    y = np.clip(np.rint(points[..., 1]).astype(np.intp), 0, height - 1)
    weight = gaps[y, x].mean(axis=1)
    weight = np.maximum(0, weight - 0.8 * weight.max()) + 1e-6
    way = weight @ ways
    return np.asarray(way / np.hypot(*way), np.float64)
