from dataclasses import replace

import numpy as np
import pytest

from edge_agent.palm.hand.anatomy.valleys import FingerValleys
from edge_agent.palm.hand.arrays import Floats
from edge_agent.palm.hand.closed import GapEvidence
from edge_agent.palm.hand.landmarks import LandmarkValleys
from edge_agent.palm.hand.proportions import DIRECTIONS
from edge_agent.palm.hand.segment import Silhouette, find_silhouettes
from edge_agent.palm.hand.views import (
    HandView,
    add_closed_gaps,
    choose_view,
    correct_valleys,
    is_better_closed,
    view_channels,
    view_outline,
)
from edge_agent.palm.types import Hand
from tests.edge_agent.palm.hands import DrawnHand, HandPose, draw_hand

EMPTY = np.zeros((4, 4), np.uint8)
NO_LINES = np.zeros((DIRECTIONS, 4, 4), np.uint8)
PLACES = np.array([[100.0, 100], [150, 92], [200, 100]])


def view(score: float, places: Floats = PLACES, scale: float = 1.0) -> HandView:
    """Returns a view of valleys at places of the picture."""
    silhouette = Silhouette("test", EMPTY, EMPTY, EMPTY, 80.0, scale, (0.0, 0.0))
    along, up = np.array([1.0, 0]), np.array([0, -1.0])
    valleys = FingerValleys(silhouette.from_picture(places), along, up, 100.0 * scale, score, up, 0.0)
    return HandView(silhouette, PLACES, [], GapEvidence(NO_LINES, NO_LINES, NO_LINES, EMPTY, 1.0), valleys)


def first_view(drawn: DrawnHand) -> HandView:
    return view_outline(next(find_silhouettes(drawn.picture)))


def placed(valleys: Floats, hand: Hand = Hand.LEFT) -> LandmarkValleys:
    return LandmarkValleys(valleys, hand)


def test_the_view_with_the_least_score_is_chosen() -> None:
    best, worse = view(5.0), view(6.0, PLACES + 60)
    assert choose_view([worse, best]) is best
    assert choose_view([]) is None


def test_two_channels_that_see_the_same_valleys_vouch_for_each_other() -> None:
    lonely, first, second = view(5.0), view(6.0, PLACES + 60), view(6.5, PLACES + 64, scale=0.5)
    assert choose_view([lonely, first, second]) is first


def test_a_view_without_valleys_vouches_for_nobody() -> None:
    best, blind = view(5.0), replace(view(4.0), valleys=None)
    assert choose_view([blind, best]) is best
    assert blind.score == float("inf")


def test_closed_gaps_must_beat_likely_open_ones_by_a_lead() -> None:
    assert not is_better_closed(6.0, 5.0)
    assert is_better_closed(6.0, 1.0)
    assert is_better_closed(20.0, 19.0)
    assert not is_better_closed(20.0, 21.0)


def test_the_first_channel_that_is_sure_ends_the_search() -> None:
    assert len(view_channels(draw_hand(HandPose()).picture, follow_closed=True)) == 1


def test_closed_fingers_are_followed_where_the_outline_is_not_sure() -> None:
    drawn = draw_hand(HandPose(closed=True, scale=100))
    view_before = first_view(drawn)
    followed = add_closed_gaps(view_before)
    assert followed.score < view_before.score
    assert followed.closed
    assert followed.valleys is not None
    points = followed.silhouette.to_picture(followed.valleys.points)
    assert np.abs(points - drawn.valleys).max() < 20


def test_a_sure_outline_is_left_as_it_is() -> None:
    view_before = first_view(draw_hand(HandPose()))
    assert add_closed_gaps(view_before) is view_before


def test_landmarks_that_agree_leave_the_outlines_valleys() -> None:
    drawn = draw_hand(HandPose(scale=100))
    view_before = first_view(drawn)
    assert correct_valleys(view_before, placed(drawn.valleys + 5)) is view_before


@pytest.mark.parametrize("right", [False, True])
def test_landmarks_that_disagree_place_the_valleys_and_the_lean(right: bool) -> None:
    drawn = draw_hand(HandPose(scale=100, right=right))
    moved = drawn.valleys + np.array([0, 25])
    corrected = correct_valleys(first_view(drawn), placed(moved, Hand.RIGHT if right else Hand.LEFT))
    assert corrected is not None
    assert corrected.valleys is not None
    points = corrected.silhouette.to_picture(corrected.valleys.points)
    assert np.allclose(points[::-1] if right else points, moved)
    assert corrected.valleys.up[1] < -0.95
    # Fingers lean to the thumb: left of a left hand whose fingers are up.
    assert (corrected.valleys.towards @ corrected.valleys.along > 0) == right


def test_landmarks_that_mean_no_palm_are_not_believed() -> None:
    drawn = draw_hand(HandPose(scale=100))
    assert correct_valleys(first_view(drawn), placed(drawn.valleys + np.array([150, 0]))) is None
