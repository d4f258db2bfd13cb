import numpy as np
import pytest

from edge_agent.palm.hand.anatomy.candidates import drop_doubles, find_triples, pair_up
from edge_agent.palm.hand.anatomy.triples import stack_gaps
from edge_agent.palm.hand.contour import FingerGap
from tests.edge_agent.palm.hand.anatomy.scenes import HAND_RADIUS, UNIT, VALLEYS, count_triples, gap

FIRST, MIDDLE, THIRD = VALLEYS


def neighbours(*gaps: FingerGap, with_unseen: bool = False) -> set[tuple[int, ...]]:
    """Returns the triples of rows that lie side by side."""
    rows = pair_up(stack_gaps(gaps), HAND_RADIUS, with_unseen=with_unseen)
    return set(zip(*(row.tolist() for row in rows), strict=True))


def test_of_two_gaps_in_one_place_the_deeper_is_tried() -> None:
    shallow, deep = gap(0, 0, depth=0.3), gap(0.05, 0, depth=0.9)
    assert drop_doubles([shallow, deep], HAND_RADIUS) == [deep]


def test_a_bay_counts_more_than_a_dark_line_in_its_place() -> None:
    bay, line = gap(0, 0, depth=0.3), gap(0.05, 0, depth=1.0, closed=True)
    assert drop_doubles([line, bay], HAND_RADIUS) == [bay]


def test_gaps_apart_or_with_other_directions_are_all_tried() -> None:
    gaps = [gap(0, 0), gap(0.3, 0), gap(0.05, 0, 1.5)]
    assert drop_doubles(gaps, HAND_RADIUS) == gaps
    assert drop_doubles([], HAND_RADIUS) == []


def test_neighbours_lie_side_by_side_left_to_right() -> None:
    assert neighbours(*VALLEYS) == {(0, 1, 2)}
    assert neighbours(THIRD, FIRST, MIDDLE) == {(1, 2, 0)}


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param((FIRST, gap(0.1, 0.0), THIRD), id="too near"),
        pytest.param((FIRST, gap(1.25, 0.0), gap(1.75, 0.0)), id="too far"),
        pytest.param((FIRST, gap(0.2, 0.7), THIRD), id="one far above the other"),
        pytest.param((gap(0, 0, -0.7), gap(0.5, 0.08, 0.7), THIRD), id="leading apart"),
    ],
)
def test_gaps_that_are_no_neighbours(gaps: tuple[FingerGap, ...]) -> None:
    assert not neighbours(*gaps)


def test_two_outer_gaps_may_have_a_middle_one_that_nobody_saw() -> None:
    assert neighbours(FIRST, THIRD) == set()
    assert neighbours(FIRST, THIRD, with_unseen=True) == {(0, -1, 1)}
    triples = find_triples(stack_gaps([FIRST, THIRD]), HAND_RADIUS, with_unseen=True)
    assert triples is not None
    assert np.allclose([triples.middle_along[0], triples.middle_height[0]], [0.5, 0.1])


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param((FIRST, gap(0.45, 0)), id="too near"),
        pytest.param((FIRST, gap(1.6, 0)), id="too far"),
        pytest.param((gap(0, 0, -0.6), gap(1, 0, 0.6)), id="leading apart"),
    ],
)
def test_outer_gaps_whose_middle_one_cannot_be_there(gaps: tuple[FingerGap, ...]) -> None:
    assert not neighbours(*gaps, with_unseen=True)


@pytest.mark.parametrize(
    "middle",
    [
        pytest.param(gap(0.2, 0.05), id="beside the first"),
        pytest.param(gap(0.8, 0.05), id="beside the third"),
        pytest.param(gap(0.5, -0.3), id="far below the line"),
        pytest.param(gap(0.5, 0.5), id="far above the line"),
    ],
)
def test_a_middle_valley_in_an_impossible_place(middle: FingerGap) -> None:
    assert count_triples(FIRST, MIDDLE, THIRD) == 1
    assert count_triples(FIRST, middle, THIRD) == 0


@pytest.mark.parametrize("radii", [0.5, 2.1])
def test_three_valleys_of_an_impossible_size(radii: float) -> None:
    assert count_triples(*VALLEYS, radius=UNIT / radii) == 0


@pytest.mark.parametrize("radii", [0.75, 1.75])
def test_two_valleys_of_an_impossible_size_where_nobody_saw_the_middle_one(radii: float) -> None:
    assert count_triples(FIRST, THIRD, with_unseen=True) == 1
    assert count_triples(FIRST, THIRD, radius=UNIT / radii, with_unseen=True) == 0
    assert count_triples(*VALLEYS, radius=UNIT / radii) == 1


def test_each_gap_leads_roughly_to_the_fingertips() -> None:
    assert count_triples(gap(0, 0, 1.0), gap(0.5, 0.08, 0.3), THIRD) == 1
    assert count_triples(gap(0, 0, 1.3), gap(0.5, 0.08, 0.3), THIRD) == 0
    assert count_triples(gap(0, 0, 0.8), gap(1, 0, 0.1), with_unseen=True) == 1
    assert count_triples(gap(0, 0, 1.0), gap(1, 0, 0.1), with_unseen=True) == 0
