"""Which columns of which files are read, and what each may hold.

Of OneRoster's files only these are opened, and of their columns only these are read: no demographics, no e-mail, no
telephone, no password, no birth date. Our own files hold what OneRoster has no place for; each of them is optional, and
where it is given it is everything of its kind.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    pattern: re.Pattern[str]
    accepted: str  # in words, for a message
    needed: bool = True  # False: the file may lack it; it counts as blank then
    secret: bool = False  # its content stands in no message
    calendar: bool = False  # a day that must exist: no 30 February


Columns = Mapping[str, Column]


def _column(pattern: str, accepted: str) -> Column:
    return Column(re.compile(pattern, re.IGNORECASE), accepted)


def _maybe(column: Column) -> Column:
    return replace(column, needed=False)


_CHARACTER = r"[^\x00-\x1f\x7f]"
_ID_PATTERN = rf"(?!\s){_CHARACTER}{{1,255}}(?<!\s)"
_ID = _column(_ID_PATTERN, "an id of 1 to 255 characters")
_ID_OR_BLANK = _column(rf"({_ID_PATTERN})?", "an id, or nothing")
_TEXT = _column(rf"{_CHARACTER}{{0,255}}", "a text of at most 255 characters without control characters")
_DAY_PATTERN = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_DAY = replace(_column(_DAY_PATTERN, "a date as 2026-09-01"), calendar=True)
_DAY_OR_BLANK = replace(
    _DAY, pattern=re.compile(rf"({_DAY_PATTERN})?"), accepted=f"{_DAY.accepted}, or nothing", needed=False
)
_TIME = _column(r"([01]\d|2[0-3]):[0-5]\d", "a local time as 09:30")
_MOMENT_PATTERN = rf"{_DAY_PATTERN}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{{1,6}})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
_MOMENT = replace(
    _DAY_OR_BLANK,
    pattern=re.compile(rf"({_MOMENT_PATTERN})?"),
    accepted="a time as 2026-11-20T06:00:00.000Z, or nothing",
)
_STATUS = _column(r"(active|tobedeleted|inactive)?", "active or tobedeleted; nothing in a bulk file")
_LIST = _maybe(_column(rf"({_CHARACTER}{{1,80}}(\s*,\s*{_CHARACTER}{{1,80}})*)?", "ids, comma-separated, or nothing"))
_GRADE = r"(KG|PK|PR|IT|TK|PS|UG|Other|0\d|1[0-3]|[1-9])"
_GRADES = _column(rf"({_GRADE}(\s*,\s*{_GRADE})*)?", "grades such as 01 or 11, comma-separated, or nothing")
_ROLES = (
    "aide", "counselor", "districtAdministrator", "guardian", "parent", "principal", "proctor", "relative",
    "siteAdministrator", "student", "systemAdministrator", "teacher",
)  # fmt: skip
_ROLE = _column(rf"{'|'.join(_ROLES)}|ext:{_CHARACTER}{{1,80}}", f"one of {', '.join(_ROLES)}, or ext:…")
_CLASS_ROLES = "administrator", "proctor", "student", "teacher"
_CARD = replace(
    _column(r"[0-9A-F :,-]{1,40}", "a card's number: hex of its UID, or the digits of its notation"), secret=True
)

_RECORD: Final[dict[str, Column]] = {"sourcedId": _ID, "status": _STATUS, "dateLastModified": _MOMENT}

MANIFEST: Final[Columns] = {"propertyName": _ID, "value": _TEXT}

ONEROSTER: Final[Mapping[str, Columns]] = {
    "orgs.csv": _RECORD | {"name": _TEXT, "type": _column(r"[\w:]{1,80}", "school, district, …")},
    "classes.csv": _RECORD | {
        "title": _TEXT, "grades": _GRADES, "schoolSourcedId": _ID,
        "classType": _column("homeroom|scheduled|ext:.{1,80}", "homeroom, scheduled or ext:…"),
    },
    "users.csv": _RECORD | {
        "enabledUser": _column(r"true|false", "true or false"), "givenName": _TEXT, "familyName": _TEXT,
        "preferredGivenName": _maybe(_TEXT), "preferredFamilyName": _maybe(_TEXT), "grades": _GRADES,
        "primaryOrgSourcedId": _maybe(_ID_OR_BLANK),
    },
    "roles.csv": _RECORD | {
        "userSourcedId": _ID, "roleType": _column("primary|secondary", "primary or secondary"), "role": _ROLE,
        "beginDate": _DAY_OR_BLANK, "endDate": _DAY_OR_BLANK, "orgSourcedId": _ID,
    },
    "enrollments.csv": _RECORD | {
        "classSourcedId": _ID, "schoolSourcedId": _ID, "userSourcedId": _ID, "beginDate": _DAY_OR_BLANK,
        "role": _column(rf"{'|'.join(_CLASS_ROLES)}|ext:.{{1,80}}", f"one of {', '.join(_CLASS_ROLES)}, or ext:…"),
        "endDate": _DAY_OR_BLANK,
    },
}  # fmt: skip

OWN: Final[Mapping[str, Columns]] = {
    "cards.csv": {
        "userSourcedId": _ID, "number": _CARD,
        "notation": _maybe(_column("(full|dec10|w26|w34)?", "full, dec10, w26 or w34; nothing means full")),
        "technology": _maybe(_column("(em4100|iso14443a)?", "em4100, iso14443a, or nothing for any")),
        "status": _maybe(
            _column("(active|lost|stolen|replaced|blocked)?", "active, lost, stolen, replaced, blocked, or nothing")
        ),
    },
    "terminals.csv": {
        "userSourcedId": _ID, "number": _column(r"[0-9A-Za-z_.:-]{1,64}", "the number under which terminals know them")
    },
    "entitlements.csv": {
        "userSourcedId": _maybe(_ID_OR_BLANK), "grades": _maybe(_GRADES), "programme": _ID, "sessions": _LIST,
        "first": _DAY_OR_BLANK, "last": _DAY_OR_BLANK,
        "priority": _maybe(_column(r"\d{0,4}", "a whole number, the lowest pays first, or nothing")),
    },
    "programmes.csv": {"sourcedId": _ID, "name": _TEXT},
    "sessions.csv": {
        "sourcedId": _ID, "name": _TEXT, "start": _TIME, "end": _TIME,
        "weekdays": _maybe(
            _column("[1-7]{0,7}", "digits 1 (Monday) to 7, as 12345, or nothing for Monday to Saturday")
        ),
        "nameKk": _maybe(_TEXT), "nameRu": _maybe(_TEXT),
    },
    "closed_days.csv": {"date": _DAY, "why": _maybe(_TEXT)},
    "consents.csv": {
        "userSourcedId": _ID, "scope": _maybe(_column("(palm)?", "palm, or nothing")), "version": _maybe(_TEXT),
        "givenAt": _MOMENT, "givenBy": _maybe(_TEXT), "withdrawnAt": _MOMENT,
    },
}  # fmt: skip
