"""A month, as sheets count it."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from sync.errors import Wording
from sync.money.errors import TermsWrong

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One month of the local calendar."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Returns the month written as `2026-11`. Raises TermsWrong."""
        match = _MONTH.fullmatch(text)
        if match is None:
            raise TermsWrong(f"{text!r} is no month", "write it as 2026-11", Wording("refusal.no_month"))
        return cls(int(match[1]), int(match[2]))

    @property
    def first(self) -> date:
        """Returns the first day."""
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        """Returns the last day."""
        return (self.first + 31 * _DAY).replace(day=1) - _DAY

    @property
    def days(self) -> tuple[date, ...]:
        """Returns all days, ascending."""
        return tuple(self.first + number * _DAY for number in range(self.last.day))

    @property
    def previous(self) -> "Month":
        """Returns the month before."""
        day = self.first - _DAY
        return Month(day.year, day.month)

    @property
    def following(self) -> "Month":
        """Returns the month after."""
        day = self.last + _DAY
        return Month(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"
