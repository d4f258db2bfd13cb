import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.palm.hand.landmarks import HandNetworks, LandmarkValleys, place_valleys
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.types import Hand
from tests.edge_agent.palm.hands import HandPose, draw_hand

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
    upright, moved = place_valleys(HAND), place_valleys(turned(HAND * flip, degrees, scale))
    assert np.allclose(moved.valleys, turned(upright.valleys * flip, degrees, scale))
    assert moved.hand is (Hand.RIGHT if mirrored else Hand.LEFT)


def test_valleys_lie_between_the_joints_and_the_fingertips() -> None:
    valleys = place_valleys(HAND).valleys
    assert (valleys[:, 1] < 100).all()
    assert (np.diff(valleys[:, 0]) > 0).all()


class FixedLandmarks:
    """A landmark finder that always says the same and counts its calls."""

    def __init__(self, fixed: LandmarkValleys | None) -> None:
        self.fixed = fixed
        self.calls = 0

    def find_valleys(self, picture: NDArray[np.uint8]) -> LandmarkValleys | None:
        self.calls += 1
        return self.fixed


# Fingers pressed together and drawn without a line between them: the outline cannot know.
CLOSED = HandPose(spread=-1.2, colour=True, ground=235, scale=90)


@pytest.mark.parametrize("right", [False, True])
def test_landmarks_correct_what_the_outline_cannot_see(right: bool) -> None:
    drawn = draw_hand(HandPose(spread=-1.2, colour=True, ground=235, scale=90, right=right))
    finder = FixedLandmarks(LandmarkValleys(drawn.valleys, Hand.RIGHT if right else Hand.LEFT))
    finding = find_region(drawn.picture, finder)
    assert finder.calls == 1
    assert isinstance(finding, FramedPalm)
    from_left = drawn.valleys[::-1] if right else drawn.valleys
    assert np.abs(finding.placement.valleys - from_left).max() < 0.16 * 90
    assert finding.region.hand is (Hand.RIGHT if right else Hand.LEFT)


def test_landmarks_on_the_ground_are_not_believed() -> None:
    drawn = draw_hand(CLOSED)
    plain = find_region(drawn.picture)
    misled = find_region(
        drawn.picture, FixedLandmarks(LandmarkValleys(np.array([[5.0, 5], [15, 3], [25, 5]]), Hand.LEFT))
    )
    assert isinstance(misled, FramedPalm) == isinstance(plain, FramedPalm)
    if isinstance(plain, FramedPalm) and isinstance(misled, FramedPalm):
        assert np.array_equal(misled.region.grey, plain.region.grey)


def test_grey_pictures_are_not_shown_to_the_networks() -> None:
    finder = FixedLandmarks(None)
    grey = draw_hand(HandPose(spread=0.2)).picture
    find_region(grey, finder)
    find_region(np.dstack([grey] * 3), finder)
    assert finder.calls == 0


def test_an_outline_that_is_sure_needs_no_second_opinion() -> None:
    finder = FixedLandmarks(None)
    find_region(draw_hand(HandPose(colour=True)).picture, finder)
    assert finder.calls == 0


PAINTED_SIDE = 480  # px of the picture


class PaintedNetworks:
    """Networks that see an upright palm in the middle of a picture, as sure as the test wants."""

    def __init__(self, detected: float = 0.9, present: float = 0.99) -> None:
        self.detected = detected
        self.present = present
        self.crops: list[NDArray[np.uint8]] = []

    def detect(self, picture: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
        """Returns the palm at the anchor nearest the middle, (1, 2016, 1) or (1, 2016, 18)."""
        anchor = 24 * 2 * 12 + 2 * 12  # the first of cell 12, 12
        if output == "Identity_1":
            scores = np.full((1, 2016, 1), -9.0, np.float32)
            scores[0, anchor] = np.log(self.detected / (1 - self.detected))
            return scores
        boxes = np.zeros((1, 2016, 18), np.float32)
        # From the anchor at (100, 100) of 192: a palm of 40 px around (96, 96), wrist below, middle joint above.
        keypoints = np.zeros((7, 2))
        keypoints[0], keypoints[2] = (-4, 16), (-4, -24)
        boxes[0, anchor] = np.concatenate([[-4, -4, 40, 40], keypoints.ravel()])
        return boxes

    def mark(self, crop: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
        self.crops.append(crop)
        if output == "Identity_1":
            return np.array([[self.present]], np.float32)
        landmarks = np.zeros((21, 3), np.float32)
        landmarks[0, :2], landmarks[5, :2], landmarks[17, :2] = (112, 200), (72, 112), (152, 132)
        return landmarks.reshape(1, 63)


@pytest.mark.parametrize("axes", [2, 3])
def test_the_networks_landmarks_are_carried_back_to_the_picture(axes: int) -> None:
    painted = PaintedNetworks()
    picture = np.zeros((PAINTED_SIDE, PAINTED_SIDE, 3) if axes == 3 else (PAINTED_SIDE, PAINTED_SIDE), np.uint8)
    finding = HandNetworks(painted.detect, painted.mark).find_valleys(picture)
    # The crop: 2.6 times the palm's 40 px of 192, which are 100 px here, half a side above its middle.
    scale, corner = 260 / 224, np.array([240 - 130, 240 - 50 - 130])
    wanted = place_valleys(landmarks({0: (112, 200), 5: (72, 112), 17: (152, 132)}) * scale + corner)
    assert finding is not None
    assert finding.hand is wanted.hand is Hand.LEFT
    assert np.allclose(finding.valleys, wanted.valleys, atol=0.5)
    assert {crop.shape for crop in painted.crops} == {(224, 224, 3)}


def landmarks(points: dict[int, tuple[float, float]]) -> NDArray[np.float64]:
    hand = np.zeros((21, 2))
    for number, point in points.items():
        hand[number] = point
    return hand


def test_an_unsure_network_has_no_opinion() -> None:
    picture = np.zeros((PAINTED_SIDE, PAINTED_SIDE, 3), np.uint8)
    for painted, crops in ((PaintedNetworks(detected=0.5), 0), (PaintedNetworks(present=0.8), 1)):
        assert HandNetworks(painted.detect, painted.mark).find_valleys(picture) is None
        assert len(painted.crops) == crops
