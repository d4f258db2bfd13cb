"""Hand from ground.

No single channel parts hand from ground everywhere: near-infrared is a bright hand on black with a strong fall of
light to the rim, a desk camera gives skin on white with shadows and burnt-out spots. Each channel below is one opinion
where a hand is bright. Each opinion is cut by Otsu on a thumbnail and sharpened on the hand's own crop, where the
threshold follows the light: half way between the hand and the ground around each pixel. Which opinion was right is
decided later, by whether its outline has the valleys of a hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.arrays import FOUR_NEIGHBOURS, GREY_AXES, TINY_SHARE, WHITE, Floats, Mask, Pixels
from edge_agent.palm.hand.proportions import (
    CROP_MARGIN,
    EDGE_SHARE,
    ENLARGED_MAX,
    GROUND_CELL,
    HAND_LEVEL,
    HAND_LEVEL_GROUND,
    HAND_LEVEL_TINT,
    HAND_SHARE,
    LAB_GAIN,
    LAB_WEIGHTS,
    LEVEL_BLUR,
    LIGHT_REACH,
    LIGHT_ROUNDS,
    LOGARITHM_OFFSET,
    OTSU_SHARE,
    OTSU_SHARE_COLOUR,
    PICTURE_SIDE,
    RADIUS_MIN,
    REDNESS_GAIN,
    REDNESS_NEUTRAL,
    RIM_SHARE_MAX,
    SLIVER_AREA_MAX,
    SLIVER_LENGTH_MIN,
    SLIVER_THICKNESS_MAX,
    SPECK_SIDE,
    THREAD_SIDE,
    THUMBNAIL_SIDE,
    TINT_BURNT,
    TINT_BURNT_RANGE,
    TINT_FULL,
    TINT_OFFSET,
    WORK_SIDE,
)

Box = tuple[int, int, int, int]

_GREY_LEVELS: Final = np.arange(WHITE + 1, dtype=np.float64)
_ROOT: Final = np.clip(WHITE * np.sqrt(_GREY_LEVELS / WHITE), 0, WHITE).astype(np.uint8)
_LOGARITHM: Final = np.clip(
    WHITE
    * np.log((_GREY_LEVELS + LOGARITHM_OFFSET) / LOGARITHM_OFFSET)
    / np.log((WHITE + LOGARITHM_OFFSET) / LOGARITHM_OFFSET),
    0,
    WHITE,
).astype(np.uint8)
_TINT_LOGARITHM: Final = np.log(_GREY_LEVELS + TINT_OFFSET).astype(np.float32)
_CELL_NUMBERS: Final = np.array([64 * 64, 64, 1])  # a number for each cell of Lab, less than 64 cells each way


@dataclass(frozen=True, slots=True)
class HandChannel:
    """One opinion where the hand is bright, with how low its threshold may go."""

    name: str
    # Of a picture and the colour of its ground, which grey pictures have none of, a map that is bright on the hand.
    brighten: Callable[[Pixels, Floats | None], Pixels] = field(repr=False)
    otsu_share: float = OTSU_SHARE
    hand_level: float = HAND_LEVEL


@dataclass(frozen=True, slots=True)
class Silhouette:
    """A hand's mask on its own crop of the picture, scaled so that every hand is about as large."""

    channel: str
    image: Pixels = field(repr=False)  # the crop
    mask: Mask = field(repr=False)  # slivers of ground between closed fingers stay open in it
    solid: Mask = field(repr=False)  # the mask with its slivers filled
    radius: float  # px of the crop; of the largest circle within: R, the unit of every length that follows
    scale: float  # picture = crop / scale + offset
    offset: tuple[float, float]

    def to_picture(self, points: Floats) -> Floats:
        """Returns points (..., 2) of the crop in the picture's px."""
        # Pixel centres, not corners, are what a resize maps: half a pixel either way.
        return np.asarray((points + 0.5) / self.scale - 0.5 + np.array(self.offset), np.float64)

    def from_picture(self, points: Floats) -> Floats:
        """Returns points (..., 2) of the picture in the crop's px."""
        return np.asarray((points - np.array(self.offset) + 0.5) * self.scale - 0.5, np.float64)


def find_silhouettes(picture: Pixels) -> Iterator[Silhouette]:
    """Yields each channel's opinion of the hand, the usually best first."""
    # A picture of three working sides loses nothing of a hand, and many megapixels are gone through once only; whole
    # pixels are averaged fastest.
    first = 1 / max(1, -(-max(picture.shape[:2]) // PICTURE_SIDE))
    for silhouette in _cut_channels(_resize(picture, first)):
        x, y = silhouette.offset
        yield replace(silhouette, scale=silhouette.scale * first, offset=(x / first, y / first))


def see_parts(picture: Pixels, name: str) -> tuple[Mask, float]:
    """Returns what a channel takes for hand in the whole picture, made `WORK_SIDE` px long, and that scale."""
    channel = next(each for each in (*_GREY_CHANNELS, *_COLOUR_CHANNELS) if each.name == name)
    scale = min(1.0, WORK_SIDE / max(picture.shape[:2]))
    small = _resize(picture, scale)
    ground = _measure_ground(small) if small.ndim > GREY_AXES else None
    level, threshold = _cut_level(small, ground, channel)
    return _drop_specks(level, threshold), scale


def _cut_level(image: Pixels, ground: Floats | None, channel: HandChannel) -> tuple[Pixels, float]:
    """Returns a channel's level and the threshold that parts hand from ground in it."""
    level = np.asarray(cv2.GaussianBlur(channel.brighten(image, ground), (0, 0), LEVEL_BLUR), np.uint8)
    threshold, _ = cv2.threshold(level.reshape(-1, 1), 0, WHITE, cv2.THRESH_OTSU)
    return level, threshold * channel.otsu_share


def _drop_specks(level: Pixels, threshold: float) -> Mask:
    """Returns the mask of what is above a threshold, specks left out."""
    rough = (level > threshold).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(rough, cv2.MORPH_OPEN, np.ones((SPECK_SIDE, SPECK_SIDE), np.uint8)), np.uint8)


def measure_distances(mask: Mask) -> NDArray[np.float32]:
    """Returns each pixel's distance in px to the nearest that is not in the mask; the map has a rim of one px more."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def convert_to_grey(image: Pixels) -> Pixels:
    """Returns a grey picture as it is, and the lightness of a colour picture."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8) if image.ndim > GREY_AXES else image


def _cut_channels(image: Pixels) -> Iterator[Silhouette]:
    """Yields the silhouettes that the channels see in a picture of at most `PICTURE_SIDE`."""
    shrink = min(1.0, THUMBNAIL_SIDE / max(image.shape[:2]))
    small = _resize(image, shrink)
    ground = _measure_ground(small) if image.ndim > GREY_AXES else None
    for channel in _GREY_CHANNELS if ground is None else _COLOUR_CHANNELS:
        level, threshold = _cut_level(small, ground, channel)
        parts = _find_largest(_drop_specks(level, threshold))
        if parts is None:
            continue
        hand, box = parts
        rim = np.concatenate([hand[0], hand[-1], hand[:, 0], hand[:, -1]])
        if not HAND_SHARE.low <= hand.mean() <= HAND_SHARE.high or rim.mean() > RIM_SHARE_MAX:
            continue
        crop = _locate_crop(box, shrink, image.shape)
        silhouette = _cut_crop(image, crop, ground, channel, threshold)
        if silhouette is not None:
            yield silhouette


def _cut_crop(
    image: Pixels, box: Box, ground: Floats | None, channel: HandChannel, threshold: float
) -> Silhouette | None:
    """Returns the silhouette on the hand's own crop, or None where there is none of a hand's size."""
    start_x, start_y, end_x, end_y = box
    crop = image[start_y:end_y, start_x:end_x]
    scale = min(ENLARGED_MAX, WORK_SIDE / max(crop.shape[:2]))
    work = _resize(crop, scale)
    level = np.asarray(cv2.GaussianBlur(channel.brighten(work, ground), (0, 0), LEVEL_BLUR), np.uint8)
    mask = _follow_light(level, (level > threshold).astype(np.uint8), channel.hand_level)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THREAD_SIDE, THREAD_SIDE))
    parts = _find_largest(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, disk), np.uint8))
    if parts is None:
        return None
    mask = parts[0]
    radius = _measure_radius(mask)
    if radius < RADIUS_MIN:
        return None
    mask, solid = fill_holes(mask, radius)
    # Burnt-out spots hide how wide the palm is until they are filled.
    radius = _measure_radius(solid)
    return Silhouette(channel.name, work, mask, solid, radius, scale, (float(start_x), float(start_y)))


def _measure_radius(mask: Mask) -> float:
    """Returns the radius in px of the largest circle within the mask."""
    return float(measure_distances(mask).max())


def _resize(image: Pixels, scale: float) -> Pixels:
    """Returns the picture enlarged `scale` times."""
    if scale == 1.0:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def _locate_crop(box: Box, shrink: float, shape: tuple[int, ...]) -> Box:
    """Returns left, top, right, bottom in the picture of a thumbnail's box (x, y, width, height), with a margin."""
    x, y, width, height = box
    pad = CROP_MARGIN * max(width, height)
    start_x, start_y = max(0, int((x - pad) / shrink)), max(0, int((y - pad) / shrink))
    end_x = min(shape[1], int((x + width + pad) / shrink) + 1)
    end_y = min(shape[0], int((y + height + pad) / shrink) + 1)
    return start_x, start_y, end_x, end_y


def _find_largest(mask: Mask) -> tuple[Mask, Box] | None:
    """Returns the largest part with its box (x, y, width, height)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=FOUR_NEIGHBOURS)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, width, height = (int(value) for value in stats[largest, : cv2.CC_STAT_AREA])
    return (labels == largest).astype(np.uint8), (x, y, width, height)


def _follow_light(level: Pixels, mask: Mask, hand_level: float) -> Mask:
    """Returns the mask with its edge moved to where the level is between hand and ground as they are nearby."""
    value = level.astype(np.float32)
    window = (2 * LIGHT_REACH + 1, 2 * LIGHT_REACH + 1)
    total = cv2.boxFilter(value, -1, window)
    for _ in range(LIGHT_ROUNDS):
        hand = mask.astype(np.float32)
        share = cv2.boxFilter(hand, -1, window)
        bright = cv2.boxFilter(value * hand, -1, window)
        threshold = hand_level * bright / np.maximum(share, TINY_SHARE)
        threshold += (1 - hand_level) * (total - bright) / np.maximum(1 - share, TINY_SHARE)
        is_edge = (share > EDGE_SHARE.low) & (share < EDGE_SHARE.high)
        mask = np.where(is_edge, value > threshold, mask).astype(np.uint8)
    return mask


def fill_holes(mask: Mask, radius: float) -> tuple[Mask, Mask]:
    """Returns two masks without holes: in the first thin slivers of ground stay open, in the second none does."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=FOUR_NEIGHBOURS)
    height, width = mask.shape
    filled, solid = mask.copy(), mask.copy()
    for hole in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[hole])
        if x == 0 or y == 0 or x + w == width or y + h == height:
            continue
        inside = labels[y : y + h, x : x + w] == hole
        solid[y : y + h, x : x + w][inside] = 1
        padded = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        thickness = float(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_3).max())
        is_long = max(w, h) > SLIVER_LENGTH_MIN * radius
        is_thin = thickness < SLIVER_THICKNESS_MAX * radius and area < SLIVER_AREA_MAX * radius * radius
        if not (is_long and is_thin):
            filled[y : y + h, x : x + w][inside] = 1
    return filled, solid


def _measure_ground(image: Pixels) -> Floats:
    """Returns the commonest colour along the picture's rim, (4,): in Lab, and its red over blue."""
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), np.float64)
    values = np.concatenate([lab, _divide_red_by_blue(image)[..., None]], axis=2)
    rim = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    cells = (rim[:, :-1] // GROUND_CELL).astype(np.int64) @ _CELL_NUMBERS
    kinds, counts = np.unique(cells, return_counts=True)
    return np.asarray(np.median(rim[cells == kinds[np.argmax(counts)]], axis=0), np.float64)


def _divide_red_by_blue(image: Pixels) -> NDArray[np.float32]:
    """Returns the logarithm of red over blue, which shadows hardly change."""
    return np.asarray(_TINT_LOGARITHM[image[..., 2]] - _TINT_LOGARITHM[image[..., 0]], np.float32)


def _brighten_by_logarithm(image: Pixels, _ground: Floats | None) -> Pixels:
    """Returns a map that keeps even the dimmest fingertips, and takes a lit housing behind the hand for skin."""
    return np.asarray(cv2.LUT(convert_to_grey(image), _LOGARITHM), np.uint8)


def _brighten_by_root(image: Pixels, _ground: Floats | None) -> Pixels:
    """Returns a map that keeps the dim fingertips of a near-infrared picture."""
    return np.asarray(cv2.LUT(convert_to_grey(image), _ROOT), np.uint8)


def _invert(image: Pixels, _ground: Floats | None) -> Pixels:
    """Returns a map for a dark hand on a bright ground."""
    return np.asarray(WHITE - convert_to_grey(image), np.uint8)


def _show_redness(image: Pixels, _ground: Floats | None) -> Pixels:
    """Returns a map of how red a colour is for how little blue."""
    chroma = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb), np.int16)
    redness = REDNESS_NEUTRAL + REDNESS_GAIN * (chroma[..., 1] - chroma[..., 2])
    return np.asarray(np.clip(redness, 0, WHITE), np.uint8)


def _show_tint(image: Pixels, ground: Floats | None) -> Pixels:
    """Returns a map of how much more red over blue a colour has than the ground."""
    assert ground is not None, "colour only"
    # Red over blue hardly changes in shadow, and a burnt-out spot of skin keeps a little of it: doubled there.
    brightest = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2]).astype(np.float32)
    gain = (WHITE / TINT_FULL) * (1 + np.clip((brightest - TINT_BURNT) / TINT_BURNT_RANGE, 0, 1))
    return np.asarray(np.clip((_divide_red_by_blue(image) - np.float32(ground[-1])) * gain, 0, WHITE), np.uint8)


def _show_distance(image: Pixels, ground: Floats | None) -> Pixels:
    """Returns a map of how far a colour is from the ground's, lightness counting least."""
    assert ground is not None, "colour only"
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), np.float32) - ground[:-1].astype(np.float32)
    lab *= np.array(LAB_WEIGHTS, np.float32)
    distance = np.sqrt(lab[..., 0] ** 2 + lab[..., 1] ** 2 + lab[..., 2] ** 2)
    return np.asarray(np.clip(LAB_GAIN * distance, 0, WHITE), np.uint8)


_GREY_CHANNELS: Final = (
    HandChannel("logarithm", _brighten_by_logarithm),
    HandChannel("root", _brighten_by_root),
    HandChannel("dark", _invert),
)
_COLOUR_CHANNELS: Final = (
    HandChannel("skin", _show_redness),
    HandChannel("tint", _show_tint, OTSU_SHARE_COLOUR, HAND_LEVEL_TINT),
    HandChannel("ground", _show_distance, OTSU_SHARE_COLOUR, HAND_LEVEL_GROUND),
    HandChannel("dark", _invert),
    HandChannel("root", _brighten_by_root),
)
