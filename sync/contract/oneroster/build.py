"""OneRoster 1.2 to a school's roster: files over what was known before, references checked, records out. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from sync.contract.oneroster.merge import describe_late_rows, merge
from sync.contract.oneroster.records import SchoolView, build_records
from sync.contract.oneroster.references import find_faults
from sync.contract.oneroster.remembered import RememberedFiles, active_rows
from sync.contract.oneroster.rows import (
    NOT_NEEDED,
    ONEROSTER,
    OWN,
    CardRow,
    DynamicCodeRow,
    EntitlementRow,
    ManifestRow,
    OrgRow,
    PayerNumberRow,
    SessionRow,
)
from sync.contract.oneroster.tables import ExportRefused, read_tables
from sync.contract.roster import Credential, CredentialKind, Person, Record


@dataclass(frozen=True, slots=True)
class ImportedRoster:
    """An import's result: what to remember, what the school's roster is, and what a person should know of it.

    `payer_numbers`: keyed hash and person, the ledger's alone; None where the export has no such file.
    """

    files: RememberedFiles
    records: tuple[Record, ...]
    notes: tuple[str, ...]
    payer_numbers: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)


def list_schools(files: Mapping[str, bytes], base: RememberedFiles | None = None) -> Mapping[str, str]:
    """Returns ids and names of the schools that these files speak of. Raises `ExportRefused`."""
    orgs = active_rows(merge(base, read_tables(files)), OrgRow)
    return {row_id: org.name for row_id, org in orgs if org.type.lower() == "school"}


def import_roster(
    files: Mapping[str, bytes], school: str, base: RememberedFiles | None = None, *, date: str, org: str = "",
    timezone: str = "Asia/Almaty",
) -> ImportedRoster:  # fmt: skip
    """Returns the roster of one school from an export, laid over `base`.

    `date`: the local date, `2026-09-01`, by which roles and enrolments count. `org`: the school's id in the export,
    where it is not its id here. Raises `ExportRefused` with every fault, and then nothing has changed.
    """
    tables = read_tables(files)
    merged = merge(base, tables)
    view = SchoolView(merged, school, org or school, date, timezone)
    faults = find_faults(merged, view.org)
    if faults:
        raise ExportRefused(faults)
    records = build_records(view)
    late = describe_late_rows(merged, tables) if base is not None else ()
    numbers = _list_payer_numbers(merged, records) if PayerNumberRow.file in tables else None
    # Hashes are stored once, by version, and not among what is remembered for the next import.
    remembered = {name: rows for name, rows in merged.items() if name != PayerNumberRow.file}
    if DynamicCodeRow.file in remembered:  # the secret of somebody who has left is forgotten with them
        people = {record.id for record in records if isinstance(record, Person)}
        secrets = remembered[DynamicCodeRow.file].items()
        remembered[DynamicCodeRow.file] = {
            row_id: row for row_id, row in secrets if row.fields["userSourcedId"] in people
        }
    return ImportedRoster(remembered, records, (*_notes(merged, records), *late, *_name_unread(files)), numbers)


def _list_payer_numbers(files: RememberedFiles, records: tuple[Record, ...]) -> tuple[tuple[str, str], ...]:
    """Returns keyed hash and person of those on this school's roster."""
    people = {record.id for record in records if isinstance(record, Person)}
    rows = (row for _, row in active_rows(files, PayerNumberRow))
    return tuple(
        sorted((row.number_hash.lower(), row.user_sourced_id) for row in rows if row.user_sourced_id in people)
    )


def _notes(files: RememberedFiles, records: tuple[Record, ...]) -> Iterator[str]:
    """Yields what is not wrong, and still worth knowing."""
    people = sum(isinstance(record, Person) for record in records)
    credentials = sum(isinstance(record, Credential) for record in records)
    codes = sum(isinstance(record, Credential) and record.kind is CredentialKind.CODE for record in records)
    yield f"{people} people, {credentials - codes} cards" + (f", {codes} codes" if codes else "")
    if CardRow.file not in files:
        yield "no cards.csv, now or before: nobody is known by a card"
    if EntitlementRow.file not in files:
        yield "no entitlements.csv, now or before: visits are recorded, none is billed"
    if SessionRow.file not in files:
        yield "no sessions.csv, now or before: one session lasts the whole day, Monday to Saturday"


def _name_unread(files: Mapping[str, bytes]) -> Iterator[str]:
    """Yields a note on each file of the export that nobody reads: it may be one of ours under a wrong name."""
    readable = {ManifestRow.file, *ONEROSTER, *OWN}
    for name in sorted(files.keys() - readable - NOT_NEEDED):
        alike = get_close_matches(name, readable, 1, 0.5)
        yield f"{name}: not read, no file of a roster has this name" + (f"; did you mean {alike[0]}?" if alike else "")
