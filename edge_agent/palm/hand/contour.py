"""A hand's outline, and the gaps between its fingers that the outline shows."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.segment import Mask

Floats = NDArray[np.float64]

GAPS_MAX = 14
_DEPTH_MIN = 0.22


@dataclass(frozen=True, slots=True)
class Gap:
    """Ground between two fingers, or a candidate for it: where it ends at the palm and where it leads to."""

    point: Floats = field(repr=False)
    direction: Floats = field(repr=False)
    depth: float
    # Fingers pressed together: the gap is a dark line or a sliver of ground; `depth` says how clear, 0 to 1.
    closed: bool = False
    # The middle of a flat bottom between two corners: a wide web, or a peg.
    flat: bool = False


def outline(mask: Mask, radius: float) -> Floats:
    """Return the outline as points one pixel apart, clockwise on the screen, smoothed below finger scale."""
    padded = cv2.copyMakeBorder(mask, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    contours, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(contours, key=cv2.contourArea)[:, 0, :].astype(np.float64) - 2
    x, y = points[:, 0], points[:, 1]
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        points = points[::-1]
    return _respaced(_smoothed(points, max(1.0, 0.025 * radius)))


def concavity(points: Floats, reach: int) -> Floats:
    """Return each point's depth under the chord of its two neighbours `reach` away, in units of the reach."""
    before, after = np.roll(points, reach, axis=0), np.roll(points, -reach, axis=0)
    chord = after - before
    length = np.hypot(chord[:, 0], chord[:, 1]) + 1e-9
    offset = points - before
    return np.asarray((chord[:, 0] * offset[:, 1] - chord[:, 1] * offset[:, 0]) / length / reach, np.float64)


def open_gaps(points: Floats, radius: float) -> list[Gap]:
    """Return the outline's deep bays; a flat-bottomed one also as the middle between its corners."""
    gaps = _bays(points, radius)
    return gaps + _flat_bottoms(gaps, radius)


def _bays(points: Floats, radius: float) -> list[Gap]:
    count = len(points)
    if count < 16:
        return []
    depths = np.max([concavity(points, max(2, int(r * radius))) for r in (0.3, 0.55)], axis=0)
    window = max(2, int(0.15 * radius))
    wrapped = np.concatenate([depths[-window:], depths, depths[:window]]).astype(np.float32).reshape(-1, 1)
    highest = cv2.dilate(wrapped, np.ones((2 * window + 1, 1)))[window:-window, 0]
    peaks = np.flatnonzero((depths >= highest - 1e-6) & (depths > _DEPTH_MIN))
    peaks = np.sort(peaks[np.argsort(-depths[peaks])][:GAPS_MAX])
    half = max(2, int(0.4 * radius))
    gaps = []
    for peak in peaks:
        towards = 0.5 * (points[(peak + half) % count] + points[peak - half]) - points[peak]
        gaps.append(Gap(points[peak], towards / (np.hypot(*towards) + 1e-9), float(depths[peak])))
    return gaps


def _flat_bottoms(gaps: list[Gap], radius: float) -> list[Gap]:
    flats = []
    for first, one in enumerate(gaps):
        for other in gaps[first + 1 :]:
            across = other.point - one.point
            width = float(np.hypot(*across))
            towards = one.direction + other.direction
            length = float(np.hypot(*towards))
            if not 0.15 * radius < width < 0.95 * radius or length < 0.8:
                continue
            across, towards = across / width, towards / length
            faces = one.direction @ across > 0.15 and other.direction @ across < -0.15
            if faces and abs(towards @ across) < 0.4:
                depth = 0.8 * min(one.depth, other.depth)
                flats.append(Gap(0.5 * (one.point + other.point), towards, depth, flat=True))
    return flats


def _smoothed(points: Floats, sigma: float) -> Floats:
    half = min(int(3 * sigma) + 1, len(points))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    wrapped = np.concatenate([points[-half:], points, points[:half]])
    return np.stack([np.convolve(wrapped[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)


def _respaced(points: Floats) -> Floats:
    steps = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(1, int(along[-1]))
    at = np.arange(count) * along[-1] / count
    closed = np.vstack([points, points[:1]])
    return np.stack([np.interp(at, along, closed[:, axis]) for axis in (0, 1)], axis=1)
