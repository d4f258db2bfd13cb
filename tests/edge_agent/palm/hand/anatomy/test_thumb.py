import math

import numpy as np
import pytest

from edge_agent.palm.hand.anatomy.thumb import (
    find_leaning_side,
    find_open_side,
    find_pressed_side,
    name_hand,
)
from edge_agent.palm.hand.anatomy.triples import stack_gaps
from edge_agent.palm.hand.anatomy.valleys import FingerValleys
from edge_agent.palm.hand.contour import FingerGap
from edge_agent.palm.types import Hand
from tests.edge_agent.palm.hand.anatomy.scenes import UNIT, gap, place

POINTS = np.array([place(0, 0), place(0.5, 0.08), place(1, 0)])


def valleys(lean: float = 0.0, leaning: float = 0.0, closed: int = 0) -> FingerValleys:
    """Returns the valleys of a hand whose middle gap, and whose gaps on average, lean by radians."""
    towards = np.array([math.sin(leaning), -math.cos(leaning)])
    return FingerValleys(POINTS, np.array([1.0, 0]), np.array([0, -1.0]), UNIT, 0.0, towards, lean, closed)


def mirrored(bay: FingerGap) -> FingerGap:
    x, y = bay.point
    return FingerGap(np.array([2 * place(0.5, 0)[0] - x, y]), bay.direction * (-1, 1), bay.depth, bay.closed, bay.flat)


def open_side(*gaps: FingerGap, lean: float = 0.0) -> int:
    side = find_open_side(valleys(lean), stack_gaps(gaps))
    assert find_open_side(valleys(-lean), stack_gaps([mirrored(bay) for bay in gaps])) == -side
    return side


def pressed_side(*gaps: FingerGap) -> int:
    side = find_pressed_side(valleys(), stack_gaps(gaps))
    assert find_pressed_side(valleys(), stack_gaps([mirrored(line) for line in gaps])) == -side
    return side


@pytest.mark.parametrize(
    ("bay", "is_thumb"),
    [
        pytest.param(gap(-0.5, -0.8, -0.8), True, id="beside the palm"),
        pytest.param(gap(0.02, -0.8, -0.8), False, id="under the valleys"),
        pytest.param(gap(-1.3, -0.8, -0.8), False, id="too far out"),
        pytest.param(gap(-0.5, -2.0, -0.8), False, id="at the wrist"),
        pytest.param(gap(-0.5, -0.1, -0.8, depth=0.5), False, id="as high as the valleys"),
        pytest.param(gap(-0.5, -0.8, -1.9), False, id="opening downwards"),
        pytest.param(gap(-0.5, -0.8, 0.8), False, id="opening inwards"),
        pytest.param(gap(-0.5, -0.8, -0.8, closed=True), False, id="a dark line"),
    ],
)
def test_the_bay_of_a_spread_thumb(bay: FingerGap, is_thumb: bool) -> None:
    assert open_side(bay) == (-1 if is_thumb else 0)


@pytest.mark.parametrize(
    ("bay", "is_thumb"),
    [
        pytest.param(gap(-0.5, 0.1), True, id="between thumb and index finger"),
        pytest.param(gap(-0.5, -0.2), True, id="a little below the valleys"),
        pytest.param(gap(-0.1, 0.1), False, id="the valley's own corner"),
        pytest.param(gap(-1.1, 0.1), False, id="too far out"),
        pytest.param(gap(-0.5, 0.6), False, id="up at the fingers"),
        pytest.param(gap(-0.5, 0.1, -1.2), False, id="opening outwards"),
        pytest.param(gap(-0.5, 0.1, depth=0.5), False, id="shallow"),
    ],
)
def test_the_bay_of_a_thumb_laid_along_the_palm(bay: FingerGap, is_thumb: bool) -> None:
    assert open_side(bay) == (-1 if is_thumb else 0)


def test_a_shallow_bay_is_believed_where_the_fingers_lean_to_it() -> None:
    shallow = gap(-0.5, -0.8, -0.8, depth=0.25)
    assert open_side(shallow) == 0
    assert open_side(shallow, lean=-0.04) == 0
    assert open_side(shallow, lean=-0.1) == -1
    assert open_side(shallow, lean=0.1) == 0
    assert open_side(gap(-0.5, -0.8, -0.8, depth=0.15), lean=-0.1) == 0
    assert open_side(gap(-0.5, -0.8, -0.8, depth=0.35)) == -1


def test_of_two_bays_the_clearly_deeper_is_the_thumbs() -> None:
    bay, fold = gap(-0.5, -0.8, -0.8, depth=0.8), gap(1.5, -0.8, 0.8, depth=0.5)
    assert open_side(bay, fold) == -1
    assert open_side(bay, gap(1.5, -0.8, 0.8, depth=0.75)) == 0


def test_closed_fingers_lean_to_the_thumb() -> None:
    assert find_leaning_side(valleys(leaning=0.2, closed=3)) == 1
    assert find_leaning_side(valleys(leaning=-0.2, closed=3)) == -1
    assert find_leaning_side(valleys(leaning=0.05, closed=3)) == 0
    assert find_leaning_side(valleys(leaning=0.2, closed=2)) == 0


@pytest.mark.parametrize(
    ("line", "is_thumb"),
    [
        pytest.param(gap(-0.5, -0.3, depth=0.9, closed=True), True, id="beside the palm"),
        pytest.param(gap(-0.2, -0.3, depth=0.9, closed=True), False, id="in the index finger"),
        pytest.param(gap(-1.1, -0.3, depth=0.9, closed=True), False, id="too far out"),
        pytest.param(gap(-0.5, -1.4, depth=0.9, closed=True), False, id="at the wrist"),
        pytest.param(gap(-0.5, 0.3, depth=0.9, closed=True), False, id="up at the fingers"),
        pytest.param(gap(-0.5, -0.3, 0.8, depth=0.9, closed=True), False, id="a crease across"),
        pytest.param(gap(-0.5, -0.3, depth=0.7, closed=True), False, id="faint"),
        pytest.param(gap(-0.5, -0.3, depth=0.9), False, id="a bay"),
    ],
)
def test_the_dark_line_of_a_thumb_pressed_to_the_palm(line: FingerGap, is_thumb: bool) -> None:
    assert pressed_side(line) == (-1 if is_thumb else 0)


def test_dark_lines_on_both_sides_are_no_thumb() -> None:
    line = gap(-0.5, -0.3, depth=0.9, closed=True)
    assert pressed_side(line, mirrored(line)) == 0


def test_a_hand_is_named_by_the_first_sign_that_is_sure() -> None:
    bay, line = gap(-0.5, -0.8, -0.8), gap(1.5, -0.3, depth=0.9, closed=True)
    leaning = valleys(leaning=0.2, closed=3)
    assert name_hand(leaning, [bay, line]) is Hand.LEFT
    assert name_hand(leaning, [mirrored(line)]) is Hand.RIGHT
    assert name_hand(valleys(), [line]) is Hand.RIGHT
    assert name_hand(valleys(), [mirrored(line)]) is Hand.LEFT
    assert name_hand(valleys(), []) is Hand.UNKNOWN
