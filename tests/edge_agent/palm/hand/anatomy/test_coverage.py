import numpy as np
import pytest

from edge_agent.palm.hand.anatomy.coverage import measure_coverage, score_coverage
from edge_agent.palm.hand.arrays import Mask
from tests.edge_agent.palm.hand.anatomy.scenes import PALM, UNIT, draw_mask, place, triple


def coverage(mask: Mask) -> float:
    return float(score_coverage(triple()[0], mask)[0])


def test_a_palm_that_fills_its_square_costs_nothing() -> None:
    assert coverage(draw_mask(PALM)) < 0.01


def test_a_square_that_reaches_out_of_the_hand_costs() -> None:
    assert coverage(draw_mask((-0.45, -1.6, 0.7, 0.0))) > 9


def test_a_square_that_is_mostly_outside_the_picture_costs() -> None:
    below = round(place(0, -0.6)[1])
    assert coverage(draw_mask(PALM)[:below]) > 1
    assert coverage(draw_mask(PALM)[: round(place(0, -1.2)[1])]) < 0.01


def test_coverage_is_the_share_of_hand_in_the_square() -> None:
    points, along, up = np.array([place(0, 0), place(0.5, 0.08), place(1, 0)]), np.array([1.0, 0]), np.array([0, -1.0])
    assert measure_coverage(points, along, up, UNIT, draw_mask(PALM)) == 1
    half = measure_coverage(points, along, up, UNIT, draw_mask((-0.45, -1.6, 0.5, 0.0)))
    assert half == pytest.approx(0.5, abs=0.05)
