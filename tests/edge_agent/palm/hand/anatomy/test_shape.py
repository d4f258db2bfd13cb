import numpy as np
import pytest

from edge_agent.palm.hand.anatomy.shape import (
    score_middle_height,
    score_posture,
    score_shape,
    score_size,
    score_visibility,
)
from edge_agent.palm.hand.contour import FingerGap
from tests.edge_agent.palm.hand.anatomy.scenes import HAND_RADIUS, UNIT, VALLEYS, gap, triple

FIRST, MIDDLE, THIRD = VALLEYS


def posture(*gaps: FingerGap) -> float:
    return float(score_posture(*triple(gaps))[0])


def visibility(*gaps: FingerGap) -> float:
    return float(score_visibility(*triple(gaps), HAND_RADIUS)[0])


@pytest.mark.parametrize(("height", "fits"), [(0.08, True), (0.02, True), (0.14, True), (0.25, False), (-0.1, False)])
def test_the_middle_valley_stands_a_little_above_the_outer_ones(height: float, fits: bool) -> None:
    triples, _ = triple((FIRST, gap(0.5, height), THIRD))
    cost = score_middle_height(triples)[0]
    assert cost < 0.01 if fits else cost > 1


@pytest.mark.parametrize(("radii", "fits"), [(1.2, True), (1.11, True), (1.29, True), (1.7, False), (0.75, False)])
def test_the_outer_valleys_are_as_far_apart_as_the_palm_is_wide(radii: float, fits: bool) -> None:
    cost = score_size(triple()[0], UNIT / radii)[0]
    assert cost < 0.01 if fits else cost > 1


def test_a_hand_as_it_is_held_costs_nothing_also_mirrored() -> None:
    assert posture(FIRST, MIDDLE, THIRD) < 0.01
    assert posture(gap(0, 0, -0.1), gap(0.5, 0.08, 0.1), gap(1, 0, 0.2)) < 0.01
    assert score_shape(*triple(), HAND_RADIUS)[0] < 0.01


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param((FIRST, gap(0.62, 0.08, -0.1), THIRD), id="middle valley off the middle"),
        pytest.param((FIRST, gap(0.38, 0.08, -0.1), THIRD), id="middle valley off the middle, left"),
        pytest.param((FIRST, gap(0.5, 0.08, 0.6), THIRD), id="middle gap leans to the little finger"),
        pytest.param((gap(0, 0, -1.0), MIDDLE, THIRD), id="gap beside the thumb leans far out"),
        pytest.param((FIRST, MIDDLE, gap(1, 0, 0.9)), id="gap beside the little finger leans far out"),
    ],
)
def test_gaps_that_lean_unlike_a_hand_cost(gaps: tuple[FingerGap, ...]) -> None:
    assert posture(*gaps) > 1
    assert score_shape(*triple(gaps), HAND_RADIUS)[0] > 1


def test_a_middle_gap_that_nobody_saw_leans_as_its_neighbours_do() -> None:
    straight, slanted = (gap(0, 0, 0.0), gap(1, 0, 0.0)), (gap(0, 0, 0.45), gap(1, 0, 0.45))
    assert posture(*straight) < 0.01
    assert posture(*slanted) > 1


def test_a_dark_line_costs_a_little_where_it_is_clear_and_more_where_it_is_not() -> None:
    assert visibility(FIRST, MIDDLE, THIRD) == 0
    clear = visibility(FIRST, gap(0.5, 0.08, depth=1.0, closed=True), THIRD)
    faint = visibility(FIRST, gap(0.5, 0.08, depth=0.7, closed=True), THIRD)
    assert 0.5 < clear < 2
    assert faint > clear + 3


def test_a_gap_that_nobody_saw_costs_more_than_any_that_was_seen() -> None:
    assert visibility(FIRST, THIRD) > 15


@pytest.mark.parametrize(
    ("bay", "is_fold"),
    [
        pytest.param((0.5, 0.12), True, id="its end is a bay's end"),
        pytest.param((0.5, 0.6), False, id="a bay far ahead"),
        pytest.param((0.8, 0.12), False, id="a bay aside"),
        pytest.param((0.5, -0.2), False, id="a bay behind"),
    ],
)
def test_a_dark_line_that_leads_into_a_bay_is_a_fold_of_its_skin(bay: tuple[float, float], is_fold: bool) -> None:
    line = gap(0.5, 0.0, depth=1.0, closed=True)
    cost = visibility(FIRST, line, THIRD, gap(*bay))
    assert cost > 8 if is_fold else cost < 2


def test_all_parts_of_the_shape_are_added() -> None:
    gaps = (gap(0, 0, -1.0), gap(0.6, 0.3, 0.6), gap(1, 0, 0.9, depth=0.5, closed=True))
    triples, columns = triple(gaps)
    parts = score_middle_height(triples) + score_size(triples, 50.0) + score_posture(triples, columns)
    assert np.allclose(score_shape(triples, columns, 50.0), parts + score_visibility(triples, columns, 50.0))
    assert score_middle_height(triples)[0] > 1
    assert score_size(triples, 50.0)[0] > 1
