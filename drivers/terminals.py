"""Readers that stand for terminals which call us: who of them is there, and whose clock is doubted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from drivers.errors import NotSupported


@dataclass(frozen=True, slots=True)
class DoubtedClock:
    """A terminal whose clock is not believed. `run` names the rows that are off by the same; empty: none came yet."""

    terminal: str  # its serial number
    why: str
    run: str = ""
    offset_s: int | None = None  # how far it is ahead of ours; None: not measured yet


WALL_MIN = datetime(2026, 1, 1, tzinfo=UTC)  # a clock that says less has never been set


@contextmanager
def offset_errors() -> Iterator[None]:
    """Names the setting `utc_offset` in what its parser raises. Raises NotSupported."""
    try:
        yield
    except ValueError as error:
        raise NotSupported(f"utc_offset: {error}; accepted: an offset such as +05:00") from error


@runtime_checkable
class TerminalSource(Protocol):
    """A reader that terminals call, and the state of those terminals beside its events.

    `wall` is our time, and `trusts_wall` says if our clock is synchronised; whoever makes the reader may replace both.
    """

    wall: Callable[[], datetime]
    trusts_wall: Callable[[], bool]

    def absence(self) -> str:
        """Returns why a terminal is not there, and what to do; empty while all have called within their interval."""
        ...

    def doubted_clocks(self) -> Sequence[DoubtedClock]:
        """Returns the terminals whose clocks are not believed."""
        ...


def read_trusted_wall(source: TerminalSource) -> datetime | None:
    """Returns our time; None while it is not synchronised, or before this program was made."""
    now = source.wall()
    return now if source.trusts_wall() and now >= WALL_MIN else None
