"""What of a picture is the found hand's own, and which other parts are looked at: each limit by a drawn case."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.anatomy.valleys import FingerValleys
from edge_agent.palm.hand.arrays import Mask, Pixels
from edge_agent.palm.hand.outline_shape import measure_shape
from edge_agent.palm.hand.second_hand import (
    DividedPicture,
    OtherPart,
    divide,
    find_second_hands,
    is_ground,
    is_likely_hand,
    paint_out,
)
from edge_agent.palm.hand.segment import Silhouette
from edge_agent.palm.hand.views import choose_view, view_channels
from tests.edge_agent.palm.hands import HandPose, draw_hand

SIDE = 320  # px; the working size, so that nothing is scaled
UP = np.array([0.0, -1.0])
ALONG = np.array([1.0, 0.0])
VALLEYS = FingerValleys(np.array([[130.0, 120], [150, 118], [170, 120]]), ALONG, UP, 40.0, 0.0, UP, 0.0)
PALM = (slice(120, 190), slice(120, 180))


def paint(*shapes: tuple[slice, slice]) -> Pixels:
    picture = np.full((SIDE, SIDE), 10, np.uint8)
    for shape in (PALM, *shapes):
        picture[shape] = 200
    return picture


def divided(picture: Pixels) -> DividedPicture:
    solid = (picture > 100).astype(np.uint8)
    return divide(picture, Silhouette("root", picture, solid, solid, 30.0, 1.0, (0.0, 0.0)), VALLEYS)


@pytest.mark.parametrize(("radius", "count"), [(14, 0), (20, 1), (55, 1), (70, 0)])
def test_a_part_is_looked_at_where_it_is_about_a_hands_size(radius: int, count: int) -> None:
    picture = np.asarray(cv2.circle(paint(), (245, 245), radius, 200, -1), np.uint8)
    assert len(divided(picture).others) == count


@pytest.mark.parametrize(("apart", "count"), [(8, 1), (30, 0)])
def test_fingers_that_come_in_side_by_side_are_one_part(apart: int, count: int) -> None:
    pieces = [(slice(260, 320), slice(x, x + 9)) for x in (200, 209 + apart)]
    assert len(divided(paint(*pieces)).others) == count


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        pytest.param((slice(190, 260), slice(130, 170)), 0, id="the forearm"),
        pytest.param((slice(190, 320), slice(130, 170)), 1, id="what goes on far below it"),
        pytest.param((slice(186, 230), slice(170, 300)), 1, id="beside the wrist"),
        pytest.param((slice(0, 121), slice(125, 175)), 1, id="beyond the fingertips"),
    ],
)
def test_a_forearm_is_the_hands_own(shape: tuple[slice, slice], count: int) -> None:
    others = divided(paint(shape)).others
    assert len(others) == count
    assert all(part.touches for part in others)


def test_fingers_that_hang_on_by_a_neck_are_the_hands_own() -> None:
    assert not divided(paint((slice(112, 120), slice(145, 155)), (slice(70, 112), slice(125, 175)))).others


def test_what_hangs_on_by_a_neck_elsewhere_is_another_part() -> None:
    (part,) = divided(paint((slice(150, 158), slice(180, 200)), (slice(120, 190), slice(200, 260)))).others
    assert part.touches
    assert part.box[0] >= 185


@pytest.mark.parametrize(("rows", "ground"), [(150, False), (250, True)])
def test_what_lies_along_the_rim_is_ground(rows: int, ground: bool) -> None:
    solid = np.zeros((SIDE, SIDE), np.uint8)
    solid[:rows, :60] = 1
    silhouette = Silhouette("root", solid, solid, solid, 30.0, 1.0, (0.0, 0.0))
    assert is_ground(solid, silhouette, VALLEYS) is ground


def test_a_hand_with_sure_valleys_is_one_whatever_its_outline() -> None:
    view = choose_view(view_channels(draw_hand(HandPose()).picture, follow_closed=True))
    assert view is not None
    assert view.valleys is not None
    ball = DividedPicture(disc(), disc() > 0, ())
    assert is_likely_hand(replace(view, valleys=replace(view.valleys, score=7.0)), ball)
    assert not is_likely_hand(replace(view, valleys=replace(view.valleys, score=9.0)), ball)


def test_what_is_painted_out_is_ground() -> None:
    picture = paint((slice(250, 300), slice(250, 300)))
    painted = paint_out(picture, divided(picture))
    assert painted[PALM].max() == 10
    assert painted[260, 260] == 200


def disc() -> Mask:
    return np.asarray(cv2.circle(np.zeros((600, 600), np.uint8), (300, 300), 100, 1, -1), np.uint8)


@pytest.mark.parametrize(
    ("width", "length"),
    [pytest.param(8, 200, id="wires"), pytest.param(22, 48, id="knobs"), pytest.param(44, 46, id="ears")],
)
def test_what_stands_out_is_a_finger_where_it_is_as_wide_and_as_long(width: int, length: int) -> None:
    mask = disc()
    mask[200 - length : 300, 300 - width // 2 : 300 + width // 2] = 1
    assert measure_shape(mask).fingers == 0


def test_gaps_on_opposite_sides_are_no_fingers_gaps() -> None:
    mask = disc()
    for rows in (slice(180, 260), slice(340, 420)):
        mask[rows, 290:310] = 0
    assert measure_shape(mask).gaps == 1


def comb(slits: int) -> Mask:
    """Returns the mask of a board with slits, too broad between them to be fingers."""
    mask = np.zeros((300, 640), np.uint8)
    mask[80:230, 40 : 40 + 120 * (slits + 1)] = 1
    for slit in range(slits):
        mask[80:150, 145 + 120 * slit : 175 + 120 * slit] = 0
    return mask


@pytest.mark.parametrize(("slits", "hand"), [(2, False), (3, True)])
def test_what_touches_the_hand_needs_more_gaps_where_no_finger_stands_out(slits: int, hand: bool) -> None:
    mask = comb(slits)
    part = OtherPart(mask, (0, 0, 640, 300), touches=True)
    found = find_second_hands(np.zeros((300, 640), np.uint8), DividedPicture(mask, mask > 0, (part,)))
    assert bool(found) is hand


def test_an_outline_with_hollows_is_a_hand_of_which_the_valleys_are_not_sure() -> None:
    view = choose_view(view_channels(draw_hand(HandPose()).picture, follow_closed=True))
    assert view is not None
    assert view.valleys is not None
    doubted = replace(view, valleys=replace(view.valleys, score=9.0))
    hollow = disc()
    hollow[180:310, 260:340] = 0
    assert is_likely_hand(doubted, DividedPicture(hollow, hollow > 0, ()))
