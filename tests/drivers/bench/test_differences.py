"""calibrate names the number that was read, and how it differs from the one on the card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bench.differences import describe_difference, describe_number
from drivers.readings import Technology, Uid, UidNotation


def uid(hex_digits: str, notation: UidNotation = UidNotation.FULL) -> Uid:
    value = bytes.fromhex(hex_digits)
    return Uid(Technology.UNKNOWN, value, 8 * len(value), notation)


@pytest.mark.parametrize(
    ("known", "read", "words"),
    [
        ("CA:C6:A3:04", "04A3C6CA", "its bytes are in reverse order; otherwise it is the same number"),
        ("0006572982", "B64B6400", "decimal; its bytes are in reverse order"),
        ("04:A3:C6:CA", "04A3C6CAAB", "a check byte stands behind it"),
        ("04:56:46:3A:AC:22:80", "3AAC2280045646", "rotated, as Iron Logic"),
        ("04:56:46:3A:AC:22:80", "3AAC2280", "what the reader passes on is only the last 4 bytes of 7"),
        ("04:56:46:3A:AC:22:80", "045646", "what the reader passes on is only the first 3 bytes of 7"),
        ("018,37848", "ED6C27", "facility and number; all its bits are inverted (swapped wires?)"),
        ("0006572982", "0006572982", "the reader writes it in decimal, and its settings take that for hex"),
        ("100,19382", "1F00644BB6", "the number on the card is only the last 3 bytes of 5"),
        ("04:A3:C6:CA", "04A3C6CB", "1 hex digits of 8 differ: compare the card's number digit by digit"),
        ("40:3A:6C:AC", "04A3C6CA", "the digits of each byte are swapped"),
    ],
)
def test_each_way_of_differing_is_named(known: str, read: str, words: str) -> None:
    assert words in describe_difference(known, uid(read))


def test_numbers_that_have_nothing_in_common_differ_in_no_known_way() -> None:
    assert describe_difference("0006572982", uid("A1B2C3D4")) == ""
    assert describe_difference("no number", uid("A1B2C3D4")) == ""


def test_a_number_is_shown_in_every_way_it_may_be_printed() -> None:
    shown = describe_number(uid("1F00644BB6"))
    assert shown.startswith("1F00644BB6 (5 bytes), which may be printed as ")
    assert "0006572982" in shown
    assert "100,19382" in shown
    assert "a part of a number" in describe_number(uid("644BB6", UidNotation.W26))


@given(st.text(max_size=30), st.binary(min_size=2, max_size=10))
def test_any_words_and_any_number_give_a_sentence(known: str, value: bytes) -> None:
    assert isinstance(describe_difference(known, Uid(Technology.UNKNOWN, value, 8 * len(value))), str)
