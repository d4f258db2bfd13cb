"""Hand from ground.

No single channel parts hand from ground everywhere: near-infrared is a bright hand on black with a strong
fall of light to the rim, a desk camera gives skin on white with shadows and burnt-out spots. Each channel
below is one opinion where a hand is bright; each opinion is cut by Otsu on a thumbnail and sharpened on the
hand's own crop, where the threshold follows the light: half way between the hand and the ground around each
pixel. Which opinion was right is decided later, by whether its outline has the valleys of a hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]

THUMBNAIL_SIDE = 200
WORK_SIDE = 400
HAND_SHARE_MIN = 0.008
HAND_SHARE_MAX = 0.93
# A ground rings the picture; a hand enters it from one side or two.
RIM_SHARE_MAX = 0.75
RADIUS_MIN = 12.0
_SECOND_HAND_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Channel:
    """One opinion where the hand is bright, with how low its threshold may go."""

    name: str
    level: NDArray[np.uint8] = field(repr=False)
    # Share of Otsu's threshold, and the hand's share in the local one: below 1 and .5 where burnt-out skin
    # looks nearly like ground.
    otsu_share: float = 1.0
    hand_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Silhouette:
    """A hand's mask on its own crop of the picture, scaled so that every hand is about as large."""

    channel: str
    image: NDArray[np.uint8] = field(repr=False)
    mask: Mask = field(repr=False)
    # The mask with its specks filled; slivers of ground between closed fingers stay open in `mask`.
    solid: Mask = field(repr=False)
    # Radius of the largest circle within: half a palm's width, the unit of every length that follows.
    radius: float
    # picture = crop / scale + offset
    scale: float
    offset: tuple[float, float]
    # Another part of the picture, about as large, that the same channel takes for a hand: left, top, right, bottom.
    second: Box | None

    def to_picture(self, points: Floats) -> Floats:
        # Pixel centres, not corners, are what a resize maps: half a pixel either way.
        return np.asarray((points + 0.5) / self.scale - 0.5 + np.array(self.offset), np.float64)

    def from_picture(self, points: Floats) -> Floats:
        return np.asarray((points - np.array(self.offset) + 0.5) * self.scale - 0.5, np.float64)


def silhouettes(picture: NDArray[np.uint8]) -> Iterator[Silhouette]:
    """Yield each channel's opinion of the hand, the usually best first."""
    # Four times the working size loses nothing of a hand, and many megapixels are gone through once only.
    first = min(1.0, 4 * WORK_SIDE / max(picture.shape[:2]))
    for silhouette in _opinions(_resize(picture, first)):
        left, top = silhouette.offset
        second = silhouette.second
        yield replace(
            silhouette,
            scale=silhouette.scale * first,
            offset=(left / first, top / first),
            second=second and _scaled(second, 1 / first),
        )


def _opinions(image: NDArray[np.uint8]) -> Iterator[Silhouette]:
    height, width = image.shape[:2]
    shrink = min(1.0, THUMBNAIL_SIDE / max(height, width))
    small = _resize(image, shrink)
    ground = _ground(small) if image.ndim == 3 else None
    for channel in _channels(small, ground):
        level = cv2.GaussianBlur(channel.level, (0, 0), 1.0)
        threshold, _ = cv2.threshold(level.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
        threshold *= channel.otsu_share
        rough = (level > threshold).astype(np.uint8)
        rough = np.asarray(cv2.morphologyEx(rough, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        found = _largest(rough)
        if found is None:
            continue
        blob, box, other = found
        rim = np.concatenate([blob[0], blob[-1], blob[:, 0], blob[:, -1]])
        if not HAND_SHARE_MIN <= blob.mean() <= HAND_SHARE_MAX or rim.mean() > RIM_SHARE_MAX:
            continue
        second = None if other is None else _crop_of(other, shrink, image.shape)
        silhouette = _sharpen(image, _crop_of(box, shrink, image.shape), ground, channel.name, threshold, second)
        if silhouette is not None:
            yield silhouette


def _sharpen(
    image: NDArray[np.uint8], box: Box, ground: Floats | None, name: str, threshold: float, second: Box | None
) -> Silhouette | None:
    left, top, right, bottom = box
    crop = image[top:bottom, left:right]
    scale = min(2.0, WORK_SIDE / max(crop.shape[:2]))
    work = _resize(crop, scale)
    channel = next((c for c in _channels(work, ground) if c.name == name), None)
    if channel is None:
        return None
    level = np.asarray(cv2.GaussianBlur(channel.level, (0, 0), 1.0), np.uint8)
    mask = _follow_light(level, (level > threshold).astype(np.uint8), WORK_SIDE // 12, channel.hand_share)
    mask = np.asarray(
        cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))), np.uint8
    )
    found = _largest(mask)
    if found is None:
        return None
    mask = found[0]
    inscribed = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)
    radius = float(inscribed.max())
    if radius < RADIUS_MIN:
        return None
    mask, solid = _fill(mask, radius)
    return Silhouette(name, work, mask, solid, radius, scale, (float(left), float(top)), second)


def _resize(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1.0:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def _scaled(box: Box, by: float) -> Box:
    left, top, right, bottom = (int(v * by) for v in box)
    return left, top, right, bottom


def _crop_of(box: Box, shrink: float, shape: tuple[int, ...]) -> Box:
    """Return left, top, right, bottom in the picture of a thumbnail's box, with a margin."""
    x, y, width, height = box
    pad = 0.06 * max(width, height)
    left, top = max(0, int((x - pad) / shrink)), max(0, int((y - pad) / shrink))
    right = min(shape[1], int((x + width + pad) / shrink) + 1)
    bottom = min(shape[0], int((y + height + pad) / shrink) + 1)
    return left, top, right, bottom


# Gamma ½ keeps the dim fingertips of a near-infrared picture, the logarithm even the dimmest, at the price of
# taking a lit housing behind the hand for skin.
_STEPS = np.arange(256, dtype=np.float64)
_ROOT = np.clip(255 * np.sqrt(_STEPS / 255), 0, 255).astype(np.uint8)
_LOGARITHM = np.clip(255 * np.log((_STEPS + 8) / 8) / np.log(263 / 8), 0, 255).astype(np.uint8)


def _channels(image: NDArray[np.uint8], ground: Floats | None) -> list[Channel]:
    if ground is not None:
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        return [*_colour_channels(image, ground), Channel("dark", 255 - grey), Channel("root", _looked_up(grey, _ROOT))]
    return [
        Channel("logarithm", _looked_up(image, _LOGARITHM)),
        Channel("root", _looked_up(image, _ROOT)),
        Channel("dark", 255 - image),
    ]


def _looked_up(grey: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(grey, table), np.uint8)


def _colour_channels(image: NDArray[np.uint8], ground: Floats) -> list[Channel]:
    chroma = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb), np.int16)
    skin = np.clip(128 + 2 * (chroma[..., 1] - chroma[..., 2]), 0, 255).astype(np.uint8)
    # Red over blue hardly changes in shadow, and a burnt-out spot of skin keeps a little of it: doubled there.
    brightest = image.max(axis=2).astype(np.float32)
    gain = (255 / 0.45) * (1 + np.clip((brightest - 205) / 40, 0, 1))
    tint = np.clip((_red_over_blue(image) - ground[3]) * gain, 0, 255).astype(np.uint8)
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), np.float32) - ground[:3].astype(np.float32)
    away = np.sqrt((0.35 * lab[..., 0]) ** 2 + (2.2 * lab[..., 1]) ** 2 + (2.2 * lab[..., 2]) ** 2)
    distance = np.clip(2.5 * away, 0, 255).astype(np.uint8)
    return [Channel("skin", skin), Channel("tint", tint, 0.6, 0.35), Channel("ground", distance, 0.6, 0.3)]


def _red_over_blue(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    red, blue = image[..., 2].astype(np.float32), image[..., 0].astype(np.float32)
    return np.asarray(np.log((red + 12) / (blue + 12)), np.float32)


def _ground(image: NDArray[np.uint8]) -> Floats:
    """Colour of the ground: the commonest one along the picture's rim, in Lab, and its red over blue."""
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), np.float64)
    values = np.concatenate([lab, _red_over_blue(image)[..., None]], axis=2)
    rim = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    cells = (rim[:, :3] // 8).astype(np.int64) @ np.array([4096, 64, 1])
    kinds, counts = np.unique(cells, return_counts=True)
    return np.asarray(np.median(rim[cells == kinds[np.argmax(counts)]], axis=0), np.float64)


def _largest(mask: Mask) -> tuple[Mask, Box, Box | None] | None:
    """Return the largest part with its box, and the box of a second one that is nearly as large."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:
        return None
    order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA])
    boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in stats[order[:2]]]
    areas = stats[order, cv2.CC_STAT_AREA]
    second = boxes[1] if len(boxes) > 1 and areas[1] > _SECOND_HAND_SHARE * areas[0] else None
    return (labels == order[0]).astype(np.uint8), boxes[0], second


def _follow_light(level: NDArray[np.uint8], mask: Mask, reach: int, hand_share: float, rounds: int = 3) -> Mask:
    """Move the edge to where the level is between hand and ground as they are nearby."""
    value = level.astype(np.float32)
    window = (2 * reach + 1, 2 * reach + 1)
    total = cv2.boxFilter(value, -1, window)
    for _ in range(rounds):
        hand = mask.astype(np.float32)
        share = cv2.boxFilter(hand, -1, window)
        bright = cv2.boxFilter(value * hand, -1, window)
        threshold = hand_share * bright / np.maximum(share, 1e-3)
        threshold += (1 - hand_share) * (total - bright) / np.maximum(1 - share, 1e-3)
        mask = np.where((share > 0.05) & (share < 0.95), value > threshold, mask).astype(np.uint8)
    return mask


def _fill(mask: Mask, radius: float) -> tuple[Mask, Mask]:
    """Fill the holes of a mask: specks and burnt-out spots in both, thin slivers of ground in the second only."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    height, width = mask.shape
    filled, solid = mask.copy(), mask.copy()
    for hole in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[hole])
        if x == 0 or y == 0 or x + w == width or y + h == height:
            continue
        inside = labels[y : y + h, x : x + w] == hole
        solid[y : y + h, x : x + w][inside] = 1
        padded = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        thickness = float(cv2.distanceTransform(padded, cv2.DIST_L2, 3).max())
        is_sliver = max(w, h) > 0.2 * radius and thickness < 0.07 * radius and area < 0.6 * radius * radius
        if not is_sliver:
            filled[y : y + h, x : x + w][inside] = 1
    return filled, solid
