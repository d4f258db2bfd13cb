"""The rules for the cells of a column: a pattern for the machine, and words for the clerk."""

import re
from dataclasses import dataclass, replace
from typing import Final

from sync.contract.roster import OPERATOR_ROLES, ServiceHint


@dataclass(frozen=True, slots=True)
class Column:
    """The rule for the cells of one column."""

    pattern: re.Pattern[str]
    accepted: str  # in words, for a message
    needed: bool = True  # False: the file may lack it; it counts as blank then
    secret: bool = False  # its content stands in no message
    calendar: bool = False  # a day that must exist: no 30 February


def column(pattern: str, accepted: str) -> Column:
    """Returns a column whose cells match the pattern as a whole, in upper or lower case."""
    return Column(re.compile(pattern, re.IGNORECASE), accepted)


def optional(rule: Column) -> Column:
    """Returns the same column as one that a file may lack."""
    return replace(rule, needed=False)


CHARACTER: Final = r"[^\x00-\x1f\x7f]"
_ID_PATTERN = rf"(?!\s){CHARACTER}{{1,255}}(?<!\s)"
_DAY_PATTERN = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_MOMENT_PATTERN = rf"{_DAY_PATTERN}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{{1,6}})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
_GRADE_PATTERN = r"(KG|PK|PR|IT|TK|PS|UG|Other|0\d|1[0-3]|[1-9])"

ID: Final = column(_ID_PATTERN, "an id of 1 to 255 characters")
ID_OR_BLANK: Final = column(rf"({_ID_PATTERN})?", "an id, or nothing")
TEXT: Final = column(rf"{CHARACTER}{{0,255}}", "a text of at most 255 characters without control characters")
DAY: Final = replace(column(_DAY_PATTERN, "a date as 2026-09-01"), calendar=True)
DAY_OR_BLANK: Final = replace(
    DAY, pattern=re.compile(rf"({_DAY_PATTERN})?"), accepted=f"{DAY.accepted}, or nothing", needed=False
)
TIME: Final = column(r"([01]\d|2[0-3]):[0-5]\d", "a local time as 09:30")
MOMENT: Final = replace(
    DAY_OR_BLANK,
    pattern=re.compile(rf"({_MOMENT_PATTERN})?"),
    accepted="a time as 2026-11-20T06:00:00.000Z, or nothing",
)
STATUS: Final = column(r"(active|tobedeleted|inactive)?", "active or tobedeleted; nothing in a bulk file")
ID_LIST: Final = optional(
    column(rf"({CHARACTER}{{1,80}}(\s*,\s*{CHARACTER}{{1,80}})*)?", "ids, comma-separated, or nothing")
)
GRADES: Final = column(
    rf"({_GRADE_PATTERN}(\s*,\s*{_GRADE_PATTERN})*)?", "grades such as 01 or 11, comma-separated, or nothing"
)
_HINT_PATTERN = "(" + "|".join(ServiceHint) + ")"
HINTS: Final = optional(
    column(rf"({_HINT_PATTERN}(\s*,\s*{_HINT_PATTERN})*)?", f"of {', '.join(ServiceHint)}, comma-separated, or nothing")
)
_OPERATOR_ROLE = "|".join(OPERATOR_ROLES)
OPERATOR_ROLE_LIST: Final = column(
    rf"({_OPERATOR_ROLE})(\s*,\s*({_OPERATOR_ROLE}))*", f"of {', '.join(OPERATOR_ROLES)}, comma-separated"
)
OPERATOR_NAME: Final = column(rf"{CHARACTER}{{1,60}}", "a name of at most 60 characters, as it stands on the sign-in")
NUMBER_HASH: Final = replace(
    column("[0-9a-f]{64}", "64 hex digits, as `edge-agent ledger payer hash` makes them: never the number itself"),
    secret=True,
)
SURROGATE: Final = replace(
    column("[0-9A-Za-z_-]{4,64}", "a surrogate id of 4 to 64 letters, digits, - or _"), secret=True
)
SEALED: Final = replace(
    column(
        r"[0-9A-Za-z+/]{60,400}={0,2}", "a secret as `edge-agent roster seal-codes` seals it, never the secret itself"
    ),
    secret=True,
)
CODE: Final = replace(
    column(
        rf"(?!\s){CHARACTER}{{1,512}}(?<!\s)", "the text of a QR or bar code, or number#PIN, at most 512 characters"
    ),
    secret=True,
)
CARD_NUMBER: Final = replace(
    column(r"[0-9A-F :,-]{1,40}", "a card's number: hex of its UID, or the digits of its notation"), secret=True
)
