"""The files of an export as classes: one class a file, one field a column, and the rule for each column.

Of OneRoster's files only these are opened, and of their columns only these are read: no demographics, no e-mail, no
telephone, no password, no birth date. Our own files hold what OneRoster has no place for; each of them is optional, and
where it is given it is everything of its kind.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, get_args

import msgspec

from sync.contract.oneroster.columns import (
    CARD_NUMBER,
    CHARACTER,
    CODE,
    DAY,
    DAY_OR_BLANK,
    GRADES,
    HINTS,
    ID,
    ID_LIST,
    ID_OR_BLANK,
    MOMENT,
    NUMBER_HASH,
    OPERATOR_NAME,
    OPERATOR_ROLE_LIST,
    SEALED,
    STATUS,
    SURROGATE,
    TEXT,
    TIME,
    Column,
    column,
    optional,
)

_ROLES = (
    "aide", "counselor", "districtAdministrator", "guardian", "parent", "principal", "proctor", "relative",
    "siteAdministrator", "student", "systemAdministrator", "teacher",
)  # fmt: skip
_CLASS_ROLES = "administrator", "proctor", "student", "teacher"


class ExportRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One row of a file. Each value is text, blank where the file has none; each field is a column, in camelCase."""

    file: ClassVar[str]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # names and cards are personal


class ManifestRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """One property of the export: which files are in it, and if they are whole."""

    file = "manifest.csv"
    property_name: Annotated[str, ID] = ""
    value: Annotated[str, TEXT] = ""


# OneRoster's own files


class OneRosterRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """One row of a file of OneRoster itself."""

    sourced_id: Annotated[str, ID] = ""
    status: Annotated[str, STATUS] = ""
    date_last_modified: Annotated[str, MOMENT] = ""


class OrgRow(OneRosterRow, frozen=True, kw_only=True, rename="camel"):
    """One school, or another organisation."""

    file = "orgs.csv"
    name: Annotated[str, TEXT] = ""
    type: Annotated[str, column(r"[\w:]{1,80}", "school, district, …")] = ""


class ClassRow(OneRosterRow, frozen=True, kw_only=True, rename="camel"):
    """One class or subject group."""

    file = "classes.csv"
    title: Annotated[str, TEXT] = ""
    grades: Annotated[str, GRADES] = ""
    school_sourced_id: Annotated[str, ID] = ""
    class_type: Annotated[str, column("homeroom|scheduled|ext:.{1,80}", "homeroom, scheduled or ext:…")] = ""


class UserRow(OneRosterRow, frozen=True, kw_only=True, rename="camel"):
    """One person."""

    file = "users.csv"
    enabled_user: Annotated[str, column(r"true|false", "true or false")] = ""
    given_name: Annotated[str, TEXT] = ""
    family_name: Annotated[str, TEXT] = ""
    preferred_given_name: Annotated[str, optional(TEXT)] = ""
    preferred_family_name: Annotated[str, optional(TEXT)] = ""
    grades: Annotated[str, GRADES] = ""
    primary_org_sourced_id: Annotated[str, optional(ID_OR_BLANK)] = ""


class RoleRow(OneRosterRow, frozen=True, kw_only=True, rename="camel"):
    """The role of one person in one organisation."""

    file = "roles.csv"
    user_sourced_id: Annotated[str, ID] = ""
    role_type: Annotated[str, column("primary|secondary", "primary or secondary")] = ""
    role: Annotated[
        str, column(rf"{'|'.join(_ROLES)}|ext:{CHARACTER}{{1,80}}", f"one of {', '.join(_ROLES)}, or ext:…")
    ] = ""
    begin_date: Annotated[str, DAY_OR_BLANK] = ""
    end_date: Annotated[str, DAY_OR_BLANK] = ""
    org_sourced_id: Annotated[str, ID] = ""


class EnrollmentRow(OneRosterRow, frozen=True, kw_only=True, rename="camel"):
    """The membership of one person in one class."""

    file = "enrollments.csv"
    class_sourced_id: Annotated[str, ID] = ""
    school_sourced_id: Annotated[str, ID] = ""
    user_sourced_id: Annotated[str, ID] = ""
    begin_date: Annotated[str, DAY_OR_BLANK] = ""
    role: Annotated[
        str, column(rf"{'|'.join(_CLASS_ROLES)}|ext:.{{1,80}}", f"one of {', '.join(_CLASS_ROLES)}, or ext:…")
    ] = ""
    end_date: Annotated[str, DAY_OR_BLANK] = ""


# Our own files


class CardRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """One card of one person."""

    file = "cards.csv"
    user_sourced_id: Annotated[str, ID] = ""
    number: Annotated[str, CARD_NUMBER] = ""
    notation: Annotated[
        str, optional(column("(full|dec10|w26|w34)?", "full, dec10, w26 or w34; nothing means full"))
    ] = ""
    technology: Annotated[str, optional(column("(em4100|iso14443a)?", "em4100, iso14443a, or nothing for any"))] = ""
    status: Annotated[
        str,
        optional(
            column("(active|lost|stolen|replaced|blocked)?", "active, lost, stolen, replaced, blocked, or nothing")
        ),
    ] = ""


class CodeRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """One code of one person: the text of a QR or bar code, or a number with a PIN behind it for a keypad."""

    file = "codes.csv"
    user_sourced_id: Annotated[str, ID] = ""
    code: Annotated[str, CODE] = ""
    status: Annotated[
        str,
        optional(
            column("(active|lost|stolen|replaced|blocked)?", "active, lost, stolen, replaced, blocked, or nothing")
        ),
    ] = ""


class DynamicCodeRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """The sealed secret behind the changing code of one person."""

    file = "dynamic_codes.csv"
    user_sourced_id: Annotated[str, ID] = ""
    surrogate: Annotated[str, SURROGATE] = ""
    sealed: Annotated[str, SEALED] = ""


class TerminalRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """The number under which outside terminals know one person."""

    file = "terminals.csv"
    user_sourced_id: Annotated[str, ID] = ""
    number: Annotated[str, column(r"[0-9A-Za-z_.:-]{1,64}", "the number under which terminals know them")] = ""


class EntitlementRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """The programme that pays for one person, or for all pupils of some grades."""

    file = "entitlements.csv"
    user_sourced_id: Annotated[str, optional(ID_OR_BLANK)] = ""
    grades: Annotated[str, optional(GRADES)] = ""
    programme: Annotated[str, ID] = ""
    sessions: Annotated[str, ID_LIST] = ""
    first: Annotated[str, DAY_OR_BLANK] = ""
    last: Annotated[str, DAY_OR_BLANK] = ""
    priority: Annotated[str, optional(column(r"\d{0,4}", "a whole number, the lowest pays first, or nothing"))] = ""


class ProgrammeRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """The name of one programme."""

    file = "programmes.csv"
    sourced_id: Annotated[str, ID] = ""
    name: Annotated[str, TEXT] = ""


class SessionRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """The hours of one meal."""

    file = "sessions.csv"
    sourced_id: Annotated[str, ID] = ""
    name: Annotated[str, TEXT] = ""
    start: Annotated[str, TIME] = ""
    end: Annotated[str, TIME] = ""
    weekdays: Annotated[
        str,
        optional(column("[1-7]{0,7}", "digits 1 (Monday) to 7, as 12345, or nothing for Monday to Saturday")),
    ] = ""
    name_kk: Annotated[str, optional(TEXT)] = ""
    name_ru: Annotated[str, optional(TEXT)] = ""


class ClosedDayRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """One day without meals."""

    file = "closed_days.csv"
    date: Annotated[str, DAY] = ""
    why: Annotated[str, optional(TEXT)] = ""


class ConsentRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """The consent of one person to biometrics."""

    file = "consents.csv"
    user_sourced_id: Annotated[str, ID] = ""
    scope: Annotated[str, optional(column("(palm)?", "palm, or nothing"))] = ""
    version: Annotated[str, optional(TEXT)] = ""
    given_at: Annotated[str, MOMENT] = ""
    given_by: Annotated[str, optional(TEXT)] = ""
    withdrawn_at: Annotated[str, MOMENT] = ""


class ServiceRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """How the school wishes one person to be served: the language of the greeting, and neutral signs."""

    file = "service.csv"
    user_sourced_id: Annotated[str, ID] = ""
    language: Annotated[str, optional(column("(kk|ru|en)?", "kk, ru or en, or nothing for the kiosk's own"))] = ""
    hints: Annotated[str, HINTS] = ""


class PayerNumberRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """The keyed hash of the number under which the payer knows one person. It is on no kiosk's roster."""

    file = "payer_numbers.csv"
    user_sourced_id: Annotated[str, ID] = ""
    number_hash: Annotated[str, NUMBER_HASH] = ""


class OperatorRow(ExportRow, frozen=True, kw_only=True, rename="camel"):
    """One person of the staff who signs in at the school's kiosks."""

    file = "operators.csv"
    sourced_id: Annotated[str, ID] = ""
    name: Annotated[str, OPERATOR_NAME] = ""
    roles: Annotated[str, OPERATOR_ROLE_LIST] = ""
    group: Annotated[str, optional(TEXT)] = ""


def list_columns(row: type[ExportRow]) -> Mapping[str, Column]:
    """Returns the rule of each column of a file, by the column's name in the file."""
    return {
        field.encode_name: next(rule for rule in get_args(field.type) if isinstance(rule, Column))
        for field in msgspec.structs.fields(row)
    }


Columns = Mapping[str, Column]

# Files of OneRoster 1.2 that a canteen has no use for: never opened.
NOT_NEEDED: Final = frozenset({
    "academicsessions.csv", "categories.csv", "classresources.csv", "courseresources.csv", "courses.csv",
    "demographics.csv", "lineitemlearningobjectiveids.csv", "lineitems.csv", "lineitemscorescales.csv", "resources.csv",
    "resultlearningobjectiveids.csv", "results.csv", "resultscorescales.csv", "scorescales.csv",
    "userprofiles.csv", "userresources.csv",
})  # fmt: skip
MANIFEST_COLUMNS: Final[Columns] = list_columns(ManifestRow)
ONEROSTER: Final[Mapping[str, Columns]] = {
    row.file: list_columns(row) for row in (OrgRow, ClassRow, UserRow, RoleRow, EnrollmentRow)
}
OWN: Final[Mapping[str, Columns]] = {
    row.file: list_columns(row)
    for row in (
        CardRow,
        CodeRow,
        DynamicCodeRow,
        TerminalRow,
        EntitlementRow,
        ProgrammeRow,
        SessionRow,
        ClosedDayRow,
        ConsentRow,
        PayerNumberRow,
        ServiceRow,
        OperatorRow,
    )
}
