"""Cells of a payer's file that cannot be read: which column, what stands there, and what is wrong with it."""

from dataclasses import dataclass
from enum import StrEnum

FOUND_CHARS_MAX = 40  # of a cell's text that is repeated to people


class CellFaultKind(StrEnum):
    """The reason why a cell, or a whole line, cannot be read."""

    FORMULA = "formula"
    NO_CHILD = "no_child"
    UNKNOWN_SESSION = "unknown_session"  # the map does not translate it
    STRANGE_SESSION = "strange_session"  # the school has no such session
    UNKNOWN_SCHOOL = "unknown_school"
    NO_COUNT = "no_count"
    NO_DATE = "no_date"
    OTHER_MONTH = "other_month"
    NO_WITHDRAWAL = "no_withdrawal"


_ENGLISH = {
    CellFaultKind.FORMULA: "a formula stands where a text must be",
    CellFaultKind.NO_CHILD: "neither number nor name",
    CellFaultKind.UNKNOWN_SESSION: "session {found!r} is not in the map",
    CellFaultKind.STRANGE_SESSION: "session {found!r} is none of this school's: add it to the map's sessions",
    CellFaultKind.UNKNOWN_SCHOOL: "school {found!r} is not in the map",
    CellFaultKind.NO_COUNT: "{found!r} is no count of meals",
    CellFaultKind.NO_DATE: "{found!r} is no date",
    CellFaultKind.OTHER_MONTH: "{found} is not in {month}",
    CellFaultKind.NO_WITHDRAWAL: "{found!r} is no date of a withdrawal",
}


@dataclass(frozen=True, slots=True)
class CellFault:
    """A cell that cannot be read. `column`: its title as it stands in the file, empty where no column is at fault."""

    kind: CellFaultKind
    found: str = ""
    column: str = ""
    month: str = ""  # of the sheet, where the date is of another one

    @property
    def what(self) -> str:
        """Returns the fault in English, for the command line."""
        return _ENGLISH[self.kind].format(found=self.found, month=self.month)
