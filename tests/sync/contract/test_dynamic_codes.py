import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.contract.dynamic_codes import (
    DRIFT_STEPS,
    KEYPAD_DIGITS,
    QR_DIGITS,
    STEP_S,
    ShownCode,
    derive_digits,
    find_step,
    parse_code,
)

SECRET = b"12345678901234567890"
RFC_6238 = [  # appendix B, SHA-1
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("seconds", "digits"), RFC_6238)
def test_the_vectors_of_rfc_6238(seconds: int, digits: str) -> None:
    step = seconds // STEP_S
    assert derive_digits(SECRET, step, QR_DIGITS) == digits
    assert derive_digits(SECRET, step, KEYPAD_DIGITS) == digits[-KEYPAD_DIGITS:]
    assert find_step(SECRET, digits, step) == step
    assert find_step(SECRET, digits, step + DRIFT_STEPS) == step
    assert find_step(SECRET, digits, step + DRIFT_STEPS + 1) is None
    assert find_step(b"another secret.....", digits, step) is None


@pytest.mark.parametrize(
    ("text", "keypad", "shown"),
    [
        ("q7Kf2mXw.61930275", False, ShownCode("q7Kf2mXw", "61930275")),
        (" q7Kf2mXw:61930275\n", False, ShownCode("q7Kf2mXw", "61930275")),
        ("q7Kf2mXw.61930275", True, None),
        ("q7Kf2mXw.930275", False, None),  # an authenticator's six digits are for a keypad
        ("1042#930275", True, ShownCode("1042", "930275")),
        ("1042#930275", False, None),
        ("1042#61930275", True, None),
        ("q7Kf2mXw.6193027\N{ARABIC-INDIC DIGIT FIVE}", False, None),
        ("abc.61930275", False, None),
        ("", False, None),
    ],
)
def test_what_a_changing_code_looks_like(text: str, keypad: bool, shown: ShownCode | None) -> None:
    assert parse_code(text, keypad=keypad) == shown
    assert "61930275" not in repr(shown)


@given(st.text(max_size=100), st.booleans())
def test_any_text_is_a_code_or_none(text: str, keypad: bool) -> None:
    shown = parse_code(text, keypad=keypad)
    assert shown is None or len(shown.digits) == (KEYPAD_DIGITS if keypad else QR_DIGITS)


@given(st.binary(min_size=16, max_size=32), st.integers(DRIFT_STEPS, 1 << 40), st.integers(-DRIFT_STEPS, DRIFT_STEPS))
def test_a_neighbouring_step_is_found(secret: bytes, about: int, away: int) -> None:
    digits = derive_digits(secret, about + away, QR_DIGITS)
    step = find_step(secret, digits, about)
    assert step is not None
    assert derive_digits(secret, step, QR_DIGITS) == digits
