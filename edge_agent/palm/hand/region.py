"""A full hand's picture to its palm's region: found, framed by finger valleys, fingers and palm, cut upright.

Orientation of every region: fingers up, and never mirrored. The palm faces the camera, so left and right palms need no
common orientation, and a thumb that is not seen, or seen on the wrong side, changes the hand's name and no pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from edge_agent.palm.hand.anatomy.thumb import name_hand
from edge_agent.palm.hand.anatomy.valleys import FingerValleys
from edge_agent.palm.hand.arrays import BGR, BGRA, COLOUR_AXES, GREY_AXES, HALF_GREY, WHITE, Flags, Floats, Pixels
from edge_agent.palm.hand.landmarks import LandmarkFinder, LandmarkValleys
from edge_agent.palm.hand.proportions import (
    COLOUR_LOOKS,
    COLOURLESS_MAX,
    CUT_BLUR,
    CUT_BLUR_STEP_MIN,
    CUT_MARGIN,
    CUT_MARGIN_EXTRA,
    FIST_ROUNDNESS_MIN,
    NEAR_SHARE_MIN,
    PALM_MIDDLE,
    PALM_MIDDLE_REACH,
    PALM_WIDTH_BELIEVED,
    PICTURE_PIXELS_MAX,
    PICTURE_SIDE_MIN,
    POSE_SCORE,
    RADIUS_TO_LENGTH,
    REGION_DROP,
    REGION_SIZE,
    SCORE_ASK_MIN,
    SCORE_MAX,
    VALLEY_DISTANCE_MIN,
)
from edge_agent.palm.hand.quality import PalmQuality, judge_quality, measure_quality
from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.hand.second_hand import divide, find_second_hands, is_ground, is_likely_hand, paint_out
from edge_agent.palm.hand.segment import Silhouette, convert_to_grey, measure_distances
from edge_agent.palm.hand.views import (
    HandView,
    add_closed_gaps,
    choose_view,
    correct_valleys,
    view_channels,
)
from edge_agent.palm.types import REGION_SIDE, Region


@dataclass(frozen=True, slots=True)
class PalmPlacement:
    """Where the region lies in the picture, in px."""

    corners: Floats = field(repr=False)  # (4, 2), top left and on by top right
    valleys: Floats = field(repr=False)  # (3, 2), left to right, fingers up
    outline: Floats = field(repr=False)  # (n, 2)
    scale_px: float  # about the distance of the outer valleys, steadied by the palm's width
    turn_deg: float  # how far the fingers are turned from straight up, clockwise on the screen


@dataclass(frozen=True, slots=True)
class FramedPalm:
    """A palm that was found in a picture: its region, where that lies, and how good it is."""

    region: Region
    placement: PalmPlacement
    quality: PalmQuality


def find_region(image: Pixels, landmarks: LandmarkFinder | None = None) -> FramedPalm | UnfitPicture:
    """Returns the palm in a grey (H, W) or BGR (H, W, 3) picture of a hand, turned in any way in the plane.

    `landmarks`, where there are any, are asked about colour pictures of which the outline is not sure. A picture
    without a palm that can be compared gives the reason instead; no picture raises.
    """
    picture = _check(image)
    if isinstance(picture, UnfitPicture):
        return picture
    return _find_palm(picture, landmarks if picture.ndim > GREY_AXES else None)


def _find_palm(
    picture: Pixels, finder: LandmarkFinder | None, *, is_second_look: bool = False
) -> FramedPalm | UnfitPicture:
    """Returns the palm in a picture as it is worked on. A second look is at what is left without a wrong hand."""
    views = [view for view in view_channels(picture, follow_closed=finder is None) if not _is_ground(picture, view)]
    best = choose_view(views)
    opinion = None
    # Asked before closed gaps are followed: an opinion saves that.
    if finder is not None and best is not None and best.score >= SCORE_ASK_MIN:
        opinion = finder.find_valleys(picture)
        corrected = correct_valleys(best, opinion) if opinion is not None else None
        if corrected is None:
            opinion, best = None, choose_view([add_closed_gaps(view) for view in views])
        else:
            best = corrected
    if best is None or best.valleys is None or best.score > SCORE_MAX:
        return _explain(picture, views)
    length = best.valleys.length / best.silhouette.scale
    if length < VALLEY_DISTANCE_MIN:
        detail = f"{length:.0f} px between the outer valleys, at least {VALLEY_DISTANCE_MIN:.0f}"
        return UnfitPicture(UnfitReason.TOO_FAR, detail)
    divided = None if is_second_look else divide(picture, best.silhouette, best.valleys)
    if divided is not None and find_second_hands(picture, divided):
        if is_likely_hand(best, divided):
            return UnfitPicture(UnfitReason.TWO_HANDS)
        return _find_palm(paint_out(picture, divided), finder, is_second_look=True)
    palm = _frame_palm(picture, best, best.valleys, opinion)
    return judge_quality(palm.quality) or palm


def _is_ground(picture: Pixels, view: HandView) -> bool:
    """Returns True where a view takes the ground for a hand."""
    return view.valleys is not None and is_ground(picture, view.silhouette, view.valleys)


def _check(image: Pixels) -> Pixels | UnfitPicture:
    """Returns the picture as grey or BGR, or why it is not looked at."""
    if image.dtype != np.uint8 or image.ndim not in (GREY_AXES, COLOUR_AXES):
        detail = f"{image.ndim}-dimensional {image.dtype}, wanted grey or BGR of uint8"
        return UnfitPicture(UnfitReason.UNREADABLE, detail)
    height, width = image.shape[:2]
    if height * width > PICTURE_PIXELS_MAX:
        return UnfitPicture(UnfitReason.TOO_LARGE, f"{width}x{height}, at most {PICTURE_PIXELS_MAX} pixels")
    if min(height, width) < PICTURE_SIDE_MIN:
        return UnfitPicture(UnfitReason.TOO_FAR, f"{width}x{height}, at least {PICTURE_SIDE_MIN} on a side")
    if image.ndim == GREY_AXES:
        return np.ascontiguousarray(image)
    if image.shape[2] == 1:
        return np.ascontiguousarray(image[..., 0])
    if image.shape[2] in (BGR, BGRA):
        return _drop_false_colour(np.ascontiguousarray(image[..., :BGR]))
    return UnfitPicture(UnfitReason.UNREADABLE, f"{image.shape[2]} channels")


def _drop_false_colour(picture: Pixels) -> Pixels:
    """Returns a BGR picture as grey where it is colourless: near-infrared cameras often send their channel thrice."""
    step = max(1, min(picture.shape[:2]) // COLOUR_LOOKS)
    sparse = picture[::step, ::step].astype(np.int16)
    if np.abs(sparse - sparse[..., 1:2]).mean() > COLOURLESS_MAX:
        return picture
    return convert_to_grey(picture)


def _explain(picture: Pixels, views: Sequence[HandView]) -> UnfitPicture:
    """Returns why no view shows a hand."""
    if not views:
        return UnfitPicture(UnfitReason.NO_HAND)
    silhouette = views[0].silhouette
    share = silhouette.mask.sum() / silhouette.scale**2 / (picture.shape[0] * picture.shape[1])
    roundness = np.pi * silhouette.radius**2 / silhouette.mask.sum()
    if share > NEAR_SHARE_MIN:
        return UnfitPicture(UnfitReason.TOO_NEAR, f"fills {share:.0%} of the picture")
    if len(views[0].gaps) >= 2:
        detail = f"no three valleys fit a hand (score {min(view.score for view in views):.0f})"
        return UnfitPicture(UnfitReason.TURNED, detail)
    return UnfitPicture(UnfitReason.FIST if roundness > FIST_ROUNDNESS_MIN else UnfitReason.NO_HAND)


def _frame_palm(picture: Pixels, view: HandView, valleys: FingerValleys, opinion: LandmarkValleys | None) -> FramedPalm:
    """Returns the palm under the valleys; `opinion` names the hand where landmarks placed them."""
    silhouette = view.silhouette
    hand = opinion.hand if opinion is not None else name_hand(valleys, view.gaps + view.closed)
    points = silhouette.to_picture(valleys.points)
    # Valleys move when fingers spread, and lines that were followed end early or late; the palm's width and the
    # fingers' direction err elsewhere, so that the mean of both errs half as much.
    up = valleys.up + valleys.towards
    up = up / np.hypot(*up)
    right = np.array([-up[1], up[0]])
    palm_radius = measure_palm_radius(silhouette, valleys)
    length = float(np.sqrt(valleys.length * palm_radius / RADIUS_TO_LENGTH)) / silhouette.scale
    side = REGION_SIZE * length
    corner = 0.5 * (points[0] + points[-1]) - 0.5 * side * right - REGION_DROP * length * up
    to_picture = np.column_stack([right * side / REGION_SIDE, -up * side / REGION_SIDE, corner])
    grey, mask = cut_region(picture, silhouette, to_picture)
    corners = np.array([corner, corner + side * right, corner + side * (right - up), corner - side * up])
    turn = float(np.degrees(np.arctan2(up[0], -up[1])))
    outline = silhouette.to_picture(view.outline)
    region = Region(grey, mask, hand)
    quality = measure_quality(region, float(np.exp(-valleys.score / POSE_SCORE)))
    return FramedPalm(region, PalmPlacement(corners, points, outline, length, turn), quality)


def measure_palm_radius(silhouette: Silhouette, valleys: FingerValleys) -> float:
    """Returns half the palm's width in px of the crop: the radius of the largest circle around the palm's middle."""
    distances = measure_distances(silhouette.solid)
    x, y = 0.5 * (valleys.points[0] + valleys.points[-1]) - PALM_MIDDLE * valleys.length * valleys.up
    reach = PALM_MIDDLE_REACH * valleys.length
    middle = np.zeros_like(distances, np.uint8)
    cv2.circle(middle, (round(x) + 1, round(y) + 1), max(1, round(reach)), 1, -1)
    radius = float(cv2.minMaxLoc(distances, middle)[1])
    believed = PALM_WIDTH_BELIEVED
    least, most = (end * RADIUS_TO_LENGTH * valleys.length for end in (believed.low, believed.high))
    return min(max(radius, least), most)


def cut_region(picture: Pixels, silhouette: Silhouette, to_picture: Floats) -> tuple[Pixels, Flags]:
    """Returns the region's picture and what of it is palm.

    `to_picture` (2, 3) is the affine map from the region's pixels to those of the picture.
    """
    step = float(np.hypot(*to_picture[:, 0]))
    ends = to_picture @ np.array([[0, 0, 1], [REGION_SIDE, 0, 1], [0, REGION_SIDE, 1], [REGION_SIDE, REGION_SIDE, 1]]).T
    margin = CUT_MARGIN * step + CUT_MARGIN_EXTRA
    start_x, start_y = (max(0, int(edge)) for edge in np.floor(ends.min(axis=1) - margin))
    end_x, end_y = (max(1, int(edge)) for edge in np.ceil(ends.max(axis=1) + margin))
    crop = picture[min(start_y, picture.shape[0] - 1) : end_y, min(start_x, picture.shape[1] - 1) : end_x]
    grey = convert_to_grey(crop)
    if step > CUT_BLUR_STEP_MIN:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), CUT_BLUR * step), np.uint8)
    # Centres of pixels lie half a pixel from their corners, in the region as in the picture.
    centred = to_picture.copy()
    centred[:, 2] += to_picture[:, :2] @ (0.5, 0.5) - 0.5
    in_crop = centred.copy()
    in_crop[:, 2] -= (start_x, start_y)
    size = (REGION_SIDE, REGION_SIDE)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    region = cv2.warpAffine(grey, in_crop, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    in_work = centred * silhouette.scale
    in_work[:, 2] = silhouette.scale * (centred[:, 2] + 0.5 - silhouette.offset) - 0.5
    hand = cv2.warpAffine(silhouette.solid * WHITE, in_work, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(region, np.uint8), np.asarray(hand > HALF_GREY, np.bool_)
