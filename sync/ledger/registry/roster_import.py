"""A roster export into the ledger: all of it, or nothing and the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import psycopg

from sync.contract.oneroster.build import ImportedRoster, import_roster, list_schools
from sync.contract.oneroster.remembered import RememberedRow
from sync.contract.roster_diff import RosterComparison, compare_rosters, refuse_vanished_pupils
from sync.ledger.errors import NotUnderstood
from sync.ledger.registry import rosters
from sync.ledger.registry.erased_names import RosterSourceRow, forget_erased_names
from sync.ledger.registry.payer_numbers import store_numbers

VANISH_SHARE_MAX = 0.1


@dataclass(frozen=True, slots=True)
class ImportedSchool:
    """The result of an import for one school."""

    school: str
    version: int
    difference: RosterComparison
    notes: tuple[str, ...]


def import_export(
    connection: psycopg.Connection, files: Mapping[str, bytes], wanted: Sequence[str] = (), *, date: str, org: str = "",
    vanish_share_max: float = VANISH_SHARE_MAX, dry_run: bool = False, in_force: datetime | None = None,
) -> tuple[ImportedSchool, ...]:  # fmt: skip
    """Imports for the schools named, or for every school of this ledger that the export names.

    `org`: the one wanted school's id in the export, where it differs. `date`: the local date. With `dry_run` nothing is
    kept and the differences tell what would be. `in_force`: the time from which the roster is, where that is not now.
    Raises ExportRefused, TooManyVanished or NotUnderstood; then no school has changed.
    """
    with connection.transaction(force_rollback=dry_run):
        present = [row[0] for row in connection.execute("SELECT school FROM school ORDER BY school FOR UPDATE")]
        chosen = list(wanted) or [school for school in present if _is_named(connection, files, school)]
        if not chosen or not set(chosen) <= set(present):
            missing = ", ".join(sorted(set(chosen) - set(present))) or "those in the export"
            raise NotUnderstood(f"no such school in this ledger ({missing}): add it with `edge-agent ledger school`")
        return tuple(
            _import_school(connection, files, school, date, org, vanish_share_max, in_force) for school in chosen
        )


def _is_named(connection: psycopg.Connection, files: Mapping[str, bytes], school: str) -> bool:
    return school in list_schools(files, _load(connection, school))


def _import_school(
    connection: psycopg.Connection, files: Mapping[str, bytes], school: str, date: str, org: str, share_max: float,
    in_force: datetime | None,
) -> ImportedSchool:  # fmt: skip
    row = connection.execute("SELECT timezone FROM school WHERE school = %s", (school,)).fetchone()
    assert row is not None
    built = import_roster(files, school, _load(connection, school), date=date, org=org, timezone=row[0])
    old = rosters.read_records(connection, school)
    changed = compare_rosters(old, built.records)
    refuse_vanished_pupils(changed, old, share_max)
    applied = rosters.apply_changes(connection, school, changed.changes, in_force=in_force)
    if built.payer_numbers is not None:
        store_numbers(connection, school, built.payer_numbers)
    _save(connection, school, built)
    forget_erased_names(connection, school)
    return ImportedSchool(school, applied.version, changed, built.notes)


def _load(connection: psycopg.Connection, school: str) -> dict[str, dict[str, RememberedRow]] | None:
    """Returns the rows that the last import left, or None before the first."""
    source: dict[str, dict[str, RememberedRow]] = {}
    rows = connection.execute("SELECT file, sourced_id, kept FROM roster_source WHERE school = %s", (school,))
    for file, sourced_id, text in rows:
        stored = msgspec.json.decode(text, type=RosterSourceRow)
        source.setdefault(file, {})
        if sourced_id:
            source[file][sourced_id] = RememberedRow(stored.fields, stored.modified, stored.active)
    return source or None


def _save(connection: psycopg.Connection, school: str, built: ImportedRoster) -> None:
    connection.execute("DELETE FROM roster_source WHERE school = %s", (school,))
    files, ids, texts = [], [], []
    for file, rows in built.files.items():
        # An empty row under the file's own name: a file that was given and held nothing is not one that never came.
        for sourced_id, row in [("", RememberedRow({})), *rows.items()]:
            files.append(file)
            ids.append(sourced_id)
            texts.append(msgspec.json.encode(RosterSourceRow(dict(row.fields), row.modified, row.active)).decode())
    connection.execute(
        "INSERT INTO roster_source (school, file, sourced_id, kept)"
        " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[])",
        (school, files, ids, texts),
    )
