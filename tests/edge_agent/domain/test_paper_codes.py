"""Codes on printed lists: no wrong digit is anybody, and no code is two people."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.domain.paper_codes import PaperCodes, check_digit

DIGITS = st.text("0123456789", min_size=1, max_size=9)


@given(DIGITS, st.data())
def test_a_wrong_digit_and_two_that_changed_places_are_found(digits: str, data: st.DataObject) -> None:
    code = digits + check_digit(digits)
    place = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != code[place]]))
    wrong = code[:place] + other + code[place + 1 :]
    assert check_digit(wrong[:-1]) != wrong[-1]
    if place and code[place - 1] != code[place]:
        swapped = code[: place - 1] + code[place] + code[place - 1] + code[place + 1 :]
        assert check_digit(swapped[:-1]) != swapped[-1]


def test_everybody_of_a_large_school_has_a_code_of_their_own() -> None:
    people = [f"person-{number}" for number in range(5_000)]
    codes = PaperCodes(people)
    printed = {person: codes.code(person) for person in people}
    assert len(set(printed.values())) == len(people)
    assert sum(len(code) > len("482-915-3") for code in printed.values()) < 50  # of two that were alike
    assert codes.code("person-7") == "873-406-2"  # the same on every list, for ever
    text = " ".join(printed.values()).replace("-", "")
    assert codes.read(text).people == tuple(people)


def test_what_is_typed_is_people_or_faults() -> None:
    codes = PaperCodes(["p1", "p2"])
    first, second = codes.code("p1"), codes.code("p2")
    typed = codes.read(f"{second}, {first.replace('-', '')};{second}\n 000-000-1 x")
    assert typed.people == ("p2", "p1")
    assert typed.wrong == ("000-000-1", "x")
