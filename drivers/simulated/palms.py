"""Palms that nobody has: drawn from a seed, for demonstrations and tests. They prove nothing about real hands.

A person's palm is three principal creases, a few dozen wrinkles, some veins and a mottled skin, all drawn from the
person's seed; a capture adds pose, light and the camera's noise from a generator that is handed in. The same seeds
give the same bytes. `palm` is the region alone; `hand` puts it on a whole hand before a dark ground.

What it does not imitate: depth, tilt, bent fingers, sweat, dirt, and the likeness of relatives.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Texture = NDArray[np.float32]

SKIN_SIDE: Final = 320  # px; the region is its middle, so that a moved hand still shows skin
REGION_SHARE: Final = 0.6
HAND_SIZE: Final = (480, 640)  # height, width
SKIN_GREY: Final = 150.0
GROUND_GREY: Final = 18.0


@dataclass(frozen=True, slots=True)
class DrawnHandView:
    """The way in which the hand was held and seen. All zero: as drawn."""

    turn_deg: float = 0.0
    scale: float = 1.0
    dx: float = 0.0  # share of the region's side
    dy: float = 0.0
    light: float = 1.0
    slope: float = 0.0  # light's fall-off over the region, share of its brightness
    noise: float = 0.0  # grey levels, standard deviation
    blur_px: float = 0.0


def some_capture(dice: np.random.Generator) -> DrawnHandView:
    """Returns a capture as a careful child makes it."""
    return DrawnHandView(
        turn_deg=float(dice.normal(0, 4)),
        scale=float(np.exp(dice.normal(0, 0.04))),
        dx=float(dice.normal(0, 0.02)),
        dy=float(dice.normal(0, 0.02)),
        light=float(np.exp(dice.normal(0, 0.15))),
        slope=float(dice.normal(0, 0.2)),
        noise=float(dice.uniform(1, 3)),
        blur_px=float(dice.uniform(0, 0.8)),
    )


def skin(person: str, hand: str) -> Texture:
    """Returns a person's palm ("left" or "right" hand): (320, 320) grey levels around 150, upright, index finger
    left.
    """
    seed = int.from_bytes(sha256(f"palm of {person}, {hand}".encode()).digest()[:8], "big")
    dice = np.random.default_rng(seed)
    lines = np.zeros((SKIN_SIDE, SKIN_SIDE), np.float32)
    for start, bend, end, width in _creases(dice):
        _stroke(lines, start, bend, end, width, float(dice.uniform(28, 45)))
    for _ in range(int(dice.integers(35, 60))):
        start = dice.uniform(0, SKIN_SIDE, 2)
        end = start + dice.normal(0, SKIN_SIDE / 6, 2)
        bend = (start + end) / 2 + dice.normal(0, 12, 2)
        _stroke(lines, start, bend, end, float(dice.uniform(1, 2.2)), float(dice.uniform(6, 22)))
    veins = np.zeros_like(lines)
    for _ in range(int(dice.integers(4, 8))):
        start, end = dice.uniform(0, SKIN_SIDE, 2), dice.uniform(0, SKIN_SIDE, 2)
        _stroke(veins, start, (start + end) / 2 + dice.normal(0, 40, 2), end, 9, float(dice.uniform(8, 16)))
    mottle = cv2.GaussianBlur(dice.normal(0, 1, lines.shape).astype(np.float32), (0, 0), 3) * 18
    mounds = cv2.GaussianBlur(dice.normal(0, 1, lines.shape).astype(np.float32), (0, 0), 30) * 450
    soft = cv2.GaussianBlur(lines, (0, 0), 1.0) + cv2.GaussianBlur(veins, (0, 0), 4.0)
    return np.asarray(SKIN_GREY + mottle + mounds - soft, np.float32)


def palm(person: str, hand: str, capture: DrawnHandView, dice: np.random.Generator, side: int = 160) -> Picture:
    """Returns a picture of the palm's region, (side, side)."""
    return _expose(_place(skin(person, hand), capture, (side, side), side), capture, dice)


def hand(person: str, which: str, capture: DrawnHandView, dice: np.random.Generator) -> Picture:
    """Returns a picture of the whole hand, fingers up, palm to the camera, (480, 640); a left one has its thumb
    left.
    """
    region = 150.0
    texture = _place(skin(person, which), capture, HAND_SIZE, region)
    shape = np.zeros(HAND_SIZE, np.uint8)
    for start, end, thick in _FINGERS:
        first, last = (_on_hand(point, capture, region) for point in (start, end))
        cv2.line(shape, first, last, 255, max(1, round(thick * region * capture.scale)), cv2.LINE_AA)
    outline = np.array([_on_hand(point, capture, region) for point in _PALM], np.int32)
    cv2.fillPoly(shape, [outline], 255, cv2.LINE_AA)
    shape = np.asarray(cv2.GaussianBlur(shape, (0, 0), 2), np.uint8)
    cover = shape.astype(np.float32) / 255
    inside = np.minimum(1, cv2.distanceTransform((shape > 127).astype(np.uint8), cv2.DIST_L2, 5) / 18)
    shaded = texture * (0.75 + 0.25 * inside) * cover + GROUND_GREY * (1 - cover)
    picture = _expose(np.asarray(shaded, np.float32), capture, dice)
    return np.ascontiguousarray(picture[:, ::-1]) if which == "right" else picture


# Of a left hand, in sides of the region from its centre: start, end, thickness.
_FINGERS: Final = (
    ((-0.55, -0.45), (-0.62, -1.35), 0.27),
    ((-0.18, -0.5), (-0.18, -1.55), 0.28),
    ((0.2, -0.47), (0.24, -1.45), 0.27),
    ((0.55, -0.38), (0.68, -1.1), 0.24),
    ((-0.5, 0.45), (-1.15, -0.25), 0.32),
)
_PALM: Final = (
    (-0.72, -0.4), (-0.6, -0.62), (0.5, -0.62), (0.7, -0.3), (0.68, 0.5), (0.5, 0.95), (0.45, 1.8), (-0.4, 1.8),
    (-0.45, 0.95), (-0.75, 0.45),
)  # fmt: skip


def _creases(
    dice: np.random.Generator,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]]:
    """Returns heart, head and life line, each about where people have it."""
    typical = (
        ((0.95, 0.42), (0.55, 0.40), (0.25, 0.12), 4.5),
        ((0.12, 0.42), (0.50, 0.48), (0.85, 0.70), 4.0),
        ((0.12, 0.40), (0.52, 0.55), (0.42, 0.98), 5.0),
    )
    return [
        (*(np.array(point) * SKIN_SIDE + dice.normal(0, 16, 2) for point in points[:3]), points[3])  # type: ignore[misc]
        for points in typical
    ]


def _stroke(
    canvas: Texture,
    start: NDArray[np.float64],
    bend: NDArray[np.float64],
    end: NDArray[np.float64],
    width: float,
    depth: float,
) -> None:
    """Draws a quadratic curve that thins out at its ends."""
    t = np.linspace(0, 1, 24)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    line = np.zeros_like(canvas)
    for position in range(len(points) - 1):
        thick = max(1, round(width * (0.4 + 0.6 * float(np.sin(np.pi * (position + 0.5) / (len(points) - 1))))))
        first, last = (tuple(int(v) for v in points[i].round()) for i in (position, position + 1))
        cv2.line(line, first, last, depth, thick, cv2.LINE_AA)
    np.maximum(canvas, line, out=canvas)


def _place(texture: Texture, capture: DrawnHandView, size: tuple[int, int], region_px: float) -> Texture:
    """Returns the skin as the camera sees it: the region `region_px` wide in the middle of (height, width)."""
    height, width = size
    ratio = region_px / (SKIN_SIDE * REGION_SHARE) * capture.scale
    middle = (SKIN_SIDE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), capture.turn_deg, ratio)
    matrix[0, 2] += (width - 1) / 2 - middle + capture.dx * region_px
    matrix[1, 2] += (height - 1) / 2 - middle + capture.dy * region_px
    return np.asarray(cv2.warpAffine(texture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.float32)


def _on_hand(point: tuple[float, float], capture: DrawnHandView, region_px: float) -> tuple[int, int]:
    turn = np.radians(capture.turn_deg)
    x, y = (value * region_px * capture.scale for value in point)
    height, width = HAND_SIZE
    return (
        round((width - 1) / 2 + capture.dx * region_px + float(np.cos(turn) * x + np.sin(turn) * y)),
        round((height - 1) / 2 + capture.dy * region_px + float(-np.sin(turn) * x + np.cos(turn) * y)),
    )


def _expose(picture: Texture, capture: DrawnHandView, dice: np.random.Generator) -> Picture:
    slope = 1 + capture.slope * np.linspace(-0.5, 0.5, picture.shape[1], dtype=np.float32)[None, :]
    lit = picture * capture.light * slope
    if capture.blur_px > 0:
        lit = cv2.GaussianBlur(lit, (0, 0), capture.blur_px)
    return np.clip(lit + dice.normal(0, capture.noise, picture.shape), 0, 255).astype(np.uint8)
