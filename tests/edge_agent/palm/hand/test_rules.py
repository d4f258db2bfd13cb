import numpy as np
import pytest

from edge_agent.palm.hand.rules import AtLeast, AtMost, Band, Limits, Span, Steps


def test_a_band_is_free_around_its_centre_and_then_costs_the_square() -> None:
    band = Band(1.0, free=0.5, unit=0.25)
    assert band.cost(np.array([0.5, 1.0, 1.5, 1.75, 2.0, 0.25])).tolist() == [0, 0, 0, 1, 4, 1]


def test_a_lack_and_an_excess_cost_up_to_a_ceiling() -> None:
    assert AtLeast(1.0, unit=0.5, ceiling=3.0).cost(np.array([2.0, 1.0, 0.5, 0.0])).tolist() == [0, 0, 1, 3]
    assert AtMost(1.0, unit=0.5, ceiling=3.0).cost(np.array([0.0, 1.0, 1.5, 2.0])).tolist() == [0, 0, 1, 3]
    assert AtLeast(1.0, unit=0.5).cost(-9.0) == 400
    assert AtMost(1.0, unit=0.5).cost(11.0) == 400


def test_a_span_leaves_its_ends_out_and_limits_hold_them() -> None:
    assert Span(1, 2).holds(np.array([1.0, 1.5, 2.0])).tolist() == [False, True, False]
    assert Limits(1, 2).clip(np.array([0.0, 1.5, 9.0])).tolist() == [1, 1.5, 2]


def test_steps_hold_both_ends() -> None:
    assert Steps(0, 1, 3).places() == pytest.approx([0, 0.5, 1])
