"""The edit check, line by line of the table and at its edges."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.contract.edit_check import EditCheck, check_meal_count, expected_meals
from tests.vectors import load_csv


@pytest.mark.parametrize(
    "row", load_csv("canteen/edit_check.csv"), ids=lambda row: f"{row['school']}-{row['free_count']}"
)
def test_every_line_of_the_table(row: dict[str, str]) -> None:
    found = check_meal_count(int(row["free_count"]), int(row["free_eligible"]), Decimal(row["attendance_factor"]))
    assert found == row["flag"]


@settings(deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 1_000))
def test_it_is_exact_to_the_last_meal(eligible: int, thousandths: int) -> None:
    factor = Decimal(thousandths).scaleb(-3)
    most = eligible * thousandths // 1000
    assert expected_meals(eligible, factor) == Fraction(eligible * thousandths, 1000)
    assert check_meal_count(most, eligible, factor) is EditCheck.OK
    assert check_meal_count(most + 1, eligible, factor) is not EditCheck.OK


@pytest.mark.parametrize("factor", ["-0.1", "1.01", "NaN", "Infinity"])
def test_a_factor_that_cannot_be(factor: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        check_meal_count(1, 1, Decimal(factor))


@pytest.mark.parametrize(("count", "eligible"), [(-1, 1), (1, -1)])
def test_counts_that_cannot_be(count: int, eligible: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        check_meal_count(count, eligible, Decimal(1))
