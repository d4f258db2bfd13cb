"""A picture that already is a palm's region, made into one: size, grey, and what of it is padding."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.types import REGION_SIDE, Hand, Region

SIDE_MIN = 32  # px; below it a palm's lines are gone
PADDING_GREY_MAX = 8  # cutters fill what lies outside the frame with black; JPEG leaves a few grey levels there
PADDING_AREA_MIN = 32  # px of the region; a smaller dark spot at the rim is skin
PADDING_SHARE_MAX = 0.6  # more "padding" than this is a dark picture, which the quality gate refuses, not a mask


class NotARegion(ValueError):
    """The array cannot be a picture of a palm's region."""


def read_cutout(image: NDArray[np.generic], hand: Hand = Hand.UNKNOWN) -> Region:
    """A region from an upright cut-out of any size: (h, w), (h, w, 1|3|4), 8 or 16 bit. Raises `NotARegion`."""
    grey = _grey(image)
    height, width = grey.shape
    if min(height, width) < SIDE_MIN or max(height, width) > 4 * min(height, width):
        raise NotARegion(f"{width}×{height} pixels: a region has at least {SIDE_MIN} a side and is nearly square")
    ratio = REGION_SIDE / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    shrinks = ratio < 1
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    canvas = np.zeros((REGION_SIDE, REGION_SIDE), np.uint8)
    mask = np.zeros((REGION_SIDE, REGION_SIDE), np.bool_)
    top, left = (REGION_SIDE - size[1]) // 2, (REGION_SIDE - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    mask[top : top + size[1], left : left + size[0]] = ~_padding(np.asarray(small, np.uint8))
    return Region(canvas, mask, hand)


def _grey(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)  # type: ignore[operator]  # dtype was just looked at
    if image.dtype != np.uint8:
        raise NotARegion(f"pixels of type {image.dtype}: 8 or 16 bit unsigned are read")
    if image.ndim == 2:
        return image.astype(np.uint8, copy=False)
    if image.ndim == 3 and image.shape[2] == 1:
        return image[:, :, 0].astype(np.uint8, copy=False)
    if image.ndim == 3 and image.shape[2] in (3, 4) and image.size:
        code = cv2.COLOR_BGR2GRAY if image.shape[2] == 3 else cv2.COLOR_BGRA2GRAY
        return np.asarray(cv2.cvtColor(image.astype(np.uint8, copy=False), code), np.uint8)
    raise NotARegion(f"an array of shape {image.shape} is no picture")


def _padding(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Black areas that touch the rim. A crease is dark too, but thin, or does not reach the rim."""
    dark = (grey <= PADDING_GREY_MAX).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=4)
    height, width = grey.shape
    padding = np.zeros(grey.shape, np.bool_)
    for label in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[label])
        at_rim = x == 0 or y == 0 or x + w == width or y + h == height
        if at_rim and area >= PADDING_AREA_MIN:
            padding |= labels == label
    return padding if padding.mean() <= PADDING_SHARE_MAX else np.zeros(grey.shape, np.bool_)
