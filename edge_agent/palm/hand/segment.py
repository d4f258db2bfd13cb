"""Hand from ground.

No single channel parts hand from ground everywhere: near-infrared is a bright hand on black with a strong
fall of light to the rim, a desk camera gives skin on white with shadows and burnt-out spots. Each channel
below is one opinion where a hand is bright; each opinion is cut by Otsu on a thumbnail and sharpened on the
hand's own crop, where the threshold follows the light: half way between the hand and the ground around each
pixel. Which opinion was right is decided later, by whether its outline has the valleys of a hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]

THUMBNAIL_SIDE = 200
WORK_SIDE = 320
HAND_SHARE_MIN = 0.008
HAND_SHARE_MAX = 0.93
# A ground rings the picture; a hand enters it from one side or two.
RIM_SHARE_MAX = 0.75
RADIUS_MIN = 20.0
_SECOND_HAND_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Channel:
    """One opinion where the hand is bright, with how low its threshold may go."""

    name: str
    # Of a picture and the colour of its ground, which grey pictures have none of.
    level: Callable[[NDArray[np.uint8], Floats | None], NDArray[np.uint8]] = field(repr=False)
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
    # Three times the working size loses nothing of a hand, and many megapixels are gone through once only; whole
    # pixels are averaged fastest.
    first = 1 / max(1, -(-max(picture.shape[:2]) // (3 * WORK_SIDE)))
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
    for channel in _GREY if ground is None else _COLOUR:
        level = cv2.GaussianBlur(channel.level(small, ground), (0, 0), 1.0)
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
        silhouette = _sharpen(image, _crop_of(box, shrink, image.shape), ground, channel, threshold, second)
        if silhouette is not None:
            yield silhouette


def _sharpen(
    image: NDArray[np.uint8], box: Box, ground: Floats | None, channel: Channel, threshold: float, second: Box | None
) -> Silhouette | None:
    left, top, right, bottom = box
    crop = image[top:bottom, left:right]
    scale = min(2.0, WORK_SIDE / max(crop.shape[:2]))
    work = _resize(crop, scale)
    level = np.asarray(cv2.GaussianBlur(channel.level(work, ground), (0, 0), 1.0), np.uint8)
    mask = _follow_light(level, (level > threshold).astype(np.uint8), WORK_SIDE // 12, channel.hand_share)
    mask = np.asarray(
        cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))), np.uint8
    )
    found = _largest(mask)
    if found is None:
        return None
    mask = found[0]
    radius = _inscribed(mask)
    if radius < RADIUS_MIN:
        return None
    mask, solid = _fill(mask, radius)
    # Burnt-out spots hide how wide the palm is until they are filled.
    return Silhouette(channel.name, work, mask, solid, _inscribed(solid), scale, (float(left), float(top)), second)


def _inscribed(mask: Mask) -> float:
    """Return the radius of the largest circle within."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return float(cv2.distanceTransform(padded, cv2.DIST_L2, 5).max())


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
_LOG_12 = np.log(_STEPS + 12).astype(np.float32)
_LOGARITHM = np.clip(255 * np.log((_STEPS + 8) / 8) / np.log(263 / 8), 0, 255).astype(np.uint8)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _logarithm(image: NDArray[np.uint8], _ground: Floats | None) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(_grey(image), _LOGARITHM), np.uint8)


def _root(image: NDArray[np.uint8], _ground: Floats | None) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(_grey(image), _ROOT), np.uint8)


def _dark(image: NDArray[np.uint8], _ground: Floats | None) -> NDArray[np.uint8]:
    return np.asarray(255 - _grey(image), np.uint8)


def _skin(image: NDArray[np.uint8], _ground: Floats | None) -> NDArray[np.uint8]:
    chroma = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb), np.int16)
    return np.asarray(np.clip(128 + 2 * (chroma[..., 1] - chroma[..., 2]), 0, 255), np.uint8)


def _tint(image: NDArray[np.uint8], ground: Floats | None) -> NDArray[np.uint8]:
    assert ground is not None, "colour only"
    # Red over blue hardly changes in shadow, and a burnt-out spot of skin keeps a little of it: doubled there.
    brightest = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2]).astype(np.float32)
    gain = (255 / 0.45) * (1 + np.clip((brightest - 205) / 40, 0, 1))
    return np.asarray(np.clip((_red_over_blue(image) - np.float32(ground[3])) * gain, 0, 255), np.uint8)


def _away(image: NDArray[np.uint8], ground: Floats | None) -> NDArray[np.uint8]:
    """How far a colour is from the ground's, lightness counting least."""
    assert ground is not None, "colour only"
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), np.float32) - ground[:3].astype(np.float32)
    lab *= np.array([0.35, 2.2, 2.2], np.float32)
    away = np.sqrt(lab[..., 0] ** 2 + lab[..., 1] ** 2 + lab[..., 2] ** 2)
    return np.asarray(np.clip(2.5 * away, 0, 255), np.uint8)


_GREY = (Channel("logarithm", _logarithm), Channel("root", _root), Channel("dark", _dark))
_COLOUR = (
    Channel("skin", _skin),
    Channel("tint", _tint, 0.6, 0.35),
    Channel("ground", _away, 0.6, 0.3),
    Channel("dark", _dark),
    Channel("root", _root),
)


def _red_over_blue(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(_LOG_12[image[..., 2]] - _LOG_12[image[..., 0]], np.float32)


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
