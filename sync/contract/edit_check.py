"""The count of free meals against what the entitled children can have eaten (7 CFR 210.8(a), attendance factor).

Exact arithmetic: 300 entitled × 0.938 is 281.4, so 281 meals are in order and 282 are not, in every language and on
every machine.
"""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction


class EditCheck(StrEnum):
    """The result of the comparison."""

    OK = "ok"
    OVER_FACTOR = "over_factor"  # more than the usual attendance explains: follow up before it is claimed
    OVER_ELIGIBLE = "over_eligible"  # more than there are entitled children


def check_meal_count(free_count: int, eligible: int, attendance_factor: Decimal) -> EditCheck:
    """Returns if the meals are in order. `attendance_factor`: the share of the entitled present on a usual day, 0 to 1.

    The factor is never a float. Raises ValueError for counts below zero and factors outside that range.
    """
    if free_count < 0 or eligible < 0 or not (attendance_factor.is_finite() and 0 <= attendance_factor <= 1):
        raise ValueError("counts must not be negative and the attendance factor must be from 0 to 1; correct them")
    if free_count > eligible:
        return EditCheck.OVER_ELIGIBLE
    return EditCheck.OVER_FACTOR if free_count > expected_meals(eligible, attendance_factor) else EditCheck.OK


def expected_meals(eligible: int, attendance_factor: Decimal) -> Fraction:
    """Returns how many meals the usual attendance explains. A Decimal product would round as its thread says."""
    return Fraction(attendance_factor) * eligible
