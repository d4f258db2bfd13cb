"""Cheap signs of a print or a screen held up instead of a hand.

Each sign is a score from 0 (like a hand) to 1 (like a copy); none decides alone. What they can do was measured
on real palms against copies made by calculation: halftone screens, pixel grids, flat re-lighting. What they
cannot do: tell a continuous-tone photograph (no raster), a copy finer than the camera resolves, a moved or
bent print, or a mask of silicone. They raise the price of the cheapest tricks; the operator's eye and a
near-infrared camera stay the real defence. Under near-infrared light no further sign is looked for: a screen gives
off none of it and most inks are clear in it, so that such copies show no palm and are found to be nobody's. What is
printed in carbon (laser toner) does show, and is left to the signs below.
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

_SPECTRUM_SIDE = 256
_SMALL_SIDE = 64


def score_raster(grey: Grey) -> float:
    """Score regular dots or lines: peaks in the spectrum that stand out from all others of their frequency.

    Skin's spectrum falls off smoothly; a halftone, a pixel grid or the moiré between one and the camera's own
    grid puts energy into single points. Give it the palm's square at the camera's resolution, not the region:
    scaling down wipes out what is looked for. Interlaced cameras raise one row of the spectrum; it is left out.
    Measured at ½: no real palm of 99; of calculated halftones of 4 to 9 px and grids of 3 to 5 px all on evenly
    sharp near-infrared palms, about half of the halftones on colour ones, and a quarter on small, overlit ones.
    """
    side = min(_SPECTRUM_SIDE, *grey.shape)
    if side < _SMALL_SIDE:
        return 0.0
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    patch = grey[top : top + side, left : left + side].astype(np.float32)
    patch -= cv2.GaussianBlur(patch, (0, 0), 4)
    window = np.hanning(side).astype(np.float32)
    power = np.log(np.abs(np.fft.fftshift(np.fft.fft2(patch * window[:, None] * window))) + 1.0)
    axis = np.arange(side) - side // 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    distance = np.hypot(x, y)
    band = (distance > 0.08 * side) & (distance < 0.48 * side) & (np.abs(x) > 2) & (np.abs(y) > 2)
    # Against the mean of its ring, not a fixed level: sharpness and noise differ from camera to camera.
    ring = distance.astype(np.intp)
    counts = np.maximum(1, np.bincount(ring[band], minlength=ring.max() + 1))
    means = np.bincount(ring[band], power[band], ring.max() + 1) / counts
    spread = np.sqrt(np.bincount(ring[band], (power[band] - means[ring[band]]) ** 2, ring.max() + 1) / counts)
    usual = spread[spread > 0]
    if not len(usual):
        return 0.0
    height = (power - means[ring]) / np.median(usual)
    return _rise(float(height[band].max()), 4.0, 7.0)


def score_flatness(grey: Grey, mask: NDArray[np.bool_]) -> float:
    """Score the lack of relief: under one lamp a palm's light varies slowly across it; a sheet's hardly does.

    Weak: a print of a well-lit palm carries the palm's own shading, and under a diffuse lamp real palms are flat
    too (seven in ten of a set on a lit table, none of a near-infrared set). Use it with a single near lamp only.
    """
    if mask.sum() < 64:
        return 0.0
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), max(2.0, grey.shape[0] / 10))[mask]
    return 1.0 - _rise(float(smooth.std() / (smooth.mean() + 1.0)), 0.03, 0.10)


def score_gloss(grey: Grey, mask: NDArray[np.bool_]) -> float:
    """Score a sheet's or a screen's glare: a burnt-out spot with a sharp rim. Skin's highlights fade out."""
    burnt = ((grey >= 250) & mask).astype(np.uint8)
    if burnt.sum() < 0.002 * max(1, int(mask.sum())):
        return 0.0
    rim = cv2.dilate(burnt, np.ones((7, 7), np.uint8)).astype(bool) & (burnt == 0) & mask
    if not rim.any():
        return 0.0
    return _rise(float(np.mean(250.0 - grey[rim])), 25.0, 70.0)


def score_stillness(frames: Sequence[Grey]) -> float:
    """Score frames that are one picture: a held-up photograph on a stand, a frozen or replayed stream.

    A hand in the air moves by more than the sensor's noise between any two frames.
    """
    if len(frames) < 2:
        return 0.0
    small = [_thumbnail(frame) for frame in frames]
    moves = [float(np.abs(after - before).mean()) for before, after in pairwise(small)]
    return 1.0 - _rise(max(moves), 0.15, 0.6)


def _thumbnail(grey: Grey) -> NDArray[np.float32]:
    small = cv2.resize(grey, (_SMALL_SIDE, _SMALL_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    # A lamp that flickers is no movement.
    return np.asarray(small * (100.0 / (small.mean() + 1e-3)), np.float32)


def _rise(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))
