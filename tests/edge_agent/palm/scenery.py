"""What else is before a canteen's camera: grounds, faces, sleeves, cups. Drawn, each from its random numbers alone."""

from collections.abc import Callable
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
Side = Literal["top", "bottom", "left", "right"]

_SKIN: Final = ((150, 175, 225), (120, 150, 205), (90, 120, 175), (65, 90, 140))  # BGR, from light to dark
_CLOTH: Final = ((60, 40, 30), (120, 60, 40), (40, 40, 150), (230, 230, 230), (60, 120, 60), (20, 20, 20))
_CLEAR: Final = 12  # px between a thing and the hand


def draw_ground(size: tuple[int, int], rng: np.random.Generator, *, dark: bool, grey: bool) -> Picture:
    """Returns an empty ground: plain, uneven in light, or with a grain."""
    width, height = size
    if grey:
        level = np.full(3, rng.uniform(4, 25) if dark else rng.uniform(180, 250))
    elif rng.random() < 0.5:
        level = np.full(3, rng.choice([18.0, 35.0, 225.0, 245.0]))
    else:
        level = np.array(((90, 60, 40), (70, 90, 50), (120, 110, 100), (200, 190, 180))[int(rng.integers(4))], float)
    y, x = np.mgrid[0:height, 0:width]
    light = 1 + rng.uniform(-0.2, 0.2) * (x / width - 0.5) + rng.uniform(-0.2, 0.2) * (y / height - 0.5)
    noise = rng.normal(0, rng.uniform(0.5, 3.0), (height, width))
    return np.asarray(np.clip(level * light[..., None] + noise[..., None], 0, 255), np.uint8)


def draw_thing(kind: str, canvas: Picture, hand: Picture, rng: np.random.Generator, *, grey: bool) -> None:
    """Draws a thing beside the hand, as large as a free place allows, often cut by the picture's rim."""
    height, width = hand.shape
    free = cv2.distanceTransform(255 - cv2.dilate(hand, np.ones((2 * _CLEAR + 1,) * 2, np.uint8)), cv2.DIST_L2, 5)
    places = np.argwhere(free > 0.6 * free.max())
    y, x = places[int(rng.integers(len(places)))]
    reach = float(free[y, x])
    sheet = np.zeros_like(canvas)
    mask = np.zeros((height, width), np.uint8)
    _THINGS[kind](sheet, mask, (float(x), float(y)), reach, rng)
    if grey:
        sheet = np.repeat(cv2.cvtColor(sheet, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    noisy = np.clip(sheet + rng.normal(0, 3, (height, width, 1)), 0, 255)
    share = cv2.GaussianBlur(mask, (0, 0), 1.0).astype(np.float32)[..., None] / 255
    canvas[:] = np.clip(share * noisy + (1 - share) * canvas, 0, 255).astype(np.uint8)


def put_sleeve(canvas: Picture, hand: Picture, wrist: Floats, rng: np.random.Generator, *, grey: bool) -> None:
    """Draws a sleeve over the hand's end at the rim."""
    y, x = np.nonzero(hand)
    points = np.stack([x, y], axis=1).astype(np.float64)
    along = points @ wrist
    across = np.array([-wrist[1], wrist[0]])
    start = np.quantile(along, rng.uniform(0.85, 0.97))
    end = points[along > start]
    if not len(end):
        return
    middle = (end @ across).mean()
    half = 0.5 * np.ptp(end @ across) * rng.uniform(1.05, 1.6)
    far = start + 2 * max(canvas.shape[:2])
    corners = [start * wrist + (middle - half) * across, start * wrist + (middle + half) * across]
    corners += [far * wrist + (middle + half * 1.3) * across, far * wrist + (middle - half * 1.3) * across]
    mask = np.zeros(hand.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA)
    colour = np.array((*_CLOTH, *_SKIN)[int(rng.integers(len(_CLOTH) + len(_SKIN)))], float)
    height, width = hand.shape
    folds = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 6)
    cloth = np.clip(colour * (1 + 2.0 * folds[..., None]), 0, 255)
    if grey:
        cloth = np.repeat(cloth.mean(axis=2, keepdims=True), 3, axis=2)
    share = mask.astype(np.float32)[..., None] / 255
    canvas[:] = np.clip(share * cloth + (1 - share) * canvas, 0, 255).astype(np.uint8)


Draw = Callable[[Picture, Picture, tuple[float, float], float, np.random.Generator], None]


def _draw_face(
    sheet: Picture, mask: Picture, middle: tuple[float, float], reach: float, rng: np.random.Generator
) -> None:
    """A child's face from the front: skin, hair, eyes, brows, nose, mouth, ears."""
    wide, high = 0.72 * reach, 0.95 * reach
    lean = rng.uniform(-40, 40)
    turn = np.radians(lean)
    skin = np.array(_SKIN[int(rng.integers(len(_SKIN)))], float)

    def at(along: float, down: float) -> tuple[int, int]:
        x, y = along * wide, down * high
        return (
            round(middle[0] + x * np.cos(turn) - y * np.sin(turn)),
            round(middle[1] + x * np.sin(turn) + y * np.cos(turn)),
        )

    def oval(place: tuple[int, int], half: tuple[float, float], colour: tuple[float, ...]) -> None:
        axes = (max(1, round(half[0] * wide)), max(1, round(half[1] * high)))
        cv2.ellipse(sheet, place, axes, lean, 0, 360, colour, -1, cv2.LINE_AA)

    hair = (20.0, 25.0, 35.0)
    for place, half, colour in (
        (at(0, -0.15), (1.0, 0.95), hair),
        (at(-0.95, 0.05), (0.14, 0.16), tuple(0.9 * skin)),
        (at(0.95, 0.05), (0.14, 0.16), tuple(0.9 * skin)),
        (at(0, 0.12), (0.9, 0.85), tuple(skin)),
    ):
        axes = (max(1, round(half[0] * wide)), max(1, round(half[1] * high)))
        cv2.ellipse(mask, place, axes, lean, 0, 360, 255, -1, cv2.LINE_AA)
        oval(place, half, colour)
    for side in (-0.36, 0.36):
        oval(at(side, 0.0), (0.17, 0.07), (235.0, 235.0, 235.0))
        oval(at(side, 0.0), (0.07, 0.07), (30.0, 40.0, 60.0))
        oval(at(side, -0.17), (0.2, 0.03), hair)
    oval(at(0, 0.28), (0.1, 0.05), tuple(0.75 * skin))
    oval(at(0, 0.55), (0.28, 0.06), (80.0, 80.0, 170.0))


def _draw_cup(
    sheet: Picture, mask: Picture, middle: tuple[float, float], reach: float, rng: np.random.Generator
) -> None:
    x, y = middle
    wide, high = 0.5 * reach, 0.7 * reach
    colour = tuple(float(value) for value in rng.uniform(60, 240, 3))
    for target, tone in ((mask, (255.0,)), (sheet, colour)):
        corners = np.array([[x - wide, y - high], [x + wide, y - high], [x + 0.8 * wide, y + high]])
        cv2.fillPoly(
            target, [np.round(np.vstack([corners, [x - 0.8 * wide, y + high]])).astype(np.int32)], tone, cv2.LINE_AA
        )
        handle = (round(0.4 * reach), round(0.4 * reach))
        cv2.ellipse(target, (round(x + wide), round(y)), handle, 0, -90, 90, tone, max(2, round(0.12 * reach)))


def _draw_card(
    sheet: Picture, mask: Picture, middle: tuple[float, float], reach: float, rng: np.random.Generator
) -> None:
    _box(sheet, mask, middle, (0.85 * reach, 0.53 * reach), rng.uniform(0, 180), tuple(rng.uniform(40, 250, 3)))


def _draw_phone(
    sheet: Picture, mask: Picture, middle: tuple[float, float], reach: float, rng: np.random.Generator
) -> None:
    turn = rng.uniform(0, 180)
    _box(sheet, mask, middle, (0.9 * reach, 0.45 * reach), turn, (25.0, 25.0, 25.0))
    shown = np.zeros_like(mask)
    _box(sheet, shown, middle, (0.8 * reach, 0.4 * reach), turn, tuple(rng.uniform(80, 250, 3)))


def _box(
    sheet: Picture,
    mask: Picture,
    middle: tuple[float, float],
    half: tuple[float, float],
    turn: float,
    colour: tuple[float, ...],
) -> None:
    corners = cv2.boxPoints((middle, (2 * half[0], 2 * half[1]), turn))
    for target, tone in ((mask, (255.0,)), (sheet, colour)):
        cv2.fillPoly(target, [np.round(corners).astype(np.int32)], tone, cv2.LINE_AA)


def _draw_fruit(
    sheet: Picture, mask: Picture, middle: tuple[float, float], reach: float, rng: np.random.Generator
) -> None:
    colour = ((50.0, 60.0, 200.0), (60.0, 170.0, 90.0), (40.0, 150.0, 235.0))[int(rng.integers(3))]
    x, y = (round(value) for value in middle)
    for target, tone in ((mask, (255.0,)), (sheet, colour)):
        cv2.circle(target, (x, y), round(0.85 * reach), tone, -1, cv2.LINE_AA)
    cv2.circle(
        sheet,
        (round(x - 0.3 * reach), round(y - 0.3 * reach)),
        round(0.15 * reach),
        tuple(min(255.0, 1.5 * value) for value in colour),
        -1,
    )


def _draw_bread(
    sheet: Picture, mask: Picture, middle: tuple[float, float], reach: float, rng: np.random.Generator
) -> None:
    """A slice or a bun in the colours of skin, its edge uneven."""
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    uneven = sum(rng.normal(0, 0.05) * np.cos(each * angles + rng.uniform(0, 6)) for each in range(2, 7))
    radius = reach * (0.8 + uneven)
    stretch = rng.uniform(0.5, 1.0)
    points = np.stack([radius * np.cos(angles), stretch * radius * np.sin(angles)], axis=1) + middle
    skin = np.array(_SKIN[int(rng.integers(len(_SKIN)))], float)
    outline = [np.round(points).astype(np.int32)]
    cv2.fillPoly(mask, outline, (255.0,), cv2.LINE_AA)
    cv2.fillPoly(sheet, outline, tuple(skin), cv2.LINE_AA)
    crumbs = cv2.GaussianBlur(rng.normal(0, 1, mask.shape), (0, 0), 2)[..., None] * 40
    sheet[:] = np.clip(sheet + crumbs * (mask[..., None] > 0), 0, 255).astype(np.uint8)


_THINGS: Final[dict[str, Draw]] = {
    "face": _draw_face,
    "cup": _draw_cup,
    "card": _draw_card,
    "phone": _draw_phone,
    "fruit": _draw_fruit,
    "bread": _draw_bread,
}
