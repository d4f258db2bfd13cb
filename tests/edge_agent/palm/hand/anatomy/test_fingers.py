import pytest

from edge_agent.palm.hand.anatomy.fingers import (
    find_whole_fingers,
    score_missing_fingers,
    score_outer_reaches,
    score_outer_widths,
)
from edge_agent.palm.hand.arrays import Mask
from tests.edge_agent.palm.hand.anatomy.scenes import (
    INDEX,
    LITTLE,
    MIDDLE,
    PALM,
    RING,
    VALLEYS,
    WHOLE_HAND,
    Box,
    crop_right,
    crop_top,
    draw_mask,
    gap,
    triple,
)

STUBS: tuple[Box, Box] = ((0.04, 0.0, 0.46, 0.7), (0.54, 0.0, 0.96, 0.7))
CLOSED = tuple(gap(x, y, depth=1.0, closed=True) for x, y in ((0, 0), (0.5, 0.08), (1, 0)))


def widths(mask: Mask, *, closed: bool = False) -> float:
    return float(score_outer_widths(*triple(CLOSED if closed else VALLEYS), mask)[0])


def reaches(mask: Mask, *, closed: bool = False) -> float:
    triples, gaps = triple(CLOSED if closed else VALLEYS)
    return float(score_outer_reaches(triples, gaps, mask, find_whole_fingers(triples, mask))[0])


@pytest.mark.parametrize("missing", [MIDDLE, RING])
def test_between_two_valleys_stands_a_finger(missing: Box) -> None:
    triples, _ = triple()
    assert score_missing_fingers(triples, draw_mask(*WHOLE_HAND))[0] < 0.01
    boxes = [box for box in WHOLE_HAND if box != missing]
    assert score_missing_fingers(triples, draw_mask(*boxes))[0] > 5


def test_fingers_are_whole_where_neither_the_picture_nor_a_stop_cuts_them() -> None:
    mask = draw_mask(*WHOLE_HAND)
    assert find_whole_fingers(triple()[0], mask)[0]
    assert not find_whole_fingers(triple()[0], draw_mask(PALM, INDEX, *STUBS, LITTLE))[0]
    cut, gaps = crop_top(mask, VALLEYS, 1.3)
    assert not find_whole_fingers(triple(gaps)[0], cut)[0]


@pytest.mark.parametrize(
    ("outer", "fits"),
    [
        pytest.param((1.0, -0.3, 1.45, 1.2), True, id="a finger"),
        pytest.param((1.0, -0.3, 1.2, 1.2), False, id="too narrow for a finger"),
        pytest.param((1.0, -0.3, 1.9, 1.2), False, id="two fingers"),
    ],
)
def test_beside_an_outer_valley_stands_one_finger(outer: Box, fits: bool) -> None:
    cost = widths(draw_mask((-0.45, -1.6, 1.0, 0.0), INDEX, MIDDLE, RING, outer))
    assert cost < 0.01 if fits else cost > 1


def test_a_valley_high_beside_the_fingers_root_is_measured_downwards_too() -> None:
    shoulder = (1.0, -0.1, 1.2, 1.2)
    assert widths(draw_mask((-0.45, -1.6, 1.0, 0.0), INDEX, shoulder, (1.0, -0.5, 1.55, -0.1))) < 0.5
    # The look downwards runs through the palm: what it says beyond two fingers is not believed.
    assert 1 < widths(draw_mask((-0.45, -1.6, 1.0, 0.0), INDEX, shoulder, (1.0, -1.6, 2.4, -0.1))) < 6


def test_a_thumb_beside_a_closed_finger_does_not_make_it_two() -> None:
    hand = draw_mask((-0.45, -1.6, 1.9, 0.1), *WHOLE_HAND)
    assert widths(hand, closed=False) > 9
    assert widths(hand, closed=True) < 0.5


def test_a_closed_finger_that_ends_low_does_not_make_two_fingers_one() -> None:
    short = (1.0, 0.0, 1.15, 1.2)
    assert widths(draw_mask((-0.45, -1.6, 1.9, 0.1), INDEX, MIDDLE, RING, short), closed=True) > 9


def test_the_pictures_edge_hides_the_rest_of_an_outer_finger() -> None:
    wide = draw_mask((-0.45, -1.6, 2.0, 1.2))
    assert widths(crop_right(wide, 1.2)) < 1
    assert widths(crop_right(wide, 1.9)) < 1
    assert widths(wide) > 9


def test_an_outer_finger_is_nearly_as_long_as_the_others() -> None:
    assert reaches(draw_mask(*WHOLE_HAND)) < 0.01
    assert reaches(draw_mask(PALM, INDEX, MIDDLE, RING, (1.04, 0.0, 1.45, 0.5))) > 5


def test_where_the_middle_fingers_are_stubs_so_may_the_outer_ones_be() -> None:
    index: Box = (-0.45, 0.0, -0.04, 0.6)
    assert reaches(draw_mask(PALM, index, *STUBS, (1.04, 0.0, 1.45, 0.55))) < 0.01
    assert reaches(draw_mask(PALM, index, *STUBS, (1.04, 0.0, 1.45, 0.1))) > 1


def test_a_closed_finger_is_followed_along_its_gap_and_not_into_its_neighbour() -> None:
    short: Box = (1.0, 0.0, 1.45, 0.5)
    hand = draw_mask(PALM, INDEX, MIDDLE, (0.54, 0.0, 1.0, 1.5), short)
    assert reaches(hand, closed=True) > 5
