import pytest

from edge_agent.palm.hand.anatomy.fingers import find_whole_fingers
from edge_agent.palm.hand.anatomy.unused import score_unused_gaps
from edge_agent.palm.hand.contour import FingerGap
from tests.edge_agent.palm.hand.anatomy.scenes import (
    INDEX,
    LITTLE,
    MIDDLE,
    PALM,
    RING,
    VALLEYS,
    WHOLE_HAND,
    Box,
    draw_mask,
    gap,
    triple,
)

# A fourth finger beside the little one's place, as where the valleys of index to ring finger were chosen wrongly.
NEXT: Box = (1.5, -0.8, 2.4, 1.2)
STUBS: tuple[Box, ...] = (PALM, (-0.45, 0.0, -0.04, 0.5), (0.04, 0.0, 0.46, 0.5), (0.54, 0.0, 0.96, 0.5), LITTLE)


def unused(
    *more: FingerGap, boxes: tuple[Box, ...] = (*WHOLE_HAND, NEXT), chosen: tuple[FingerGap, ...] = VALLEYS
) -> float:
    triples, gaps = triple((*chosen, *more)) if len(chosen) > 2 else triple(chosen)
    mask = draw_mask(*boxes)
    return float(score_unused_gaps(triples, gaps, mask, find_whole_fingers(triples, mask))[0])


def test_a_hand_without_further_bays_costs_nothing() -> None:
    assert unused() == 0


def test_dark_lines_and_hands_without_a_bay_do_not_count() -> None:
    assert unused(gap(0.25, 0.05, closed=True)) == 0
    lines = tuple(gap(x, y, depth=1.0, closed=True) for x, y in ((0, 0), (0.5, 0.08), (1, 0)))
    assert unused(chosen=lines) == 0


@pytest.mark.parametrize(
    ("bay", "is_missed"),
    [
        pytest.param(gap(0.25, 0.05), True, id="half way"),
        pytest.param(gap(0.75, 0.05), True, id="half way, on the other side"),
        pytest.param(gap(0.05, 0.05), False, id="the first one's own corner"),
        pytest.param(gap(0.45, 0.05), False, id="the middle one's own corner"),
        pytest.param(gap(0.34, 0.05), False, id="near the middle one, whose place is less sure"),
        pytest.param(gap(0.25, -0.3), False, id="in the palm"),
        pytest.param(gap(0.25, 0.5), False, id="up at the fingers"),
        pytest.param(gap(0.25, 0.05, 0.8), False, id="leading aside"),
    ],
)
def test_a_bay_between_the_chosen_ones_was_left_out(bay: FingerGap, is_missed: bool) -> None:
    assert unused(bay) == pytest.approx(7.2 if is_missed else 0)


@pytest.mark.parametrize(
    ("bay", "is_missed"),
    [
        pytest.param(gap(1.5, -0.1), True, id="where a fourth valley would be"),
        pytest.param(gap(1.1, -0.1), False, id="the valley's own corner"),
        pytest.param(gap(2.0, -0.1), False, id="too far out"),
        pytest.param(gap(1.5, 0.5), False, id="up at the fingers"),
        pytest.param(gap(1.5, -0.5), False, id="as low as a thumb's"),
        pytest.param(gap(1.5, -0.1, 1.1), False, id="leading aside"),
    ],
)
def test_a_bay_beside_whole_fingers_with_a_finger_behind_it_was_left_out(bay: FingerGap, is_missed: bool) -> None:
    cost = unused(bay)
    assert cost > 5 if is_missed else cost == 0


def test_behind_the_gap_of_a_laid_thumb_stands_no_finger() -> None:
    assert unused(gap(1.5, -0.1), boxes=(*WHOLE_HAND, (1.5, -0.6, 1.9, 0.3))) == 0


def test_on_the_first_valleys_side_a_bay_counts_alike() -> None:
    assert unused(gap(-0.5, -0.1), boxes=(*WHOLE_HAND, (-0.9, -0.2, -0.5, 1.2))) > 5


@pytest.mark.parametrize(
    ("bay", "is_missed"),
    [
        pytest.param(gap(1.5, -0.1), True, id="in line with the others"),
        pytest.param(gap(1.5, -0.35), False, id="lower"),
        pytest.param(gap(1.5, -0.1, 0.8), False, id="leading aside"),
    ],
)
def test_where_fingers_are_cut_a_bay_in_line_with_the_others_was_left_out(bay: FingerGap, is_missed: bool) -> None:
    cost = unused(bay, boxes=STUBS)
    assert cost > 3 if is_missed else cost == 0


def test_a_pair_whose_middle_gap_nobody_saw_leaves_out_nothing_between() -> None:
    first, _, third = VALLEYS
    triples, _ = triple((first, third))
    _, gaps = triple((first, third, gap(0.25, 0.05)))
    mask = draw_mask(PALM, INDEX, MIDDLE, RING, LITTLE)
    assert score_unused_gaps(triples, gaps, mask, find_whole_fingers(triples, mask))[0] == 0
