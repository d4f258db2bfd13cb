"""A second hand is seen however it is held and wherever it touches; what is no hand is not taken for one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.arrays import Pixels
from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.hand.region import FramedPalm, find_region
from tests.edge_agent.palm.hands import HandPose, draw_hand

FIRST = HandPose(scale=60, centre=(190, 220), size=(720, 520))
FAR = replace(FIRST, centre=(530, 220), seed=2)


def both(*poses: HandPose) -> Pixels:
    return np.asarray(np.maximum.reduce([draw_hand(pose).picture for pose in poses]), np.uint8)


def refused_as_two(picture: Pixels) -> bool:
    answer = find_region(picture)
    return isinstance(answer, UnfitPicture) and answer.reason is UnfitReason.TWO_HANDS


@pytest.mark.parametrize("turn", [0, 90, 200])
def test_an_open_hand_beside_the_first_is_seen_at_any_turn(turn: float) -> None:
    assert refused_as_two(both(FIRST, FAR.turned(turn)))


def test_a_hand_with_closed_fingers_is_seen() -> None:
    assert refused_as_two(both(FIRST, replace(FAR, closed=True)))


@pytest.mark.parametrize("scale", [45.0, 60.0])
def test_a_smaller_hand_is_seen(scale: float) -> None:
    assert refused_as_two(both(replace(FIRST, scale=80), replace(FAR, scale=scale)))


def test_a_hand_that_touches_the_first_is_seen() -> None:
    assert refused_as_two(both(FIRST, replace(FIRST, centre=(400, 300), turn_deg=20, seed=2)))


def test_a_much_smaller_hand_leaves_the_first_clearly_presented() -> None:
    answer = find_region(both(replace(FIRST, scale=90), replace(FAR, scale=28, centre=(620, 120))))
    assert isinstance(answer, FramedPalm)
    assert answer.placement.corners[:, 0].max() < 400


def beside(thing: str) -> Pixels:
    picture = both(FIRST)
    sheet = np.full_like(picture, 20)
    match thing:
        case "ball":
            cv2.circle(sheet, (550, 250), 100, 160, -1)
        case "card":
            cv2.rectangle(sheet, (450, 150), (690, 300), 160, -1)
        case "cup":
            cv2.rectangle(sheet, (490, 180), (570, 310), 160, -1)  # smaller than the hand: a larger cup is not told
            cv2.ellipse(sheet, (570, 245), (35, 35), 0, -90, 90, 160, 14)
        case "face":
            cv2.ellipse(sheet, (560, 250), (100, 135), 0, 0, 360, 160, -1)
            for x in (520, 600):
                cv2.ellipse(sheet, (x, 220), (18, 8), 0, 0, 360, 60, -1)
            cv2.ellipse(sheet, (560, 320), (35, 8), 0, 0, 360, 80, -1)
        case "sleeve":
            cv2.rectangle(sheet, (110, 330), (270, 519), 160, -1)
    return np.asarray(np.maximum(picture, sheet), np.uint8)


@pytest.mark.parametrize("thing", ["ball", "card", "cup", "face", "sleeve"])
def test_what_is_no_hand_is_none(thing: str) -> None:
    assert not refused_as_two(beside(thing))


def test_ground_that_rings_the_picture_is_no_hand() -> None:
    picture = both(FIRST)
    picture[40:200, 60:300] = 20
    answer = find_region(np.asarray(255 - picture, np.uint8))
    assert isinstance(answer, UnfitPicture)
