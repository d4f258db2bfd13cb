"""Hands that are drawn: a silhouette whose finger valleys are known, with lines, light and noise on it."""

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]

# A left palm to a camera that does not mirror; unit is the distance of the outer valleys, y towards the fingertips.
VALLEYS = np.array([[0.0, 0.0], [0.5, 0.12], [1.0, 0.0]])
_PALM = np.array(
    [
        [-0.52, -0.12], [0.0, 0.0], [0.5, 0.12], [1.0, 0.0], [1.46, -0.2], [1.48, -1.0], [1.2, -1.9],
        [1.0, -2.6], [0.0, -2.6], [-0.2, -2.1], [-0.62, -1.5], [-0.55, -0.8],
    ]
)  # fmt: skip
# Base, half width, length, and how far it leans when the fingers are spread by one.
_FINGERS = (
    ((-0.26, -0.1), 0.21, 1.30, -0.20),
    ((0.25, 0.0), 0.215, 1.52, -0.05),
    ((0.75, 0.0), 0.205, 1.42, 0.07),
    ((1.225, -0.15), 0.18, 1.15, 0.25),
)
_THUMB = ((-0.35, -1.35), 0.26, 1.25, -0.75)
_LAID_THUMB = ((-0.78, -1.3), 0.24, 1.45, 0.02)
_PRESSED = 0.26
_LEAN = -0.1


@dataclass(frozen=True, slots=True)
class DrawnHand:
    """A picture of a hand with the truth about it."""

    picture: Picture = field(repr=False)
    # Thumb side first.
    valleys: Floats
    turn_deg: float


@dataclass(frozen=True, slots=True)
class HandPose:
    turn_deg: float = 0.0
    scale: float = 100.0
    right: bool = False
    spread: float = 1.0
    centre: tuple[float, float] = (320.0, 260.0)
    size: tuple[int, int] = (640, 560)
    hand: int = 170
    ground: int = 20
    light: float = 0.0
    colour: bool = False
    thumb: bool = True
    # Fingers side by side, a dark line between two.
    closed: bool = False
    # The thumb lies along the index finger, its tip at the height of the valleys.
    laid: bool = False
    seed: int = 1

    def turned(self, by: float) -> "HandPose":
        return replace(self, turn_deg=self.turn_deg + by)


def _capsule(base: tuple[float, float], half: float, length: float, lean: float) -> Floats:
    up = np.array([math.sin(lean), math.cos(lean)])
    across = np.array([up[1], -up[0]])
    start, end = np.array(base), np.array(base) + (length - half) * up
    angles = np.linspace(0, math.pi, 24)[:, None]
    tip = end + half * (np.cos(angles) * across + np.sin(angles) * up)
    return np.vstack([start + half * across, tip, start - half * across])


def _lines(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Return a texture with the contrast of a palm: three strong curved lines and many fine ones."""
    sheet = np.zeros((side, side), np.float32)
    for strength, width, count in ((-0.35, 3, 3), (-0.12, 1, 60)):
        for _ in range(count):
            start, bend = rng.uniform(0, side, 2), rng.uniform(-2, 2)
            heading = rng.uniform(0, 2 * math.pi)
            steps = np.arange(0, rng.uniform(0.2, 0.6) * side, 3.0)
            along = heading + bend * steps / side
            way = start + np.cumsum(3.0 * np.stack([np.cos(along), np.sin(along)], axis=1), axis=0)
            cv2.polylines(sheet, [np.round(way).astype(np.int32)], False, strength, width, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(sheet, (0, 0), 1.2), np.float32)


def draw_hand(pose: HandPose) -> DrawnHand:
    width, height = pose.size
    turn = math.radians(pose.turn_deg)
    # Up in the picture is -y; a turn is clockwise on the screen.
    axes = np.array([[math.cos(turn), math.sin(turn)], [math.sin(turn), -math.cos(turn)]])
    flip = np.array([-1.0 if pose.right else 1.0, 1.0])
    middle = np.array([0.5, -0.3])

    def place(points: Floats) -> Floats:
        return np.asarray(pose.centre + pose.scale * ((points - middle) * flip) @ axes.T)

    mask = np.zeros((height, width), np.uint8)
    shapes = [_PALM]
    for base, half, length, lean in _FINGERS:
        held = (_PRESSED, _LEAN) if pose.closed else (half, lean * pose.spread)
        shapes.append(_capsule(base, held[0], length, held[1]))
    if pose.thumb:
        shapes.append(_capsule(*(_LAID_THUMB if pose.laid else _THUMB)))
    for shape in shapes:
        cv2.fillPoly(mask, [np.round(place(shape) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    shadow = np.zeros((height, width), np.uint8)
    lines_between = [(valley, valley + 1.35 * np.array([math.sin(_LEAN), math.cos(_LEAN)])) for valley in VALLEYS]
    for start, end in (lines_between if pose.closed else []) + ([((-0.54, -1.1), (-0.53, 0.0))] if pose.laid else []):
        ends = np.round(place(np.array([start, end])) * 16).astype(np.int32)
        cv2.line(shadow, ends[0].tolist(), ends[1].tolist(), 255, max(1, round(0.02 * pose.scale)), cv2.LINE_AA, 4)
    rng = np.random.default_rng(pose.seed)
    # The lines belong to the hand: drawn in its own frame and carried along with it.
    side = 512
    texture = _lines(rng, side)
    if pose.closed:
        # Fingers have no strong lines of their own along them, by which they could be told from gaps.
        texture[: round(0.43 * side)] *= 0.3
    corners = np.array([[-1.2, 2.0], [2.2, 2.0], [-1.2, -2.8]])
    carry = cv2.getAffineTransform(
        np.array([[0, 0], [side, 0], [0, side]], np.float32), place(corners).astype(np.float32)
    )
    lines = cv2.warpAffine(texture, carry, (width, height))
    y, x = np.mgrid[0:height, 0:width]
    falloff = 1 + pose.light * ((x - width / 2) / width + (y - height / 2) / height)
    dark = cv2.GaussianBlur(shadow, (0, 0), 0.015 * pose.scale).astype(np.float64) / 255
    hand = pose.hand * falloff * (1 + lines) * (1 - 0.55 * dark)
    share = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float64) / 255
    grey = share * hand + (1 - share) * pose.ground + rng.normal(0, 1.5, (height, width))
    picture = np.clip(grey, 0, 255)
    if pose.colour:
        tint = share[..., None] * np.array([0.72, 0.82, 1.08]) + (1 - share[..., None])
        picture = np.clip(grey[..., None] * tint, 0, 255)
    return DrawnHand(np.asarray(picture, np.uint8), place(VALLEYS), pose.turn_deg)
