"""Gaps between fingers that touch: a dark line, or a sliver of ground, instead of a bay in the outline.

Such a line begins in the notch between two fingertips and is straight until it reaches the palm, where it
fades or turns into a crease. It is followed from the notch inwards, step by step, over an evidence map that
is high on dark ridges and on slivers. Lines that palms have of their own are fainter and begin elsewhere.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.contour import Floats, Gap, notches
from edge_agent.palm.segment import Mask, Silhouette

EVIDENCE_MIN = 0.28
CUT_LINES_MAX = 5
# Half the steps of a gap between fingers are saturated; a crease of the palm seldom gets there.
STRENGTH_MIN = 1.0
_SATURATED = 1.2
_FAN = np.deg2rad(np.arange(-32, 33, 4))
_FAN_VECTORS = np.stack([np.cos(_FAN), np.sin(_FAN)], axis=1)
_TURN_MAX = math.cos(math.radians(24))


def closed_gaps(silhouette: Silhouette, points: Floats) -> list[Gap]:
    """Follow each notch of the outline inwards and return the palm-side ends of what is a gap."""
    evidence = _evidence(silhouette)
    found: list[Gap] = []
    for notch in notches(points, silhouette.radius) + _cut_lines(evidence, silhouette.mask, silhouette.radius):
        found.extend(_follow(evidence, notch, silhouette.radius))
    return found


def _cut_lines(evidence: NDArray[np.float32], mask: Mask, radius: float) -> list[Gap]:
    """Return where lines cross the picture's edge: fingertips out of the picture have no notch between them."""
    height, width = evidence.shape
    inset = min(3, height - 1, width - 1)
    window = 2 * max(2, int(0.12 * radius)) + 1
    found = []
    for row, edge, step, outwards in (
        (inset, (0.0, 0.0), (1.0, 0.0), (0.0, -1.0)),
        (height - 1 - inset, (0.0, height - 1.0), (1.0, 0.0), (0.0, 1.0)),
        (inset, (0.0, 0.0), (0.0, 1.0), (-1.0, 0.0)),
        (width - 1 - inset, (width - 1.0, 0.0), (0.0, 1.0), (1.0, 0.0)),
    ):
        level = evidence[row] if step[0] else evidence[:, row]
        hand = (mask[row] if step[0] else mask[:, row]) > 0
        smooth = cv2.GaussianBlur(level.reshape(-1, 1), (1, 5), 1.0)
        highest = cv2.dilate(smooth, np.ones((window, 1)))
        peaks = np.flatnonzero((smooth >= highest)[:, 0] & (smooth[:, 0] > 0.6) & hand)
        clearest = peaks[np.argsort(-smooth[peaks, 0])][:CUT_LINES_MAX]
        found += [
            Gap(np.array(edge) + peak * np.array(step), np.array(outwards), float(smooth[peak, 0])) for peak in clearest
        ]
    return found


def _evidence(silhouette: Silhouette) -> NDArray[np.float32]:
    """Return how much each pixel looks like a line between fingers, 0 to 1.2."""
    radius, mask = silhouette.radius, silhouette.mask
    wide = _wide_ground(mask, radius)
    sliver = (mask == 0) & (wide == 0)
    evidence = np.clip(_darkness(silhouette) / 0.05, 0, _SATURATED).astype(np.float32)
    evidence[sliver] = _SATURATED
    # A hand darkens towards its rim against open ground: no line.
    side = 2 * int(0.05 * radius) + 1
    rim = cv2.dilate(wide, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
    evidence[rim & ~sliver] = 0
    return np.asarray(evidence, np.float32)


def _darkness(silhouette: Silhouette) -> NDArray[np.float32]:
    """Return the larger curvature of the log picture: positive on dark ridges, the same in any light."""
    image, radius = silhouette.image, silhouette.radius
    # Green shows the shadow between fingers best.
    grey = image[..., 1] if image.ndim == 3 else image
    log = np.log(grey.astype(np.float32) + 8)
    hand = silhouette.mask.astype(np.float32)
    blur = 0.12 * radius
    nearby = cv2.GaussianBlur(log * hand, (0, 0), blur) / np.maximum(cv2.GaussianBlur(hand, (0, 0), blur), 1e-3)
    sigma = max(1.2, 0.03 * radius)
    smooth = cv2.GaussianBlur(np.where(hand > 0, log, nearby), (0, 0), sigma)
    xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, dx, dy, ksize=3) / 4 for dx, dy in ((2, 0), (0, 2), (1, 1)))
    curvature = (xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.asarray(curvature * sigma * sigma, np.float32)


def _wide_ground(mask: Mask, radius: float) -> Mask:
    """Return the ground that a disk of a tenth of the radius fits into: an opening, by two distance maps."""
    disk, pad = 0.1 * radius, int(0.3 * radius) + 1
    ground = cv2.copyMakeBorder(1 - mask, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    core = cv2.distanceTransform(ground, cv2.DIST_L2, 5) > disk
    opened = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5) <= disk
    return opened[pad:-pad, pad:-pad].astype(np.uint8)


def _along(evidence: NDArray[np.float32], starts: Floats, directions: Floats, steps: Floats) -> Floats:
    """Return the mean evidence on the way from each start in each direction."""
    points = starts[..., None, :] + steps[:, None] * directions[..., None, :]
    return np.asarray(_at(evidence, points).mean(axis=-1), np.float64)


def _at(evidence: NDArray[np.float32], points: Floats) -> Floats:
    height, width = evidence.shape
    x, y = np.rint(points[..., 0]).astype(np.intp), np.rint(points[..., 1]).astype(np.intp)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return np.where(inside, evidence[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)], 0.0)


def _fan(direction: Floats) -> Floats:
    across = np.array([-direction[1], direction[0]])
    return np.asarray(_FAN_VECTORS @ np.stack([direction, across]), np.float64)


def _start(evidence: NDArray[np.float32], notch: Gap, radius: float, steps: Floats) -> tuple[Floats, Floats] | None:
    """Return where the line begins near the notch, behind the rim, and how it leaves."""
    inwards = -notch.direction
    across = np.array([-inwards[1], inwards[0]])
    aside, ahead = (v.ravel() for v in np.meshgrid(np.linspace(-0.12, 0.12, 7), (0.06, 0.12, 0.18)))
    starts = notch.point + radius * (aside[:, None] * across + ahead[:, None] * inwards)
    fan = _fan(inwards)
    means = _along(evidence, starts[:, None, :], fan[None], steps)
    cost = 0.15 * np.abs(_FAN)[None] + (0.5 * np.abs(aside) + 0.4 * ahead)[:, None]
    best = np.unravel_index(int(np.argmax(means - cost)), means.shape)
    return (starts[best[0]], fan[best[1]]) if means[best] >= EVIDENCE_MIN else None


def _walk(
    evidence: NDArray[np.float32], start: Floats, direction: Floats, radius: float, reach: float, steps: Floats
) -> tuple[Floats, Floats]:
    """Return the points of the way along the line and the evidence of each step."""
    path, seen = [start], []
    at, heading, skipped = start, direction, False
    stride = 0.35 * reach
    for _ in range(int(3.2 * radius / stride)):
        fan = _fan(heading)
        means = _along(evidence, at, fan, steps)
        best = int(np.argmax(means - 0.25 * np.abs(_FAN)))
        if means[best] < EVIDENCE_MIN:
            # A ring, or a finger's fold, may lie across: look once behind it.
            beyond = at + 0.3 * radius * heading
            behind = _along(evidence, beyond, fan, steps)
            if skipped or behind.max() <= 1.5 * EVIDENCE_MIN:
                break
            at, skipped = beyond, True
            seen.append(0.0)
        else:
            at = at + stride * fan[best]
            heading = heading + fan[best]
            heading = heading / np.hypot(*heading)
            seen.append(float(means[best]))
        path.append(at)
    return np.array(path), np.array(seen)


def _follow(evidence: NDArray[np.float32], notch: Gap, radius: float) -> list[Gap]:
    reach = 0.22 * radius
    steps = np.linspace(0.15, 1.0, 10) * reach
    start = _start(evidence, notch, radius, steps)
    if start is None:
        return []
    path, seen = _walk(evidence, *start, radius, reach, steps)
    if len(seen) < 3:
        return []
    seen = np.asarray(cv2.GaussianBlur(seen.reshape(-1, 1), (1, 3), 0.8)[:, 0], np.float64)
    head = max(3, int(0.8 * radius / (0.35 * reach)))
    strength = float(np.median(seen[:head]))
    if strength < STRENGTH_MIN:
        return []
    gaps = []
    for last in _last_steps(path, seen, head, strength):
        end = _fade(evidence, path, last, strength, reach)
        length = float(np.hypot(*(end - notch.point)))
        if length < 0.3 * radius:
            continue
        away = np.abs(np.hypot(*(path[: last + 2] - end).T) - 0.9 * radius)
        towards = path[int(np.argmin(away))] - end
        gaps.append(
            Gap(end, towards / (np.hypot(*towards) + 1e-9), length / radius, closed=True, continued=notch.depth > 0.5)
        )
    return gaps


def _last_steps(path: Floats, seen: Floats, head: int, strength: float) -> list[int]:
    """Return where the line may have ended: at its first turn, and where it faded before."""
    straight = path[min(head, len(path) - 1)] - path[0]
    straight = straight / (np.hypot(*straight) + 1e-9)
    last = len(seen)
    for step in range(2, len(seen)):
        lately = path[step + 1] - path[max(0, step - 2)]
        if lately @ straight < _TURN_MAX * np.hypot(*lately):
            last = step - 1
            break
    while last > 1 and seen[last - 1] < 0.38:
        last -= 1
    faded = np.flatnonzero(seen[:last] < 0.65 * strength)
    early = [int(step) for step in faded if step > 2][:1]
    return list(dict.fromkeys([last, *early]))


def _fade(evidence: NDArray[np.float32], path: Floats, last: int, strength: float, reach: float) -> Floats:
    """Return the pixel where the line's evidence drops, near the step found."""
    end = path[min(last, len(path) - 1)]
    heading = end - path[max(0, last - 2)]
    heading = heading / (np.hypot(*heading) + 1e-9)
    ahead = np.arange(-0.3 * reach, 0.8 * reach, 1.0)
    low = np.flatnonzero(_at(evidence, end + ahead[:, None] * heading) < 0.45 * max(strength, 0.3))
    return np.asarray(end + heading * (ahead[low[0]] if len(low) else 0.0), np.float64)
