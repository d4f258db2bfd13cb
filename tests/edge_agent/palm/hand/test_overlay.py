import numpy as np
import pytest

from edge_agent.palm.hand.overlay import draw_overlay
from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.hand.region import FramedPalm, find_region
from tests.edge_agent.palm.hands import HandPose, draw_hand


@pytest.mark.parametrize("colour", [False, True])
def test_what_was_seen_is_drawn_on_a_copy(colour: bool) -> None:
    picture = draw_hand(HandPose(colour=colour, turn_deg=40)).picture
    before = picture.copy()
    palm = find_region(picture)
    assert isinstance(palm, FramedPalm)
    drawn = draw_overlay(picture, palm)
    assert np.array_equal(picture, before)
    assert drawn.shape == (*picture.shape[:2], 3)
    x, y = np.rint(palm.placement.valleys[1]).astype(int)
    assert drawn[y, x].tolist() == [255, 0, 255]


def test_a_refusal_is_written() -> None:
    picture = np.zeros((120, 160, 1), np.uint8)
    assert draw_overlay(picture, UnfitPicture(UnfitReason.NO_HAND, "detail")).any()
