"""A full hand's picture to its palm's region: found, framed by finger valleys, fingers and palm, cut upright.

Orientation of every region: fingers up, thumb to the left, as a left palm looks to a camera that does not
mirror. A right palm is mirrored; a hand whose thumb is not seen stays as it is and is called unknown. With a
camera that mirrors, left and right change their names and nothing else: the regions are the same ones.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.anatomy import OFFSET, SIDE, Valleys, best_valleys, covered, distinct, hand_of
from edge_agent.palm.hand.closed import Evidence, closed_gaps, evidence_of
from edge_agent.palm.hand.contour import Floats, Gap, open_gaps, outline
from edge_agent.palm.hand.landmarks import LandmarkFinder, LandmarkValleys
from edge_agent.palm.hand.quality import PalmQuality, judge_quality, measure_quality
from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.hand.segment import Silhouette, silhouettes
from edge_agent.palm.types import REGION_SIDE, Hand, Region

PIXELS_MAX = 25_000_000  # of a picture; more is looked at by nobody
# Valleys this good end the search at once; these are likely, and of a second silhouette a second hand; above SCORE_MAX
# it is no hand, or not one held open. Likely open gaps are placed better than closed ones, which have to beat them by
# a margin.
_SCORE_SURE = 4.0
_SCORE_LIKELY = 12.0
SCORE_MAX = 40.0
_CLOSED_MARGIN = 4.0
# Half a palm's width in units of the outer valleys' distance, and how far fingers lean from straight over the valleys
# to the thumb (radians): the medians of open hands.
_RADIUS_TO_LENGTH = 0.96
_LEAN = 0.18
# LandmarkFinder are asked from here on: below, the outline has never been seen to err.
_SCORE_ASK = 0.3
# Two opinions agree whose outer valleys are this near, in units of their distance; each channel that agrees counts.
_AGREED = 0.15
_VOUCHED = 2.5
# LandmarkFinder' valleys are believed where the palm they mean is hand, and count as this good.
_TOLD_COVERAGE_MIN = 0.8
_SCORE_TOLD = 8.0
# Distance of the outer valleys in picture pixels: below it palm lines are thinner than two pixels.
LENGTH_MIN = 36.0
SIDE_MIN = 48
_NEAR_SHARE = 0.8
_FIST_ROUNDNESS = 0.5
# Grey levels between channels, on average.
_COLOURLESS = 1.5


@dataclass(frozen=True, slots=True)
class PalmPlacement:
    """Where the region lies in the picture."""

    # Top left, top right, bottom right, bottom left of the region as cut: mirrored hands run the other way.
    corners: Floats = field(repr=False)
    # Thumb side first where the thumb is seen, else left to right with the fingers up.
    valleys: Floats = field(repr=False)
    outline: Floats = field(repr=False)
    # About the distance of the outer valleys, steadied by the palm's width.
    scale_px: float
    # How far the fingers are turned from straight up, clockwise on the screen.
    turn_deg: float
    mirrored: bool


@dataclass(frozen=True, slots=True)
class FramedPalm:
    region: Region
    placement: PalmPlacement
    quality: PalmQuality


@dataclass(frozen=True, slots=True)
class _Sight:
    """One silhouette with what its outline shows."""

    silhouette: Silhouette
    points: Floats
    gaps: list[Gap]
    evidence: Evidence
    valleys: Valleys | None
    closed: list[Gap] = field(default_factory=list)

    @property
    def score(self) -> float:
        return self.valleys.score if self.valleys is not None else float("inf")


def find_region(image: NDArray[np.uint8], landmarks: LandmarkFinder | None = None) -> FramedPalm | UnfitPicture:
    """Find the palm in a grey (H, W) or BGR (H, W, 3) picture of a hand, turned in any way in the plane.

    `landmarks`, where there are any, are asked about colour pictures of which the outline is not sure.
    """
    picture = _checked(image)
    if isinstance(picture, UnfitPicture):
        return picture
    ask = landmarks if picture.ndim == 3 else None
    sights = _sights(picture, follow=ask is None)
    best = _most_trusted(sights)
    told = None
    # Asked before closed gaps are followed: an answer saves that.
    if ask is not None and best is not None and best.score >= _SCORE_ASK:
        told = ask.find_valleys(picture)
        corrected = _corrected(best, told) if told is not None else None
        if corrected is None:
            told, best = None, _most_trusted([_followed(sight) for sight in sights])
        else:
            best = corrected
    if best is None or best.valleys is None or best.score > SCORE_MAX:
        return _no_hand(picture, sights)
    length = best.valleys.length / best.silhouette.scale
    if length < LENGTH_MIN:
        return UnfitPicture(
            UnfitReason.TOO_FAR, f"{length:.0f} px between the outer valleys, at least {LENGTH_MIN:.0f}"
        )
    if _second_hand(picture, best):
        return UnfitPicture(UnfitReason.TWO_HANDS)
    found = _framed(picture, best, best.valleys, told)
    return judge_quality(found.quality) or found


def _checked(image: NDArray[np.uint8]) -> NDArray[np.uint8] | UnfitPicture:
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        return UnfitPicture(
            UnfitReason.UNREADABLE, f"{image.ndim}-dimensional {image.dtype}, wanted grey or BGR of uint8"
        )
    height, width = image.shape[:2]
    if height * width > PIXELS_MAX:
        return UnfitPicture(UnfitReason.TOO_LARGE, f"{width}x{height}, at most {PIXELS_MAX} pixels")
    if min(height, width) < SIDE_MIN:
        return UnfitPicture(UnfitReason.TOO_FAR, f"{width}x{height}, at least {SIDE_MIN} on a side")
    if image.ndim == 2:
        return np.ascontiguousarray(image)
    if image.shape[2] == 1:
        return np.ascontiguousarray(image[..., 0])
    if image.shape[2] in (3, 4):
        return _grey_if_colourless(np.ascontiguousarray(image[..., :3]))
    return UnfitPicture(UnfitReason.UNREADABLE, f"{image.shape[2]} channels")


def _grey_if_colourless(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Near-infrared cameras often deliver their one channel three times."""
    step = max(1, min(picture.shape[:2]) // 128)
    sparse = picture[::step, ::step].astype(np.int16)
    if np.abs(sparse - sparse[..., 1:2]).mean() > _COLOURLESS:
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def _sights(picture: NDArray[np.uint8], *, follow: bool) -> list[_Sight]:
    """Return what each channel shows, up to the first that is sure; with closed gaps, if they are to be followed."""
    sights = []
    for silhouette in silhouettes(picture):
        sight = _sight(silhouette)
        sights.append(_followed(sight) if follow else sight)
        if min(_doubt(seen, sights) for seen in sights) < _SCORE_SURE:
            break
    return sights


def _most_trusted(sights: list[_Sight]) -> _Sight | None:
    return min(sights, key=lambda sight: _doubt(sight, sights), default=None)


def _doubt(sight: _Sight, sights: list[_Sight]) -> float:
    """Return a sight's score, less for each channel that sees the same valleys and so vouches for it."""
    return sight.score - _VOUCHED * sum(_agree(sight, other) for other in sights if other is not sight)


def _agree(one: _Sight, other: _Sight) -> bool:
    if one.valleys is None or other.valleys is None:
        return False
    points, others = (s.silhouette.to_picture(v.points) for s, v in ((one, one.valleys), (other, other.valleys)))
    away = np.hypot(*(points - others)[[0, 2]].T)
    return bool(away.max() < _AGREED * np.hypot(*(points[2] - points[0])))


def _sight(silhouette: Silhouette) -> _Sight:
    points = outline(silhouette.mask, silhouette.radius)
    gaps = open_gaps(points, silhouette.radius)
    candidates = distinct(gaps, silhouette.radius)
    evidence = evidence_of(silhouette)
    valleys = best_valleys(candidates, silhouette.solid, silhouette.radius, evidence)
    return _Sight(silhouette, points, gaps, evidence, valleys)


def _followed(sight: _Sight) -> _Sight:
    """Return what is seen with the gaps between closed fingers, where that is clearly better."""
    if sight.score < _SCORE_SURE:
        return sight
    silhouette = sight.silhouette
    closed = closed_gaps(sight.evidence)
    candidates = distinct(sight.gaps + closed, silhouette.radius)
    valleys = best_valleys(candidates, silhouette.solid, silhouette.radius, sight.evidence, with_unseen=True)
    margin = _CLOSED_MARGIN if sight.score < _SCORE_LIKELY else 0.0
    if valleys is None or valleys.score + margin >= sight.score:
        return sight
    return replace(sight, valleys=valleys, closed=closed)


def _corrected(sight: _Sight, told: LandmarkValleys) -> _Sight | None:
    """Return the sight with the landmarks' valleys, or its own where they agree, or None if they mean no palm."""
    silhouette = sight.silhouette
    points = silhouette.from_picture(told.valleys if told.hand is not Hand.RIGHT else told.valleys[::-1])
    base = points[2] - points[0]
    length = float(np.hypot(*base))
    if sight.valleys is not None:
        away = np.hypot(*(sight.valleys.points - points)[[0, 2]].T)
        if away.max() < _AGREED * length:
            return sight
    along = base / length
    up = np.array([along[1], -along[0]])
    coverage = covered(points, along, up, length, silhouette.solid)
    if coverage < _TOLD_COVERAGE_MIN:
        return None
    thumb = -1.0 if told.hand is not Hand.RIGHT else 1.0
    towards = np.cos(_LEAN) * up + thumb * np.sin(_LEAN) * along
    return replace(sight, valleys=Valleys(points, along, up, length, _SCORE_TOLD, towards, 0.0))


def _no_hand(picture: NDArray[np.uint8], sights: list[_Sight]) -> UnfitPicture:
    if not sights:
        return UnfitPicture(UnfitReason.NO_HAND)
    silhouette = sights[0].silhouette
    share = silhouette.mask.sum() / silhouette.scale**2 / (picture.shape[0] * picture.shape[1])
    roundness = np.pi * silhouette.radius**2 / silhouette.mask.sum()
    if share > _NEAR_SHARE:
        return UnfitPicture(UnfitReason.TOO_NEAR, f"fills {share:.0%} of the picture")
    if len(sights[0].gaps) >= 2:
        return UnfitPicture(
            UnfitReason.TURNED, f"no three valleys fit a hand (score {min(s.score for s in sights):.0f})"
        )
    return UnfitPicture(UnfitReason.FIST if roundness > _FIST_ROUNDNESS else UnfitReason.NO_HAND)


def _second_hand(picture: NDArray[np.uint8], best: _Sight) -> bool:
    box = best.silhouette.second
    if box is None:
        return False
    left, top, right, bottom = box
    other = picture[top:bottom, left:right]
    if min(other.shape[:2]) < SIDE_MIN:
        return False
    return any(_sight(s).score < _SCORE_LIKELY for s in silhouettes(other))


def _framed(picture: NDArray[np.uint8], sight: _Sight, valleys: Valleys, told: LandmarkValleys | None) -> FramedPalm:
    silhouette = sight.silhouette
    hand = told.hand if told is not None else hand_of(valleys, sight.gaps + sight.closed)
    points = silhouette.to_picture(valleys.points)
    mirrored = hand is Hand.RIGHT
    if mirrored:
        points = points[::-1]
    # Valleys move when fingers spread, and lines that were followed end early or late; the palm's width and the
    # fingers' direction err elsewhere, so that the mean of both errs half as much.
    up = valleys.up + valleys.towards
    up = up / np.hypot(*up)
    right = np.array([-up[1], up[0]]) * (-1 if mirrored else 1)
    length = float(np.sqrt(valleys.length * _palm_radius(silhouette, valleys) / _RADIUS_TO_LENGTH)) / silhouette.scale
    side = SIDE * length
    corner = 0.5 * (points[0] + points[2]) - 0.5 * side * right - OFFSET * length * up
    to_picture = np.column_stack([right * side / REGION_SIDE, -up * side / REGION_SIDE, corner])
    grey, mask = _cut(picture, silhouette, to_picture)
    corners = np.array([corner, corner + side * right, corner + side * (right - up), corner - side * up])
    turn = float(np.degrees(np.arctan2(up[0], -up[1])))
    shape = silhouette.to_picture(sight.points)
    region = Region(grey, mask, hand)
    quality = measure_quality(region, float(np.exp(-valleys.score / 20)))
    return FramedPalm(region, PalmPlacement(corners, points, shape, length, turn, mirrored), quality)


def _palm_radius(silhouette: Silhouette, valleys: Valleys) -> float:
    """Return half the palm's width, in the silhouette's pixels: of the largest circle around its middle."""
    inscribed = cv2.distanceTransform(
        cv2.copyMakeBorder(silhouette.solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5
    )
    x, y = 0.5 * (valleys.points[0] + valleys.points[2]) - 0.8 * valleys.length * valleys.up
    reach = 0.35 * valleys.length
    middle = np.zeros_like(inscribed, np.uint8)
    cv2.circle(middle, (round(x) + 1, round(y) + 1), max(1, round(reach)), 1, -1)
    radius = float(cv2.minMaxLoc(inscribed, middle)[1])
    least, most = (f * _RADIUS_TO_LENGTH * valleys.length for f in (0.75, 1.35))
    return min(max(radius, least), most)


def _cut(
    picture: NDArray[np.uint8], silhouette: Silhouette, to_picture: Floats
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Cut the region given by the affine map from its unit pixels to the picture, with what of it is palm."""
    step = float(np.hypot(*to_picture[:, 0]))
    ends = to_picture @ np.array([[0, 0, 1], [REGION_SIDE, 0, 1], [0, REGION_SIDE, 1], [REGION_SIDE, REGION_SIDE, 1]]).T
    margin = 4 * step + 2
    left, top = (max(0, int(v)) for v in np.floor(ends.min(axis=1) - margin))
    right, bottom = (max(1, int(v)) for v in np.ceil(ends.max(axis=1) + margin))
    crop = picture[min(top, picture.shape[0] - 1) : bottom, min(left, picture.shape[1] - 1) : right]
    grey = crop if crop.ndim == 2 else np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), np.uint8)
    if step > 1.3:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.45 * step), np.uint8)
    # Centres of pixels lie half a pixel from their corners, in the region as in the picture.
    centred = to_picture.copy()
    centred[:, 2] += to_picture[:, :2] @ (0.5, 0.5) - 0.5
    in_crop = centred.copy()
    in_crop[:, 2] -= (left, top)
    size = (REGION_SIDE, REGION_SIDE)
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    region = cv2.warpAffine(grey, in_crop, size, flags=way, borderMode=cv2.BORDER_REPLICATE)
    in_work = centred * silhouette.scale
    in_work[:, 2] = silhouette.scale * (centred[:, 2] + 0.5 - silhouette.offset) - 0.5
    hand = cv2.warpAffine(silhouette.solid * 255, in_work, size, flags=way, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(region, np.uint8), np.asarray(hand > 127, np.bool_)
