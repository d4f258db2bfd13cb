import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.palm.measurement.rates import Rate, curve, equal_error, miss_rate


def test_wilsons_interval_as_in_the_tables() -> None:
    assert Rate(0, 100).confidence_interval == pytest.approx((0.0, 3.6994), abs=1e-3)
    assert Rate(5, 100).confidence_interval == pytest.approx((2.1543, 11.1752), abs=1e-3)
    assert Rate(0, 0).confidence_interval == (0.0, 100.0)
    assert Rate(3, 4).percent == 75


def test_misses_by_hand() -> None:
    strangers = np.arange(1, 11) / 20  # 0.05 … 0.5
    mated = np.array([0.46, 0.5, 0.51, 0.9])
    none = miss_rate(mated, strangers, 0.01)  # 0.1 strangers may pass: none
    assert none is not None
    assert (none.threshold, none.misses, none.shown) == (0.5, Rate(2, 4), False)
    one = miss_rate(mated, strangers, 0.1)
    assert one is not None
    assert (one.threshold, one.misses, one.shown) == (0.45, Rate(0, 4), False)


def test_a_rate_is_shown_from_ten_expected_events_on() -> None:
    mated = np.array([0.9])
    assert [at.shown for n in (9_999, 10_000) if (at := miss_rate(mated, np.zeros(n), 1e-3))] == [False, True]
    assert miss_rate(mated, np.zeros(0), 1e-3) is None
    assert miss_rate(np.zeros(0), mated, 1e-3) is None


def test_equal_error_by_hand() -> None:
    found = equal_error(np.array([0.2, 0.6, 0.7, 0.8]), np.array([0.1, 0.1, 0.3, 0.65]))
    assert found is not None
    assert found.percent == 25
    assert (found.misses, found.false) == (Rate(1, 4), Rate(1, 4))
    perfect = equal_error(np.array([0.5, 0.6]), np.array([0.1, 0.4]))
    assert perfect is not None
    assert perfect.percent == 0
    assert equal_error(np.zeros(0), np.zeros(3)) is None


@given(
    st.lists(st.integers(-1, 20), min_size=1, max_size=40),
    st.lists(st.integers(-1, 20), min_size=1, max_size=40),
    st.floats(0, 1),
)
def test_no_more_strangers_pass_than_were_allowed(mated: list[int], strangers: list[int], share: float) -> None:
    found = miss_rate(np.array(mated, float), np.array(strangers, float), min(share, 0.999))
    assert found is not None
    assert np.mean(np.array(strangers) > found.threshold) <= share + 1e-9
    assert found.misses.events == sum(score <= found.threshold for score in mated)


def test_the_curve_falls() -> None:
    accepted, missed = curve(np.linspace(0.2, 1, 50), np.linspace(0, 0.4, 80))
    assert np.all(np.diff(accepted) > 0)
    assert np.all(np.diff(missed) <= 0)
