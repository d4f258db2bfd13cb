import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.palm.hand.landmarks import LandmarkValleys, place_valleys
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.types import Hand
from tests.edge_agent.palm.hands import Pose, draw

# A left hand, fingers up: wrist, index and little finger's first joints; the rest is not looked at.
HAND = np.zeros((21, 2))
HAND[0], HAND[5], HAND[17] = (60, 300), (0, 100), (120, 120)


def turned(points: NDArray[np.float64], degrees: float, scale: float) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(scale * points @ axes.T + (40, -7))


@given(st.floats(0, 360), st.floats(0.3, 4), st.booleans())
def test_valleys_turn_with_the_hand_and_mirror_with_it(degrees: float, scale: float, mirrored: bool) -> None:
    flip = np.array([-1.0, 1.0]) if mirrored else np.ones(2)
    upright, seen = place_valleys(HAND), place_valleys(turned(HAND * flip, degrees, scale))
    assert np.allclose(seen.valleys, turned(upright.valleys * flip, degrees, scale))
    assert seen.hand is (Hand.RIGHT if mirrored else Hand.LEFT)


def test_valleys_lie_between_the_joints_and_the_fingertips() -> None:
    valleys = place_valleys(HAND).valleys
    assert (valleys[:, 1] < 100).all()
    assert (np.diff(valleys[:, 0]) > 0).all()


class Told:
    """A landmark finder that gives a fixed answer and counts how often it was asked."""

    def __init__(self, answer: LandmarkValleys | None) -> None:
        self.answer = answer
        self.asked = 0

    def find_valleys(self, picture: NDArray[np.uint8]) -> LandmarkValleys | None:
        self.asked += 1
        return self.answer


# Fingers pressed together and drawn without a line between them: the outline cannot know.
CLOSED = Pose(spread=-1.2, colour=True, ground=235, scale=90)


@pytest.mark.parametrize("right", [False, True])
def test_landmarks_correct_what_the_outline_cannot_see(right: bool) -> None:
    drawn = draw(Pose(spread=-1.2, colour=True, ground=235, scale=90, right=right))
    told = Told(LandmarkValleys(drawn.valleys, Hand.RIGHT if right else Hand.LEFT))
    seen = find_region(drawn.picture, told)
    assert told.asked == 1
    assert isinstance(seen, FramedPalm)
    assert np.abs(seen.placement.valleys - drawn.valleys).max() < 0.16 * 90
    assert seen.region.hand is (Hand.RIGHT if right else Hand.LEFT)


def test_landmarks_on_the_ground_are_not_believed() -> None:
    drawn = draw(CLOSED)
    plain = find_region(drawn.picture)
    misled = find_region(drawn.picture, Told(LandmarkValleys(np.array([[5.0, 5], [15, 3], [25, 5]]), Hand.LEFT)))
    assert isinstance(misled, FramedPalm) == isinstance(plain, FramedPalm)
    if isinstance(plain, FramedPalm) and isinstance(misled, FramedPalm):
        assert np.array_equal(misled.region.grey, plain.region.grey)


def test_grey_pictures_are_not_shown_to_the_networks() -> None:
    told = Told(None)
    grey = draw(Pose(spread=0.2)).picture
    find_region(grey, told)
    find_region(np.dstack([grey] * 3), told)
    assert told.asked == 0
