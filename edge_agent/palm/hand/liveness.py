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
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.arrays import Flags, Pixels
from edge_agent.palm.hand.rules import Span

# Origin of the numbers: chosen by hand while looking at the palms of the full-hand sets in docs/palm.md, and at
# halftones and pixel grids made of them by calculation. Nothing was tried on a physical copy.

SPECTRUM_SIDE: Final = 256  # px; of the palm's square no more is looked at
SPECTRUM_SIDE_MIN: Final = 64  # px; a smaller square has too few waves of a raster
SHADING_BLUR: Final = 4  # px; sigma of what is taken out: slower than any raster
RASTER_BAND: Final = Span(0.08, 0.48)  # waves a pixel: from coarse skin to just below the camera's own grid
RASTER_AXIS: Final = 2  # rows and columns of the spectrum on each side of its axes, which cameras raise by themselves
RASTER_RISE: Final = Span(4.0, 7.0)  # spreads of its ring that a peak stands out: from none to surely a raster

SHOWN_PIXELS_MIN: Final = 64  # px of palm; fewer say nothing about light
RELIEF_BLUR: Final = 10  # of these parts of the region's side; sigma that leaves the light and takes the lines out
RELIEF_BLUR_MIN: Final = 2.0  # px
RELIEF_RISE: Final = Span(0.03, 0.10)  # spread of the light over its mean: from surely flat to a hand's relief

BURNT_MIN: Final = 250  # grey; a burnt-out pixel
BURNT_SHARE_MIN: Final = 0.002  # share of the palm; less is a spark
BURNT_RIM: Final = 7  # px; side of the square by which a spot's rim is found
GLARE_RISE: Final = Span(25.0, 70.0)  # grey that a spot's rim is darker: from skin's soft shine to a sheet's glare

THUMBNAIL_SIDE_STILL: Final = 64  # px; on such a thumbnail two frames are compared
THUMBNAIL_MEAN: Final = 100.0  # grey that a thumbnail is brought to
MOVEMENT_RISE: Final = Span(0.15, 0.6)  # grey between frames: from the sensor's noise to a hand in the air

# The judgement of one presentation (edge_agent/palms/liveness.py).
COPY_STRONG: Final = 0.9  # score of the raster in every picture that is enough alone
COPY_TOGETHER: Final = 1.6  # sum of flatness, glare and stillness, of 3, that is enough
INSCRIBED_SHARE: Final = 0.7  # share of the region's side: an upright square within it at any turn. Origin: geometry

_TINY_MEAN: Final = 1e-3  # grey; added before dividing by a mean


def score_raster(grey: Pixels) -> float:
    """Returns the score of regular dots or lines: peaks in the spectrum above all others of their frequency.

    Skin's spectrum falls off smoothly; a halftone, a pixel grid or the moiré between one and the camera's own
    grid puts energy into single points. Give it the palm's square at the camera's resolution, not the region:
    scaling down wipes out what is looked for. Interlaced cameras raise one row of the spectrum; it is left out.
    Measured at ½: no real palm of 99; of calculated halftones of 4 to 9 px and grids of 3 to 5 px all on evenly
    sharp near-infrared palms, about half of the halftones on colour ones, and a quarter on small, overlit ones.
    """
    side = min(SPECTRUM_SIDE, *grey.shape)
    if side < SPECTRUM_SIDE_MIN:
        return 0.0
    start_x, start_y = (grey.shape[1] - side) // 2, (grey.shape[0] - side) // 2
    patch = grey[start_y : start_y + side, start_x : start_x + side].astype(np.float32)
    patch -= cv2.GaussianBlur(patch, (0, 0), SHADING_BLUR)
    window = np.hanning(side).astype(np.float32)
    power = np.log(np.abs(np.fft.fftshift(np.fft.fft2(patch * window[:, None] * window))) + 1.0)
    axis = np.arange(side) - side // 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    distance = np.hypot(x, y)
    band = (distance > RASTER_BAND.low * side) & (distance < RASTER_BAND.high * side)
    band &= (np.abs(x) > RASTER_AXIS) & (np.abs(y) > RASTER_AXIS)
    # Against the mean of its ring, not a fixed level: sharpness and noise differ from camera to camera.
    ring = distance.astype(np.intp)
    counts = np.maximum(1, np.bincount(ring[band], minlength=ring.max() + 1))
    means = np.bincount(ring[band], power[band], ring.max() + 1) / counts
    spread = np.sqrt(np.bincount(ring[band], (power[band] - means[ring[band]]) ** 2, ring.max() + 1) / counts)
    usual = spread[spread > 0]
    if not len(usual):
        return 0.0
    height = (power - means[ring]) / np.median(usual)
    return _rise(float(height[band].max()), RASTER_RISE)


def score_flatness(grey: Pixels, mask: Flags) -> float:
    """Returns the score of missing relief: under one lamp a palm's light varies slowly across it; a sheet's hardly.

    Weak: a print of a well-lit palm carries the palm's own shading, and under a diffuse lamp real palms are flat
    too (seven in ten of a set on a lit table, none of a near-infrared set). Use it with a single near lamp only.
    """
    if mask.sum() < SHOWN_PIXELS_MIN:
        return 0.0
    sigma = max(RELIEF_BLUR_MIN, grey.shape[0] / RELIEF_BLUR)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma)[mask]
    return 1.0 - _rise(float(smooth.std() / (smooth.mean() + 1.0)), RELIEF_RISE)


def score_gloss(grey: Pixels, mask: Flags) -> float:
    """Returns the score of a sheet's or a screen's glare: a burnt-out spot with a sharp rim. Skin's shine fades out."""
    burnt = ((grey >= BURNT_MIN) & mask).astype(np.uint8)
    if burnt.sum() < BURNT_SHARE_MIN * max(1, int(mask.sum())):
        return 0.0
    rim = cv2.dilate(burnt, np.ones((BURNT_RIM, BURNT_RIM), np.uint8)).astype(bool) & (burnt == 0) & mask
    if not rim.any():
        return 0.0
    return _rise(float(np.mean(float(BURNT_MIN) - grey[rim])), GLARE_RISE)


def score_stillness(frames: Sequence[Pixels]) -> float:
    """Returns the score of frames that are one picture: a photograph on a stand, a frozen or replayed stream.

    A hand in the air moves by more than the sensor's noise between any two frames.
    """
    if len(frames) < 2:
        return 0.0
    thumbnails = [_shrink(frame) for frame in frames]
    moves = [float(np.abs(later - earlier).mean()) for earlier, later in pairwise(thumbnails)]
    return 1.0 - _rise(max(moves), MOVEMENT_RISE)


def _shrink(grey: Pixels) -> NDArray[np.float32]:
    """Returns a thumbnail of even brightness: a lamp that flickers is no movement."""
    size = (THUMBNAIL_SIDE_STILL, THUMBNAIL_SIDE_STILL)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small * (THUMBNAIL_MEAN / (small.mean() + _TINY_MEAN)), np.float32)


def _rise(value: float, span: Span) -> float:
    """Returns 0 at the lower end of a span and below, 1 at its upper end and above, and evenly between."""
    return float(np.clip((value - span.low) / (span.high - span.low), 0.0, 1.0))
