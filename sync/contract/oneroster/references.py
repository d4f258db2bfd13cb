"""Faults between the files of an export: ids that point at nothing, cards with two holders, unclear rows."""

from collections.abc import Iterator
from typing import Final

from sync.contract.oneroster.remembered import RememberedFiles, RememberedRow, split_list
from sync.contract.oneroster.tables import ExportFault

_REFERENCES: Final = (
    ("classes.csv", "schoolSourcedId", "orgs.csv"),
    ("roles.csv", "userSourcedId", "users.csv"),
    ("roles.csv", "orgSourcedId", "orgs.csv"),
    ("enrollments.csv", "userSourcedId", "users.csv"),
    ("enrollments.csv", "classSourcedId", "classes.csv"),
    ("enrollments.csv", "schoolSourcedId", "orgs.csv"),
    ("cards.csv", "userSourcedId", "users.csv"),
    ("codes.csv", "userSourcedId", "users.csv"),
    ("dynamic_codes.csv", "userSourcedId", "users.csv"),
    ("terminals.csv", "userSourcedId", "users.csv"),
    ("consents.csv", "userSourcedId", "users.csv"),
    ("entitlements.csv", "userSourcedId", "users.csv"),
    ("entitlements.csv", "programme", "programmes.csv"),
    ("payer_numbers.csv", "userSourcedId", "users.csv"),
)


def find_faults(files: RememberedFiles, org: str) -> list[ExportFault]:
    """Returns what does not fit together. `org`: the school's id in the export."""
    return [
        *_dangling(files, org),
        *_shared_cards(files),
        *_shared_codes(files),
        *_shared_surrogates(files),
        *_unclear_entitlements(files),
    ]


def _dangling(files: RememberedFiles, org: str) -> Iterator[ExportFault]:
    """Yields the rows of this import that point at nothing. A whole file that is absent is no fault of the row."""
    if "orgs.csv" in files and org not in files["orgs.csv"]:
        actual = ", ".join(sorted(files["orgs.csv"])[:20])
        yield ExportFault("orgs.csv", 0, "sourcedId", actual, f"the school {org!r}; name the right one as its org")
    for name, column, target in _REFERENCES:
        if name in files and target in files:
            for row in files[name].values():
                row_id = row.fields[column]
                if row.line and row.active and row_id and row_id not in files[target]:
                    yield ExportFault(name, row.line, column, f"{row_id!r}", f"an id from {target}")
    sessions = files.get("sessions.csv", {})
    for row in files.get("entitlements.csv", {}).values():
        for session in split_list(row.fields["sessions"]):
            if row.line and sessions and session not in sessions:
                yield ExportFault("entitlements.csv", row.line, "sessions", f"{session!r}", "an id from sessions.csv")


def _shared_cards(files: RememberedFiles) -> Iterator[ExportFault]:
    """Yields whole UIDs of two people, who could eat for each other. Partial numbers may fall together."""
    holders: dict[tuple[str, str], RememberedRow] = {}
    for row in files.get("cards.csv", {}).values():
        if row.active and row.fields["notation"] == "full" and row.fields["status"].lower() in ("", "active"):
            first = holders.setdefault((row.fields["technology"].lower(), row.fields["number"]), row)
            if first is not row:
                actual = f"the number of line {first.line}, of another person"
                yield ExportFault("cards.csv", row.line, "number", actual, "a whole number with one holder")


def _shared_codes(files: RememberedFiles) -> Iterator[ExportFault]:
    holders: dict[str, RememberedRow] = {}
    for row in files.get("codes.csv", {}).values():
        if row.active and row.fields["status"].lower() in ("", "active"):
            first = holders.setdefault(row.fields["code"], row)
            if first is not row:
                actual = f"the code of line {first.line}, of another person"
                yield ExportFault("codes.csv", row.line, "code", actual, "a code with one holder")


def _shared_surrogates(files: RememberedFiles) -> Iterator[ExportFault]:
    holders: dict[str, RememberedRow] = {}
    for row in files.get("dynamic_codes.csv", {}).values():
        first = holders.setdefault(row.fields["surrogate"], row)
        if first is not row:
            actual = f"the surrogate of line {first.line}, of another person"
            yield ExportFault("dynamic_codes.csv", row.line, "surrogate", actual, "a surrogate with one holder")


def _unclear_entitlements(files: RememberedFiles) -> Iterator[ExportFault]:
    for row in files.get("entitlements.csv", {}).values():
        if bool(row.fields["userSourcedId"]) == bool(row.fields["grades"]):
            actual = "both" if row.fields["grades"] else "neither"
            yield ExportFault("entitlements.csv", row.line, "userSourcedId, grades", actual, "one of the two")
