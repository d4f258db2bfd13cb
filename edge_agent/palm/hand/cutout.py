"""A picture that already is a palm's region, made into one: size, grey, and what of it is padding."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.arrays import BGR, BGRA, COLOUR_AXES, FOUR_NEIGHBOURS, GREY_AXES, Flags, Pixels
from edge_agent.palm.types import REGION_SIDE, Hand, Region

# Origin of the numbers: chosen by hand while looking at the sets of cut-out regions in docs/palm.md.
CUTOUT_SIDE_MIN: Final = 32  # px; below it a palm's lines are gone
OBLONG_MAX: Final = 4  # times the shorter side; a region is nearly square
PADDING_GREY_MAX: Final = 8  # cutters fill what lies outside the frame with black; JPEG leaves a few grey levels there
PADDING_AREA_MIN: Final = 32  # px of the region; a smaller dark spot at the rim is skin
PADDING_SHARE_MAX: Final = 0.6  # more "padding" than this is a dark picture, which the quality gate refuses, not a mask

_LOW_BYTE: Final = 8  # bits


class NotARegion(ValueError):
    """The array cannot be a picture of a palm's region."""


def read_cutout(image: NDArray[np.generic], hand: Hand = Hand.UNKNOWN) -> Region:
    """Returns the region of an upright cut-out of any size: (h, w) or (h, w, 1|3|4), 8 or 16 bit.

    Raises `NotARegion` where the array cannot be one.
    """
    grey = _convert_to_grey(image)
    height, width = grey.shape
    if min(height, width) < CUTOUT_SIDE_MIN or max(height, width) > OBLONG_MAX * min(height, width):
        raise NotARegion(
            f"{width}×{height} pixels: a region has at least {CUTOUT_SIDE_MIN} a side and is nearly square"
        )
    ratio = REGION_SIDE / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((REGION_SIDE, REGION_SIDE), np.uint8)
    mask = np.zeros((REGION_SIDE, REGION_SIDE), np.bool_)
    x, y = (REGION_SIDE - size[0]) // 2, (REGION_SIDE - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = small
    mask[y : y + size[1], x : x + size[0]] = ~_find_padding(np.asarray(small, np.uint8))
    return Region(canvas, mask, hand)


def _convert_to_grey(image: NDArray[np.generic]) -> Pixels:
    """Returns the picture as grey of 8 bits. Raises `NotARegion` where it is none."""
    if image.dtype == np.uint16:
        image = (image >> _LOW_BYTE).astype(np.uint8)  # type: ignore[operator]  # dtype was just looked at
    if image.dtype != np.uint8:
        raise NotARegion(f"pixels of type {image.dtype}: 8 or 16 bit unsigned are read")
    if image.ndim == GREY_AXES:
        return image.astype(np.uint8, copy=False)
    if image.ndim == COLOUR_AXES and image.shape[2] == 1:
        return image[:, :, 0].astype(np.uint8, copy=False)
    if image.ndim == COLOUR_AXES and image.shape[2] in (BGR, BGRA) and image.size:
        code = cv2.COLOR_BGR2GRAY if image.shape[2] == BGR else cv2.COLOR_BGRA2GRAY
        return np.asarray(cv2.cvtColor(image.astype(np.uint8, copy=False), code), np.uint8)
    raise NotARegion(f"an array of shape {image.shape} is no picture")


def _find_padding(grey: Pixels) -> Flags:
    """Returns the black areas that touch the rim. A crease is dark too, but thin, or does not reach the rim."""
    dark = (grey <= PADDING_GREY_MAX).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=FOUR_NEIGHBOURS)
    height, width = grey.shape
    padding = np.zeros(grey.shape, np.bool_)
    for label in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[label])
        touches_rim = x == 0 or y == 0 or x + w == width or y + h == height
        if touches_rim and area >= PADDING_AREA_MIN:
            padding |= labels == label
    return padding if padding.mean() <= PADDING_SHARE_MAX else np.zeros(grey.shape, np.bool_)
