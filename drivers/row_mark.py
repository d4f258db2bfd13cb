"""How far a terminal's rows were taken: the mark from which they are read again after a restart.

A terminal that we call keeps all its rows and does not know which of them we have. Without a mark the rows of some days
would come again each time that the agent starts, and those of a longer break would be left behind.
"""

from typing import Protocol, runtime_checkable


class RowMark(Protocol):
    """Remembers one line of text; empty before the first."""

    def read(self) -> str: ...

    def write(self, mark: str) -> None: ...


class RowMarkInMemory:
    """The mark of a driver that was given no other: it lasts as long as the driver."""

    def __init__(self) -> None:
        self._mark = ""

    def read(self) -> str:
        return self._mark

    def write(self, mark: str) -> None:
        self._mark = mark


@runtime_checkable
class MarkedSource(Protocol):
    """A reader that reads rows from its mark on."""

    mark: RowMark  # the agent puts its own here
