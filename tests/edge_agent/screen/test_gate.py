"""The staff's gate: a session for a right PIN, none for another, and sessions that are few and end."""

import itertools

import pytest

from edge_agent.domain.operators import WAIT_S_MAX, WRONG_FREE, Operator
from edge_agent.runtime.operator_book import CommonPin, OperatorBook
from edge_agent.screen.gate import SESSION_IDLE_S, SESSIONS_MAX, StaffGate
from edge_agent.screen.ports import PinVerdict


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> StaffGate:
    tokens = itertools.count()
    book = OperatorBook(tmp_path_factory.mktemp("state"), CommonPin("2580", ("Анна Ли", "Гүлнар")))
    return StaffGate(book, lambda: f"token-{next(tokens)}")


def admit(gate: StaffGate, now_s: float, operator: str = "Анна Ли", client: str = "kiosk") -> str:
    token = gate.admit(operator, client, PinVerdict.RIGHT, now_s)
    assert token is not None
    return token


def name_of(operator: Operator | None) -> str:
    return operator.name if operator else ""


def test_the_right_pin_opens_and_names_the_operator(gate: StaffGate) -> None:
    token = admit(gate, 0.0)
    assert name_of(gate.operator(token, "kiosk", 1.0)) == "Анна Ли"
    gate.sign_out(token)
    assert gate.operator(token, "kiosk", 1.0) is None


@pytest.mark.parametrize("verdict", [PinVerdict.WRONG, PinVerdict.TO_CHANGE])
def test_no_other_pin_opens(gate: StaffGate, verdict: PinVerdict) -> None:
    assert gate.admit("Анна Ли", "kiosk", verdict, 0.0) is None


def test_a_client_of_wrong_pins_waits_and_nobody_else_does(gate: StaffGate) -> None:
    inside = admit(gate, 0.0)
    for _ in range(WRONG_FREE + 1):
        gate.admit("Гүлнар", "kiosk", PinVerdict.WRONG, 0.0)
    assert 0 < gate.wait_s("kiosk", 0.0) <= WAIT_S_MAX + 1
    assert gate.wait_s("tablet", 0.0) == 0
    assert gate.wait_s("kiosk", WAIT_S_MAX) == 0
    assert name_of(gate.operator(inside, "kiosk", 0.0)) == "Анна Ли"


def test_an_idle_session_ends_and_looking_on_does_not_keep_it(gate: StaffGate) -> None:
    token = admit(gate, 0.0)
    assert name_of(gate.operator(token, "kiosk", SESSION_IDLE_S - 1, used=False)) == "Анна Ли"
    assert gate.operator(token, "kiosk", SESSION_IDLE_S) is None


def test_the_session_unused_for_longest_gives_way(gate: StaffGate) -> None:
    tokens = [admit(gate, float(number)) for number in range(SESSIONS_MAX + 1)]
    assert [gate.operator(token, "kiosk", 100.0) is not None for token in tokens] == [False] + [True] * SESSIONS_MAX


def test_every_session_of_one_operator_can_be_ended(gate: StaffGate) -> None:
    ended, other = admit(gate, 0.0), admit(gate, 0.0, "Гүлнар")
    gate.end_sessions("Анна Ли")
    assert gate.operator(ended, "kiosk", 1.0) is None
    assert name_of(gate.operator(other, "kiosk", 1.0)) == "Гүлнар"


def test_a_token_that_was_copied_to_another_client_opens_nothing(gate: StaffGate) -> None:
    token = admit(gate, 0.0, client="tablet 1")
    assert gate.operator(token, "tablet 2", 1.0) is None
    assert gate.operator(token, "kiosk", 1.0) is None
    assert name_of(gate.operator(token, "tablet 1", 1.0)) == "Анна Ли"


def test_every_session_of_one_client_can_be_ended(gate: StaffGate) -> None:
    ended, other = admit(gate, 0.0, client="tablet 1"), admit(gate, 0.0)
    gate.end_client("tablet 1")
    assert gate.operator(ended, "tablet 1", 1.0) is None
    assert name_of(gate.operator(other, "kiosk", 1.0)) == "Анна Ли"
