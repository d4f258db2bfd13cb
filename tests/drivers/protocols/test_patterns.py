import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols.patterns import PATTERN_MAX, TEXT_MAX, Unbounded, bounded

SLOW_S = 1.0


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?P<card>[0-9A-F]{14})", "04724B3AAC2280"),
        (r"Card=(?P<card>[0-9A-F]{8,14}) Door=[0-9]{1,2}", "Card=04724B3A Door=7"),
        (r"(?P<code>.+)", "anything at all"),
        (r"[^,]*,(?P<code>[^,\]]+)", "x,y"),
        (r"(?:ID|Nr) ?(?P<card>\d{10})", "Nr 0012345678"),
        (r"\[(?P<code>[]a-z]+)\]", "[ab]"),
        (r"(a)?b", "b"),
        (r"a{3}", "aaa"),
        (r"a+?b", "aab"),
        (r"\(\d\)", "(1)"),
    ],
)
def test_what_technicians_write_is_taken(pattern: str, text: str) -> None:
    assert bounded(pattern).fullmatch(text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(a|aa)*b",
        r"(a*)*",
        r"([a-z]+)*$",
        r"(?:a?){30}a{30}",
        r".*.*.*x",
        r"\d+\d+\d+x",
        r"a?" * 20 + "a" * 20,
        r"(a|a)" * 18,
        r"a{1,200}a{1,200}a{1,200}b",
        r"(x)\1",
        r"(?=a)b",
        r"(?!a)b",
        r"(?<=a)b",
        r"(?i)a",
        r"(?P=card)",
        r"a{9999}",
        "a" * (PATTERN_MAX + 1),
        r"(a",
        r"[a",
        r"*a",
        r"a{2}{3}",
        "\\",
    ],
)
def test_what_could_be_slow_or_is_no_pattern_is_refused_with_advice(pattern: str) -> None:
    with pytest.raises(Unbounded, match=r"pattern|group|repeat|references"):
        bounded(pattern)


PIECES = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^x]", r"\d", r"\w", "*", "+", "?", "{2}", "{1,9}", "{0,256}", "|", "(", "(?:", ")", "*?"]
)


@settings(max_examples=400, deadline=None)
@given(pattern=st.lists(PIECES, max_size=14).map("".join), letter=st.sampled_from("ab0"))
def test_no_pattern_that_is_taken_is_slow(pattern: str, letter: str) -> None:
    try:
        compiled = bounded(pattern)
    except Unbounded:
        return
    text = letter * (TEXT_MAX - 1) + "!"
    started = time.thread_time()
    compiled.fullmatch(text)
    assert time.thread_time() - started < SLOW_S, pattern


@pytest.mark.parametrize("pattern", [r".*.*x", r"a*a*b", r"[ab]+[ab]+c", r"a{0,256}a{0,256}b"])
def test_the_slowest_that_are_taken_stay_in_their_time(pattern: str) -> None:
    started = time.thread_time()
    assert not bounded(pattern).fullmatch("a" * TEXT_MAX)
    assert time.thread_time() - started < SLOW_S
    assert isinstance(bounded(pattern), re.Pattern)
