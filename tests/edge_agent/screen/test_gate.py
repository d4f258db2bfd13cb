"""The staff's PIN: guessing is slow; sessions are few, and they end."""

import itertools

import pytest

from edge_agent.screen.gate import (
    LOCK_S,
    LOCK_S_MAX,
    SESSION_IDLE_S,
    SESSIONS_MAX,
    WRONG_FREE,
    GateLocked,
    SignedIn,
    StaffGate,
    WrongPin,
)


def gate(pin: str | None = "2580") -> StaffGate:
    tokens = itertools.count()
    return StaffGate(pin, lambda: f"token-{next(tokens)}")


def sign_in_token(outcome: SignedIn | WrongPin | GateLocked) -> str:
    assert isinstance(outcome, SignedIn)
    return outcome.token


def test_the_right_pin_opens_and_names_the_operator() -> None:
    staff = gate()
    token = sign_in_token(staff.sign_in("2580", "Анна Ли", 0.0))
    assert staff.operator(token, 1.0) == "Анна Ли"
    staff.sign_out(token)
    assert staff.operator(token, 1.0) is None


def test_without_a_pin_nothing_opens() -> None:
    staff = gate(None)
    assert not staff.is_enabled
    assert isinstance(staff.sign_in("", "Анна Ли", 0.0), WrongPin)


def test_a_short_pin_opens_nothing() -> None:
    staff = gate("123")
    assert not staff.is_enabled
    assert isinstance(staff.sign_in("123", "Анна Ли", 0.0), WrongPin)


def test_guessing_every_pin_with_four_digits_takes_months() -> None:
    staff, now_s, tried = gate("9999"), 0.0, 0
    while tried < 1_000:
        match staff.sign_in("0000", "x", now_s):
            case WrongPin():
                tried += 1
            case GateLocked(seconds):
                assert 0 < seconds <= LOCK_S_MAX + 1
                now_s += seconds
            case SignedIn():
                pytest.fail("the wrong PIN opened")
    assert now_s * 10 > 60 * 86_400


def test_while_locked_even_the_right_pin_waits_and_those_inside_go_on() -> None:
    staff = gate()
    inside = sign_in_token(staff.sign_in("2580", "Анна Ли", 0.0))
    for _ in range(WRONG_FREE + 1):
        assert isinstance(staff.sign_in("1111", "x", 0.0), WrongPin)
    assert isinstance(staff.sign_in("2580", "x", LOCK_S - 1), GateLocked)
    assert staff.operator(inside, LOCK_S - 1) == "Анна Ли"
    sign_in_token(staff.sign_in("2580", "x", LOCK_S))


def test_an_idle_session_ends_and_looking_on_does_not_keep_it() -> None:
    staff = gate()
    token = sign_in_token(staff.sign_in("2580", "Анна Ли", 0.0))
    assert staff.operator(token, SESSION_IDLE_S - 1, used=False) == "Анна Ли"
    assert staff.operator(token, SESSION_IDLE_S) is None


def test_the_session_unused_for_longest_gives_way() -> None:
    staff = gate()
    tokens = [sign_in_token(staff.sign_in("2580", str(number), float(number))) for number in range(SESSIONS_MAX + 1)]
    assert [staff.operator(token, 100.0) is not None for token in tokens] == [False] + [True] * SESSIONS_MAX
