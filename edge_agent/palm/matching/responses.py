"""A region's oriented filter responses, and what they would be had the hand been turned, scaled or moved.

A palm's lines are found by even Gabor filters at six orientations (CompCode: Kong & Zhang 2004; BOCV: Guo et al. 2009).
The costly part is the filtering, so it is done once per picture. A turned hand has the same responses at turned places
and shifted orientations; the response as a function of orientation has period 180° and, sampled at six angles, is
interpolated exactly up to its third harmonic (steering). So any pose costs one look-up of a few thousand points
instead of a new picture and twelve convolutions.

Two scales of filter: the *fine* one follows principal lines and wrinkles, the *coarse* one only the large creases and
shading, which stay alike over larger errors of pose and therefore find that pose.
"""

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.matching.limits import (
    COARSE_GABOR,
    FINE_GABOR,
    LEVEL_TINY,
    NORMALISE_FLOOR,
    NORMALISE_SIGMA,
    RIM_PX,
    WEIGHT_TINY,
)
from edge_agent.palm.types import REGION_SIDE, Region

ORIENTATIONS = 6
CENTRE = (REGION_SIDE - 1) / 2
QUADRATIC = 6  # terms of a quadratic of two variables

Floats: TypeAlias = NDArray[np.float32]
Bend: TypeAlias = NDArray[np.float64]
"""(6, 2): px by which a template's point is off to the right and down, a quadratic of the point."""


@dataclass(frozen=True, slots=True)
class Responses:
    """Filter responses of one region; a dark line is negative across its own orientation."""

    fine: tuple[Floats, Floats] = field(repr=False)  # two of (128, 128, 3): OpenCV looks up 4 channels at most
    coarse: tuple[Floats, Floats] = field(repr=False)  # two of (64, 64, 3)
    mask: Floats = field(repr=False)  # (128, 128), 1 where a response has seen only palm
    coarse_level: float  # mean magnitude of the coarse responses, what "strong" is measured by


@dataclass(frozen=True, slots=True)
class Pose:
    """The place of a probe against a template: template's point p is at the probe's centre + scale·turn·(p + shift)."""

    turn_deg: float = 0.0
    scale: float = 1.0
    dx: float = 0.0  # px of the region
    dy: float = 0.0


UPRIGHT = Pose()


def respond(region: Region) -> Responses:
    """Filters a region at both scales."""
    normalised = _normalise(region)
    half = cv2.resize(normalised, (REGION_SIDE // 2, REGION_SIDE // 2), interpolation=cv2.INTER_AREA)
    fine, coarse = _filter(normalised, FINE_GABOR), _filter(np.asarray(half, np.float32), COARSE_GABOR)
    kernel = np.ones((2 * RIM_PX + 1, 2 * RIM_PX + 1), np.uint8)
    # Replicated, so that the region's own rim counts as palm going on: half of the lines worth having are near it.
    mask = cv2.erode(region.mask.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE)
    level = float(np.mean([np.abs(part).mean() for part in coarse]))
    return Responses(fine, coarse, mask.astype(np.float32), max(level, LEVEL_TINY))


def sample(
    maps: tuple[Floats, Floats], pixel_px: int, turns_deg: list[float], scales: list[float], xs: Floats, ys: Floats
) -> Floats:
    """Returns responses at the points `xs` × `ys` (px from the centre) of every turn with every scale.

    `pixel_px`: how many pixels of the region one pixel of `maps` covers. Result (turns, scales, ys, xs, 6).
    """
    map_x, map_y = _places(turns_deg, scales, xs, ys)
    if pixel_px != 1:
        centre = (REGION_SIDE / pixel_px - 1) / 2
        map_x = ((map_x - CENTRE) / pixel_px + centre).astype(np.float32)
        map_y = ((map_y - CENTRE) / pixel_px + centre).astype(np.float32)
    looked_up = _looked_up(maps, map_x, map_y).reshape(len(turns_deg), -1, ORIENTATIONS)
    shape = (len(turns_deg), len(scales), len(ys), len(xs), ORIENTATIONS)
    steering = np.stack([_steering(turn) for turn in turns_deg])
    return np.asarray(looked_up @ steering, np.float32).reshape(shape)


def sample_mask(mask: Floats, turns_deg: list[float], scales: list[float], xs: Floats, ys: Floats) -> Floats:
    """Returns where these points show palm: 1 or 0, (turns, scales, ys, xs)."""
    map_x, map_y = _places(turns_deg, scales, xs, ys)
    visibility = cv2.remap(mask, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(visibility, np.float32).reshape(len(turns_deg), len(scales), len(ys), len(xs))


def sample_bent(responses: Responses, pose: Pose, bend: Bend, side: int, step_px: float) -> tuple[Floats, Floats]:
    """Returns fine responses (side, side, 6) and mask (side, side) on a grid that is first bent, then posed."""
    points_x, points_y, terms = _grid(side, step_px)
    off = terms @ bend
    x, y = points_x + off[..., 0] + pose.dx, points_y + off[..., 1] + pose.dy
    turn = np.radians(pose.turn_deg)
    cos, sin = np.cos(turn) * pose.scale, np.sin(turn) * pose.scale
    map_x, map_y = (CENTRE + cos * x - sin * y).astype(np.float32), (CENTRE + sin * x + cos * y).astype(np.float32)
    sampled = _looked_up(responses.fine, map_x, map_y) @ _steering(pose.turn_deg)
    visibility = cv2.remap(
        responses.mask, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(sampled, np.float32), np.asarray(visibility, np.float32)


def quadratic(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns the terms (…, 6) of a quadratic at points given in px from the centre."""
    x, y = x / (REGION_SIDE / 2), y / (REGION_SIDE / 2)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).astype(np.float64)


def straight() -> Bend:
    return np.zeros((QUADRATIC, 2))


def axis(count: int, step_px: float, middle_px: float = 0.0) -> Floats:
    """Returns `count` points that lie `step_px` apart around `middle_px`."""
    return ((np.arange(count) - (count - 1) / 2) * step_px + middle_px).astype(np.float32)


def _looked_up(maps: tuple[Floats, Floats], map_x: Floats, map_y: Floats) -> Floats:
    """Returns both parts of the maps at these places, (rows, columns, 6)."""
    parts = [cv2.remap(part, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in maps]
    return np.asarray(cv2.merge(parts), np.float32)


@lru_cache(maxsize=8)
def _grid(side: int, step_px: float) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Returns the points of a square grid, (side, side) each, and their quadratic's terms (side, side, 6)."""
    x, y = np.meshgrid(axis(side, step_px), axis(side, step_px))
    return x, y, quadratic(x, y)


def _places(turns_deg: list[float], scales: list[float], xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    turn = np.radians(np.asarray(turns_deg, np.float32))[:, None, None, None]
    scale = np.asarray(scales, np.float32)[None, :, None, None]
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    x, y = xs[None, None, None, :], ys[None, None, :, None]
    # OpenCV wants two dimensions under 32,768: one row of points per row of the grid.
    map_x = (CENTRE + cos * x - sin * y).astype(np.float32).reshape(-1, len(xs))
    map_y = (CENTRE + sin * x + cos * y).astype(np.float32).reshape(-1, len(xs))
    return map_x, map_y


def _normalise(region: Region) -> Floats:
    """Takes the light out: subtracts the local mean and divides by the deviation over the palm's own pixels."""
    grey, mask = region.grey.astype(np.float32), region.mask.astype(np.float32)
    blur = (0, 0)
    weight = cv2.GaussianBlur(mask, blur, NORMALISE_SIGMA) + WEIGHT_TINY
    centred = (grey - cv2.GaussianBlur(grey * mask, blur, NORMALISE_SIGMA) / weight) * mask
    deviation = np.sqrt(cv2.GaussianBlur(centred * centred, blur, NORMALISE_SIGMA) / weight)
    return np.asarray(centred / (deviation + NORMALISE_FLOOR), np.float32)


def _filter(picture: Floats, gabor: tuple[float, float, float, int]) -> tuple[Floats, Floats]:
    planes = [cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT) for kernel in _gabors(*gabor)]
    return np.asarray(cv2.merge(planes[:3]), np.float32), np.asarray(cv2.merge(planes[3:]), np.float32)


@cache
def _gabors(sigma: float, wavelength: float, aspect: float, side: int) -> tuple[Floats, ...]:
    kernels = []
    for index in range(ORIENTATIONS):
        angle = np.pi * index / ORIENTATIONS
        kernel = np.asarray(
            cv2.getGaborKernel((side, side), sigma, angle, wavelength, aspect, 0, cv2.CV_32F), np.float32
        )
        kernel -= kernel.mean()  # blind to brightness
        kernels.append(kernel / np.abs(kernel).sum())
    return tuple(kernels)


@lru_cache(maxsize=256)
def _steering(turn_deg: float) -> Floats:
    """Returns the factors (6, 6) from responses at the six angles to those of the turned picture; Dirichlet's kernel
    over 180°.
    """
    angles = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    off = angles[None, :] + np.radians(turn_deg) - angles[:, None]
    kernel = (1 + 2 * np.cos(2 * off) + 2 * np.cos(4 * off) + np.cos(6 * off)) / ORIENTATIONS
    return np.asarray(kernel, np.float32)
