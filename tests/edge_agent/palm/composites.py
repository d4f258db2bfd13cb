"""Pictures with a second hand in them, and single hands with something else beside, made of pictures of single hands.

Each picture is made from its number alone. Identities are split by a hash of the person: `BUILT` was looked at while
the finder was built, `HELD_OUT` was measured only.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.edge_agent.palm.scenery import Side, draw_ground, draw_thing, put_sleeve

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
Half = Literal["built", "held-out"]

BUILT: Final = "built"
HELD_OUT: Final = "held-out"
PRESENTED: Final = 0.25  # of the other hand's area; a hand that shows less leaves that one clearly presented
SEEN_MIN: Final = 0.25  # of a hand's own area; what shows less of itself is not counted as a hand
KINDS: Final = ("joined", "spread", "touching", "entering")
THINGS: Final = ("nothing", "face", "sleeve", "cup", "phone", "fruit", "bread", "card")
_SIZES: Final = ((640, 480), (800, 600), (480, 640), (960, 540))
# Where the wrist is, in sets whose hands are cut off before the picture's rim.
_WRISTS: Final = {"full_nir_hand": (0.0, 1.0), "full_polyu2": (1.0, 0.0)}
_ATTEMPTS_MAX: Final = 400
_GROWN: Final = 960  # px; the longer side of a picture that two are joined to


@dataclass(frozen=True, slots=True)
class CutHand:
    """A hand without its ground."""

    person: str
    name: str
    picture: Picture = field(repr=False)  # as it was taken, BGR
    mask: Picture = field(repr=False)  # 255 on the hand
    wrist: Floats  # (2,), unit vector from the hand's middle to where the picture's rim cuts it

    @property
    def colour(self) -> bool:
        return bool(np.ptp(self.picture.astype(np.int16), axis=2).mean() > 2)


@dataclass(frozen=True, slots=True)
class Composite:
    """A picture with what is true of it."""

    kind: str
    names: tuple[str, ...]
    picture: Picture = field(repr=False)
    hands: tuple[Picture, ...] = field(repr=False)  # of each hand the mask, 255 where it shows

    @property
    def presented(self) -> int | None:
        """Returns which hand is clearly presented, or None where none is."""
        areas = [int(np.count_nonzero(mask)) for mask in self.hands]
        first = int(np.argmax(areas))
        others = [area for at, area in enumerate(areas) if at != first]
        return first if all(area < PRESENTED * areas[first] for area in others) else None


def halve(person: str) -> Half:
    """Returns the half that a person belongs to, for ever."""
    return BUILT if hashlib.sha256(person.encode()).digest()[0] % 2 else HELD_OUT


def read_hands(folder: Path, half: Half) -> list[CutHand]:
    """Returns the hands of one half of a set, IDENTITY/SESSION-SAMPLE.png|jpg."""
    hands = []
    for path in sorted(folder.glob("*/*")):
        person = path.parent.name.partition("_")[0]
        if halve(person) != half:
            continue
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        assert picture is not None, path
        scale = min(1.0, 640 / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        hand = cut_hand(person, f"{path.parent.name}/{path.name}", np.asarray(small, np.uint8))
        hands.append(replace(hand, wrist=np.array(_WRISTS.get(folder.name, hand.wrist))))
    return hands


def cut_hand(person: str, name: str, picture: Picture) -> CutHand:
    """Returns the hand of a picture with one hand on a plain ground, white or black."""
    rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.float32)
    ground = np.percentile(rim, 80 if np.median(rim) > 127 else 20, axis=0)
    apart = np.abs(picture.astype(np.float32) - ground).max(axis=2)
    if ground.mean() < 127:  # the dim fingertips of a near-infrared picture; on white it would take shadows along
        apart = 255 * np.sqrt(apart / 255)
    apart = np.clip(apart, 0, 255).astype(np.uint8)
    _, mask = cv2.threshold(cv2.GaussianBlur(apart, (0, 0), 1.5), 0, 255, cv2.THRESH_OTSU)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    hand = (labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])).astype(np.uint8) * 255
    outlines, _ = cv2.findContours(hand, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(hand, outlines, -1, 255, -1)
    y, x = np.nonzero(hand)
    height, width = hand.shape
    at_rim = (x < 2) | (y < 2) | (x >= width - 2) | (y >= height - 2)
    middle = np.array([x.mean(), y.mean()])
    wrist = np.array([x[at_rim].mean(), y[at_rim].mean()]) - middle if at_rim.any() else np.array([0.0, 1.0])
    return CutHand(person, name, picture, hand, wrist / np.hypot(*wrist))


def make_pairs(hands: Sequence[CutHand], count: int, seed: int) -> Iterator[Composite]:
    """Yields pictures of two hands, in turn of each kind."""
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        first, second = (hands[at] for at in rng.choice(len(hands), 2, replace=False))
        kind = KINDS[number % len(KINDS)]
        yield _join(first, second, rng) if kind == "joined" else _lay(first, second, kind, rng)


def make_singles(hands: Sequence[CutHand], count: int, seed: int) -> Iterator[Composite]:
    """Yields pictures of one hand, in turn with nothing and with each of some things beside it."""
    for number in range(count):
        rng = np.random.default_rng((seed, 1, number))
        hand = hands[int(rng.integers(len(hands)))]
        thing = THINGS[number % len(THINGS)]
        size = _SIZES[int(rng.integers(len(_SIZES)))]
        canvas = draw_ground(size, rng, dark=not hand.colour, grey=not hand.colour)
        placed = _place(hand, size, rng, rng.uniform(0.55, 0.8), _SIDES[int(rng.integers(4))], 0.0)
        if thing == "sleeve":
            _blend(canvas, *placed)
            put_sleeve(canvas, placed[1], placed[2], rng, grey=not hand.colour)
        else:
            if thing != "nothing":
                draw_thing(thing, canvas, placed[1], rng, grey=not hand.colour)
            _blend(canvas, *placed)
        yield Composite(thing, (hand.name,), canvas, (placed[1],))


_Placed = tuple[Picture, Picture, Floats, float]  # picture, mask, the way to the wrist, and its area seen whole
_SIDES: Final[tuple[Side, ...]] = ("top", "bottom", "left", "right")
_OUTWARD: Final = {"top": (0.0, -1.0), "bottom": (0.0, 1.0), "left": (-1.0, 0.0), "right": (1.0, 0.0)}


def _join(first: CutHand, second: CutHand, rng: np.random.Generator) -> Composite:
    """Returns two whole pictures side by side, or one above the other, each as it is, turned or mirrored."""
    turned = [_turn_square(hand, int(rng.integers(4)), mirrored=bool(rng.integers(2))) for hand in (first, second)]
    aside = bool(rng.integers(2))
    length = 480
    parts, masks = [], []
    for picture, mask in turned:
        scale = length / picture.shape[0 if aside else 1]
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        size = (size[0], length) if aside else (length, size[1])
        parts.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        masks.append(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST))
    stack = np.hstack if aside else np.vstack
    picture = stack(parts)
    shown = [stack([mask if at == own else 0 * mask for at, mask in enumerate(masks)]) for own in (0, 1)]
    scale = min(1.0, _GROWN / max(picture.shape[:2]))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    cut = tuple(np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8) for mask in shown)
    return Composite("joined", (first.name, second.name), small, cut)


def _turn_square(hand: CutHand, quarters: int, *, mirrored: bool) -> tuple[Picture, Picture]:
    both = [np.rot90(each, quarters) for each in (hand.picture, hand.mask)]
    both = [each[:, ::-1] if mirrored else each for each in both]
    return np.ascontiguousarray(both[0]), np.ascontiguousarray(both[1])


def _lay(first: CutHand, second: CutHand, kind: str, rng: np.random.Generator) -> Composite:
    """Returns two hands laid on one ground: apart from each other, touching, or one of them just coming in."""
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    grey = not first.colour
    sides = list(rng.permutation(4))
    beside = [_SIDES[sides[0]], _SIDES[sides[0] if rng.random() < 0.4 else sides[1]]]
    canvas = draw_ground(size, rng, dark=grey, grey=grey)
    for attempt in range(_ATTEMPTS_MAX):
        large = rng.uniform(0.5, 0.8) * 0.99**attempt  # until there is room
        smaller = large * rng.uniform(0.55, 1.1)
        hidden = rng.uniform(0.3, 0.7) if kind == "entering" else 0.0
        laid = [_place(first, size, rng, large, beside[0], 0.0), _place(second, size, rng, smaller, beside[1], hidden)]
        if kind == "touching":
            laid[1] = _slide(laid[1], laid[0][1])
        first_mask, second_mask = laid[0][1], laid[1][1]
        shown = int(np.count_nonzero(second_mask))
        overlap = int(np.count_nonzero(first_mask & second_mask)) / max(1, shown)
        near = bool(np.any(np.asarray(cv2.dilate(first_mask, np.ones((7, 7), np.uint8)), np.uint8) & second_mask))
        seen = shown / (laid[1][3] or 1)
        fits = overlap == 0 and not near if kind != "touching" else near and overlap < 0.15
        if not fits or seen < SEEN_MIN:
            continue
        for each in laid:
            _blend(canvas, *each[:3])
        masks = (np.asarray(laid[0][1] & ~laid[1][1], np.uint8), laid[1][1])
        return Composite(kind, (first.name, second.name), canvas, masks)
    raise AssertionError("no room for two hands")


def _slide(placed: _Placed, towards: Picture) -> _Placed:
    """Returns a hand moved towards another one until they touch."""
    picture, mask, wrist, area = placed
    size = mask.shape[::-1]
    y, x = np.nonzero(mask)
    far_y, far_x = np.nonzero(towards)
    if not len(x) or not len(far_x):
        return placed
    way = np.array([far_x.mean() - x.mean(), far_y.mean() - y.mean()])
    grown = np.asarray(cv2.dilate(towards, np.ones((5, 5), np.uint8)), np.uint8)
    for share in np.linspace(0, 1, 40):
        matrix = np.array([[1, 0, share * way[0]], [0, 1, share * way[1]]])
        moved = np.asarray(cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST), np.uint8)
        if np.any(moved & grown):
            return (
                np.asarray(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR), np.uint8),
                moved,
                wrist,
                area,
            )
    return placed


def _place(
    hand: CutHand, size: tuple[int, int], rng: np.random.Generator, share: float, side: Side, hidden: float
) -> _Placed:
    """Returns a hand on the whole canvas: picture, mask, the wrist's direction, and its area were it seen whole.

    It comes in over a side of the canvas and is as long as a share of the canvas' shorter side; `hidden` is the
    share of its length that has not come in yet.
    """
    width, height = size
    out = np.array(_OUTWARD[side])
    wanted = np.arctan2(out[1], out[0]) + rng.uniform(-0.6, 0.6)
    turn = wanted - np.arctan2(hand.wrist[1], hand.wrist[0])
    y, x = np.nonzero(hand.mask)
    points = np.stack([x, y], axis=1).astype(np.float64)
    axis = np.array([np.cos(turn), -np.sin(turn)]), np.array([np.sin(turn), np.cos(turn)])
    turned = np.stack([points @ axis[0], points @ axis[1]], axis=1)
    span = np.ptp(turned @ out)
    scale = share * min(size) / span
    turned *= scale
    low, high = turned.min(axis=0), turned.max(axis=0)
    length = span * scale
    # Its wrist's end lies on the rim, and a little beyond it.
    beyond = hidden * length + rng.uniform(0.0, 0.04) * length
    shift = np.zeros(2)
    for dimension, extent in enumerate((width, height)):
        if out[dimension] > 0:
            shift[dimension] = extent + beyond - high[dimension]
        elif out[dimension] < 0:
            shift[dimension] = -beyond - low[dimension]
        else:
            free = extent - (high[dimension] - low[dimension])
            shift[dimension] = rng.uniform(min(0, free), max(0, free)) - low[dimension]
    matrix = np.array([[*(scale * axis[0]), shift[0]], [*(scale * axis[1]), shift[1]]])
    source = cv2.GaussianBlur(hand.picture, (0, 0), 0.4 / scale) if scale < 0.7 else hand.picture
    picture = np.asarray(cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
    mask = np.asarray(cv2.warpAffine(hand.mask, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
    wrist = np.array([np.cos(wanted), np.sin(wanted)])
    return picture, np.where(mask > 127, 255, 0).astype(np.uint8), wrist, len(points) * scale**2


def _blend(canvas: Picture, picture: Picture, mask: Picture, _wrist: Floats, _area: float = 0.0) -> None:
    """Lays a hand on the canvas, its rim softened; the ground it was taken on does not come along."""
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8))
    share = cv2.GaussianBlur(inner, (0, 0), 0.8).astype(np.float32)[..., None] / 255
    canvas[:] = np.clip(share * picture + (1 - share) * canvas, 0, 255).astype(np.uint8)
