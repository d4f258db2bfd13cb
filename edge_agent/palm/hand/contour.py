"""A hand's outline, and the gaps between its fingers that the outline shows."""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from edge_agent.palm.hand.arrays import TINY_LENGTH, TINY_LEVEL, Floats, Mask
from edge_agent.palm.hand.proportions import (
    BAY_DEPTH_MIN,
    BAY_MOUTH,
    BAY_REACHES,
    BAY_SPACING,
    BAYS_MAX,
    OUTLINE_BLUR,
    OUTLINE_BLUR_MIN,
    OUTLINE_POINTS_MIN,
    WEB_DEPTH_SHARE,
    WEB_FACING_MIN,
    WEB_PARALLEL_MIN,
    WEB_SLANT_MAX,
    WEB_WIDTH,
)

_PAD: Final = 2  # px around a mask, so that a hand at the picture's edge has a closed outline
_SIGMAS: Final = 3  # a bell curve is cut off there


@dataclass(frozen=True, slots=True)
class FingerGap:
    """Ground between two fingers, or a candidate for it: where it ends at the palm and where it leads to."""

    point: Floats = field(repr=False)  # (2,), px of the crop
    direction: Floats = field(repr=False)  # (2,), unit vector away from the palm
    depth: float  # of a bay, in its reach; of a closed gap how clear it is, 0 to 1
    closed: bool = False  # fingers are pressed together: the gap is a dark line or a sliver of ground
    flat: bool = False  # the middle of a flat bottom between two corners: a wide web, or a peg


def trace_outline(mask: Mask, radius: float) -> Floats:
    """Returns the outline's points (n, 2), one px apart, clockwise on the screen, smoothed below finger scale.

    `radius` is the silhouette's R in px.
    """
    padded = cv2.copyMakeBorder(mask, _PAD, _PAD, _PAD, _PAD, cv2.BORDER_CONSTANT, value=0)
    contours, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(contours, key=cv2.contourArea)[:, 0, :].astype(np.float64) - _PAD
    x, y = points[:, 0], points[:, 1]
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        points = points[::-1]
    return _respace(_smooth(points, max(OUTLINE_BLUR_MIN, OUTLINE_BLUR * radius)))


def find_open_gaps(points: Floats, radius: float) -> list[FingerGap]:
    """Returns the outline's deep bays; a flat-bottomed one also as the middle between its corners."""
    gaps = _find_bays(points, radius)
    return gaps + find_flat_bottoms(gaps, radius)


def measure_concavity(points: Floats, reach: int) -> Floats:
    """Returns each point's depth (n,) under the chord of its two neighbours `reach` px away, in units of the reach."""
    before, after = np.roll(points, reach, axis=0), np.roll(points, -reach, axis=0)
    chord = after - before
    length = np.hypot(chord[:, 0], chord[:, 1]) + TINY_LENGTH
    offset = points - before
    return np.asarray((chord[:, 0] * offset[:, 1] - chord[:, 1] * offset[:, 0]) / length / reach, np.float64)


def _find_bays(points: Floats, radius: float) -> list[FingerGap]:
    """Returns the deepest points of the outline, in its order, each with the direction in which its bay opens."""
    count = len(points)
    if count < OUTLINE_POINTS_MIN:
        return []
    depths = np.stack([measure_concavity(points, max(2, int(reach * radius))) for reach in BAY_REACHES]).max(axis=0)
    window = max(2, int(BAY_SPACING * radius))
    wrapped = np.concatenate([depths[-window:], depths, depths[:window]]).astype(np.float32).reshape(-1, 1)
    highest = cv2.dilate(wrapped, np.ones((2 * window + 1, 1)))[window:-window, 0]
    peaks = np.flatnonzero((depths >= highest - TINY_LEVEL) & (depths > BAY_DEPTH_MIN))
    peaks = np.sort(peaks[np.argsort(-depths[peaks])][:BAYS_MAX])
    half = max(2, int(BAY_MOUTH * radius))
    gaps = []
    for peak in peaks:
        towards = 0.5 * (points[(peak + half) % count] + points[peak - half]) - points[peak]
        gaps.append(FingerGap(points[peak], towards / (np.hypot(*towards) + TINY_LENGTH), float(depths[peak])))
    return gaps


def find_flat_bottoms(gaps: list[FingerGap], radius: float) -> list[FingerGap]:
    """Returns a gap in the middle of every two bays that are the corners of one flat bottom."""
    flats = []
    for number, corner in enumerate(gaps):
        for far_corner in gaps[number + 1 :]:
            across = far_corner.point - corner.point
            width = float(np.hypot(*across))
            towards = corner.direction + far_corner.direction
            length = float(np.hypot(*towards))
            if not WEB_WIDTH.low * radius < width < WEB_WIDTH.high * radius or length < WEB_PARALLEL_MIN:
                continue
            across, towards = across / width, towards / length
            faces = min(corner.direction @ across, -(far_corner.direction @ across)) > WEB_FACING_MIN
            if faces and abs(towards @ across) < WEB_SLANT_MAX:
                depth = WEB_DEPTH_SHARE * min(corner.depth, far_corner.depth)
                flats.append(FingerGap(0.5 * (corner.point + far_corner.point), towards, depth, flat=True))
    return flats


def _smooth(points: Floats, sigma: float) -> Floats:
    """Returns the closed line's points (n, 2), averaged along it by a bell curve of `sigma` points."""
    half = min(int(_SIGMAS * sigma) + 1, len(points))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    wrapped = np.concatenate([points[-half:], points, points[:half]])
    return np.stack([np.convolve(wrapped[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)


def _respace(points: Floats) -> Floats:
    """Returns the closed line (n, 2) by points that are one px apart along it."""
    steps = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(1, int(along[-1]))
    places = np.arange(count) * along[-1] / count
    closed = np.vstack([points, points[:1]])
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)
