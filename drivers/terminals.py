"""Readers that stand for terminals which call us: who of them is there, and whose clock is doubted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class DoubtedClock:
    """A terminal whose clock is not believed. `run` names the rows that are off by the same; empty: none came yet."""

    terminal: str  # its serial number
    why: str
    run: str = ""
    offset_s: int | None = None  # how far it is ahead of ours; None: not measured yet


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
