"""Operators: rights, PINs, and the wait after wrong ones, whatever is tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.domain.operators import (
    PIN_DIGITS,
    WAIT_S_MAX,
    WRONG_FREE,
    Operator,
    OperatorRight,
    OperatorRole,
    PinFault,
    WrongPins,
    find_pin_fault,
)

OPERATORS = ("cook", "head", "teacher", "nobody")
WRONG_TRIES = st.lists(
    st.tuples(st.sampled_from(("hall", "tablet")), st.sampled_from(OPERATORS), st.floats(0, 60)), max_size=60
)


def play(tries: list[tuple[str, str, float]]) -> tuple[WrongPins, float]:
    """Returns the wrong PINs after these tries, each at a client that did not have to wait, and the time."""
    wrong, now_s = WrongPins(), 0.0
    for client, operator, pause_s in tries:
        now_s += pause_s
        if wrong.wait_s(client, now_s) == 0:
            wrong.note_wrong(client, operator, now_s)
    return wrong, now_s


@given(WRONG_TRIES)
def test_no_prank_makes_another_client_wait(tries: list[tuple[str, str, float]]) -> None:
    wrong, now_s = play(tries)
    assert wrong.wait_s("another tablet", now_s) == 0


@given(WRONG_TRIES)
def test_no_client_waits_longer_than_half_a_minute(tries: list[tuple[str, str, float]]) -> None:
    wrong, now_s = play(tries)
    for client in ("hall", "tablet"):
        assert 0 <= wrong.wait_s(client, now_s) <= WAIT_S_MAX
        assert wrong.wait_s(client, now_s + WAIT_S_MAX) == 0


@given(WRONG_TRIES)
def test_a_right_pin_of_one_operator_forgives_no_try_for_another(tries: list[tuple[str, str, float]]) -> None:
    tries = [each for each in tries if each[1] != "cook"]
    plain, now_s = play(tries)
    before = plain.wait_s("hall", now_s)
    plain.note_right("hall", "cook")
    assert plain.wait_s("hall", now_s) == before


@pytest.mark.parametrize("insider", [False, True])
def test_guessing_every_pin_at_a_client_takes_most_of_a_year(insider: bool) -> None:
    wrong, now_s, tries = WrongPins(), 0.0, 500
    for _ in range(tries):
        now_s += wrong.wait_s("hall", now_s)
        wrong.note_wrong("hall", "head", now_s)
        if insider:  # who has a PIN signs in with it between the guesses
            wrong.note_right("hall", "cook")
    assert now_s / tries * 10**PIN_DIGITS > 300 * 86_400


def test_the_first_wrong_pins_cost_nothing_and_the_right_one_ends_the_count() -> None:
    wrong = WrongPins()
    for number in range(WRONG_FREE):
        wrong.note_wrong("hall", "cook", float(number))
        assert wrong.wait_s("hall", float(number)) == 0
    wrong.note_wrong("hall", "cook", 10.0)
    assert wrong.wait_s("hall", 10.0) == 2
    wrong.note_right("hall", "cook")
    assert wrong.wait_s("hall", 10.0) == 0


@pytest.mark.parametrize(
    ("pin", "fault"),
    [
        ("12345", PinFault.NOT_SIX_DIGITS),
        ("1234567", PinFault.NOT_SIX_DIGITS),
        ("12345a", PinFault.NOT_SIX_DIGITS),
        ("١٢٣٤٥٦", PinFault.NOT_SIX_DIGITS),
        ("", PinFault.NOT_SIX_DIGITS),
        ("000000", PinFault.EASY),
        ("123456", PinFault.EASY),
        ("987654", PinFault.EASY),
        ("271828", PinFault.UNCHANGED),
        ("314159", None),
    ],
)
def test_a_new_pin_has_six_digits_and_is_not_the_first_that_one_tries(pin: str, fault: PinFault | None) -> None:
    assert find_pin_fault(pin, "271828") is fault


def test_only_the_head_has_the_operators_in_hand() -> None:
    may = {role: Operator("o", "O", frozenset({role})).rights() for role in OperatorRole}
    assert [role for role in OperatorRole if OperatorRight.OPERATORS in may[role]] == [OperatorRole.HEAD]
    assert set(may[OperatorRole.TECHNICIAN]) == {
        OperatorRight.CLOCKS, OperatorRight.ANSWER, OperatorRight.ENROL, OperatorRight.TABLETS,
    }  # fmt: skip
    both = Operator("o", "O", frozenset({OperatorRole.TECHNICIAN, OperatorRole.CLASS_TEACHER}))
    assert both.may(OperatorRight.CLOCKS)
    assert both.may(OperatorRight.ENTER)
