"""Feeds a stream whole, byte by byte and cut anywhere: a parser must give the same events every time."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from hypothesis import strategies as st

Event = TypeVar("Event")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


places = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)


def run(feed: Callable[[bytes], Sequence[Event]], chunks: Sequence[bytes]) -> list[Event]:
    return [event for chunk in chunks for event in feed(chunk)]


def every_way(new_feed: Callable[[], Callable[[bytes], Sequence[Event]]], data: bytes) -> list[Event]:
    """The events, after proof that whole and byte by byte agree."""
    whole = run(new_feed(), [data])
    assert run(new_feed(), [data[i : i + 1] for i in range(len(data))]) == whole
    return whole
