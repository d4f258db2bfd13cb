"""The signs of an open hand in an outline, whatever its size and turn, and in none of other things."""

import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.arrays import Mask
from edge_agent.palm.hand.outline_shape import HandShape, measure_shape
from tests.edge_agent.palm.hands import HandPose, draw_hand


def outline(pose: HandPose) -> Mask:
    return (draw_hand(pose).picture > 90).astype(np.uint8)


def blank() -> Mask:
    return np.zeros((480, 640), np.uint8)


@pytest.mark.parametrize("turn", [0, 70, 135, 250])
@pytest.mark.parametrize("scale", [40.0, 70.0, 100.0])
def test_an_open_hand_has_fingers_and_gaps(turn: float, scale: float) -> None:
    shape = measure_shape(outline(HandPose(turn_deg=turn, scale=scale, size=(640, 640), centre=(320, 320))))
    assert shape.is_hand
    assert shape.fingers >= 4
    assert shape.gaps >= 3


def test_closed_fingers_are_no_open_hand() -> None:
    assert not measure_shape(outline(HandPose(closed=True, laid=True))).is_hand


def ball() -> Mask:
    return np.asarray(cv2.circle(blank(), (320, 240), 120, 1, -1), np.uint8)


def card() -> Mask:
    return np.asarray(cv2.rectangle(blank(), (200, 160), (440, 310), 1, -1), np.uint8)


def cup() -> Mask:
    mug = cv2.rectangle(blank(), (220, 120), (380, 360), 1, -1)
    return np.asarray(cv2.ellipse(mug, (380, 240), (70, 70), 0, -90, 90, 1, 24), np.uint8)


def face() -> Mask:
    head = cv2.ellipse(blank(), (320, 240), (110, 150), 0, 0, 360, 1, -1)
    for side in (205, 435):
        cv2.ellipse(head, (side, 240), (18, 30), 0, 0, 360, 1, -1)
    return np.asarray(head, np.uint8)


@pytest.mark.parametrize("mask", [ball(), card(), cup(), face()], ids=["ball", "card", "cup", "face"])
def test_other_things_are_no_open_hand(mask: Mask) -> None:
    assert not measure_shape(mask).is_hand


@pytest.mark.parametrize(
    ("shape", "open_hand"),
    [
        (HandShape(2, 2, 0.9), True),
        (HandShape(1, 2, 0.9), False),
        (HandShape(0, 4, 0.9), True),
        (HandShape(2, 1, 0.9), False),
        (HandShape(2, 2, 0.96), False),
    ],
)
def test_each_sign_is_wanted(shape: HandShape, open_hand: bool) -> None:
    assert shape.is_hand is open_hand
