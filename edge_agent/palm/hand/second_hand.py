"""If another hand is in the picture, beside the one that was found.

Whatever the channel that found the hand takes for hand is cut where it is narrow, and at the found hand's own reach.
Each large part that is left is judged: an open hand has fingers that stand out, with gaps between them that open
alike; a closed one has neither, and is a hand where two channels see its valleys. Parts much smaller than the hand
are those who wait their turn: the hand is clearly presented.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from edge_agent.palm.hand.anatomy.valleys import FingerValleys
from edge_agent.palm.hand.arrays import FOUR_NEIGHBOURS, Flags, Floats, Mask, Pixels
from edge_agent.palm.hand.outline_shape import HandShape, measure_shape
from edge_agent.palm.hand.proportions import (
    FOREARM_ASIDE_MAX,
    FOREARM_HEIGHT,
    NECK_SHARE,
    OTHER_PART_RADIUS_MAX,
    OTHER_PART_SHARE_MIN,
    OWN_PART_SHARE_MIN,
    OWN_REACH,
    OWN_REST_SIDE,
    OWN_RIM_MAX,
    OWN_SCORE_SURE_MAX,
    OWN_SOLIDITY_MAX,
    PIECES_NEAR_MAX,
    SECOND_SCORE_CLOSED_MAX,
    SECOND_SCORE_OPEN_MAX,
    SPECK_SIDE,
    THREAD_SIDE,
    TOUCHING_GAPS_MIN,
)
from edge_agent.palm.hand.segment import Silhouette, find_silhouettes, measure_distances, see_parts
from edge_agent.palm.hand.views import HandView, add_closed_gaps, view_outline


@dataclass(frozen=True, slots=True)
class OtherPart:
    """A large part of the picture that is no part of the found hand."""

    mask: Mask = field(repr=False)  # of the small picture
    box: tuple[int, int, int, int]  # left, top, right, bottom in the picture
    touches: bool  # the found hand


@dataclass(frozen=True, slots=True)
class DividedPicture:
    """A small copy of the picture, divided into the found hand and the other parts."""

    hand: Mask = field(repr=False)
    parts: Flags = field(repr=False)  # True on all that the channel takes for hand
    others: tuple[OtherPart, ...]


def is_ground(picture: Pixels, silhouette: Silhouette, valleys: FingerValleys) -> bool:
    """Returns True where a "hand" lies along the picture's rim for longer than a forearm is wide."""
    height, width = picture.shape[:2]
    mask, (left, top) = silhouette.solid, silhouette.offset
    right, bottom = left + mask.shape[1] / silhouette.scale, top + mask.shape[0] / silhouette.scale
    sides = [(left <= 0, mask[:, 0]), (top <= 0, mask[0])]
    sides += [(right >= width - 1, mask[:, -1]), (bottom >= height - 1, mask[-1])]
    return sum(int(np.count_nonzero(side)) for at_rim, side in sides if at_rim) > OWN_RIM_MAX * valleys.length


def find_second_hands(picture: Pixels, divided: DividedPicture) -> list[OtherPart]:
    """Returns the other parts that are hands too."""
    return [part for part in divided.others if _is_hand(picture, part)]


def is_likely_hand(view: HandView, divided: DividedPicture) -> bool:
    """Returns True where the found hand is surely one, and not a face or a bun that has valleys by chance."""
    shape = measure_shape(divided.hand)
    return view.score < OWN_SCORE_SURE_MAX or shape.is_hand or shape.solidity < OWN_SOLIDITY_MAX


def paint_out(picture: Pixels, divided: DividedPicture) -> Pixels:
    """Returns the picture with ground in the place of what was taken for the hand."""
    height, width = picture.shape[:2]
    grown = cv2.dilate(divided.hand, np.ones((THREAD_SIDE, THREAD_SIDE), np.uint8))
    where = cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    ground = cv2.resize(divided.parts.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) == 0
    painted = picture.copy()
    if ground.any():
        painted[where] = np.median(picture[ground], axis=0).astype(np.uint8)
    return painted


def divide(picture: Pixels, silhouette: Silhouette, valleys: FingerValleys) -> DividedPicture:
    """Returns the picture divided into the hand and the other parts that are a fair share of its size."""
    parts, scale = see_parts(picture, silhouette.channel)
    middle = silhouette.to_picture(valleys.points)[[0, -1]].mean(axis=0) * scale
    length = valleys.length / silhouette.scale * scale
    reach = draw_reach(parts.shape, middle, valleys.up, length)
    _, labels = cv2.connectedComponents(parts, connectivity=FOUR_NEIGHBOURS)
    own = np.bincount(labels[(reach > 0) & (parts > 0)], minlength=2).argmax()
    hand, hanging = _cut_at_necks((labels == own).astype(np.uint8), reach)
    side = max(SPECK_SIDE, int(OWN_REST_SIDE * length))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    rest = np.asarray(cv2.morphologyEx(hand & (1 - reach), cv2.MORPH_OPEN, disk), np.uint8)
    apart = ((labels > 0) & (labels != own)).astype(np.uint8)
    touching = [
        mask
        for mask in (*hanging, *_split(rest, 0.0))
        if np.count_nonzero(mask & reach) < OWN_PART_SHARE_MIN * np.count_nonzero(mask)
        and not _is_forearm(mask, middle, valleys.up, length)
    ]
    area_min = OTHER_PART_SHARE_MIN * np.count_nonzero(hand & reach)
    others = []
    for mask, touches in (*((each, False) for each in _split(apart, length)), *((each, True) for each in touching)):
        if np.count_nonzero(mask) < area_min or measure_distances(mask).max() > OTHER_PART_RADIUS_MAX * length:
            continue
        x, y, width, height = cv2.boundingRect(mask)
        box = (int(x / scale), int(y / scale), int((x + width) / scale) + 1, int((y + height) / scale) + 1)
        others.append(OtherPart(mask, box, touches))
    return DividedPicture(hand, parts > 0, tuple(others))


def draw_reach(shape: tuple[int, ...], middle: Floats, up: Floats, length: float) -> Mask:
    """Returns the mask of all that may belong to a hand, its thumb on either side.

    `middle` (2,) lies between its outer valleys.
    """
    along = np.array([-up[1], up[0]])
    side = np.array(OWN_REACH)
    corners = np.vstack([side, side[::-1] * (-1, 1)])
    placed = middle + length * (corners[:, :1] * along + corners[:, 1:] * up)
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(placed).astype(np.int32)], 1)
    return mask


def _split(mask: Mask, length: float) -> Iterator[Mask]:
    """Yields the parts of a mask; pieces that lie near each other, as fingers do that come in, are one part."""
    side = 2 * int(0.5 * PIECES_NEAR_MAX * length) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    joined = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disk), np.uint8)
    count, numbers = cv2.connectedComponents(joined, connectivity=FOUR_NEIGHBOURS)
    yield from (((numbers == number) & (mask > 0)).astype(np.uint8) for number in range(1, count))


def _cut_at_necks(blob: Mask, reach: Mask) -> tuple[Mask, list[Mask]]:
    """Returns the part of a blob around the hand's palm, and the parts that hang on it by something narrower."""
    distances = measure_distances(blob)[1:-1, 1:-1]
    cores = (distances > NECK_SHARE * float(distances[reach > 0].max(initial=0.0))).astype(np.uint8)
    count, numbers = cv2.connectedComponents(cores, connectivity=FOUR_NEIGHBOURS)
    within = (reach > 0) & (cores > 0)
    if count <= 2 or not within.any():
        return blob, []
    own = int(np.bincount(numbers[within]).argmax())
    _, nearest = cv2.distanceTransformWithLabels(
        1 - cores, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every pixel has the label of the core's pixel that is nearest, and so its core.
    owners = np.zeros(int(nearest.max()) + 1, np.intp)
    owners[nearest[cores > 0]] = numbers[cores > 0]
    parts = [((owners[nearest] == number) & (blob > 0)).astype(np.uint8) for number in range(1, count)]
    return parts[own - 1], [part for number, part in enumerate(parts, 1) if number != own]


def _is_forearm(mask: Mask, middle: Floats, up: Floats, length: float) -> bool:
    """Returns True for what lies where the hand's own forearm is, with its sleeve; `mask` is not empty."""
    y, x = np.nonzero(mask)
    offset = (np.array([x.mean(), y.mean()]) - middle) / length
    aside, height = abs(float(offset @ np.array([-up[1], up[0]]))), float(offset @ up)
    return aside < FOREARM_ASIDE_MAX and bool(FOREARM_HEIGHT.holds(height))


def _is_hand(picture: Pixels, part: OtherPart) -> bool:
    """Returns True where a part is a hand, open or closed."""
    shape = measure_shape(part.mask)
    if part.touches:
        return shape.is_hand or (shape.has_gaps and shape.gaps >= TOUCHING_GAPS_MIN)
    return shape.is_hand or _agree_on_valleys(picture, part, shape)


def _agree_on_valleys(picture: Pixels, part: OtherPart, shape: HandShape) -> bool:
    """Returns True where two channels see a hand's valleys; they may be less sure of them where gaps stand open."""
    left, top, right, bottom = part.box
    crop = picture[top:bottom, left:right]
    limit = SECOND_SCORE_OPEN_MAX if shape.has_gaps else SECOND_SCORE_CLOSED_MAX
    seen = 0
    for silhouette in find_silhouettes(crop):
        seen += add_closed_gaps(view_outline(silhouette)).score < limit
        if seen == 2:
            return True
    return False
