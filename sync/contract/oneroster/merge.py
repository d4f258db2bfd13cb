"""The files of an import laid over what was remembered of the ones before.

A bulk file is everything of its kind: what it does not name is gone. A delta is laid over the import before it, row by
row, an older `dateLastModified` never over a newer one. Our own files (`rows.OWN`) replace what was remembered of their
kind and may be left out. A person who is gone, disabled or not yet there is not on the roster; the import remembers
them, and a later delta can bring them back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sync.contract.oneroster.ids import identify_rows
from sync.contract.oneroster.remembered import RememberedFiles, RememberedRow, canonical_moment
from sync.contract.oneroster.rows import ONEROSTER, OWN
from sync.contract.oneroster.tables import CheckedTable, ExportFault, ExportRefused


def merge(base: RememberedFiles | None, tables: Mapping[str, CheckedTable]) -> dict[str, dict[str, RememberedRow]]:
    """Returns `base` with the tables laid over it. Raises `ExportRefused`."""
    merged = {
        name: {row_id: replace(row, line=0) for row_id, row in rows.items()} for name, rows in (base or {}).items()
    }
    faults: list[ExportFault] = []
    for name, table in tables.items():
        if name in OWN:
            merged[name] = identify_rows(name, table, merged.get(name, {}), faults)
            continue
        before = merged.get(name)
        if table.delta and before is None:
            faults.append(ExportFault(name, 0, "", "a delta, but no bulk import before it", "a bulk export first"))
            continue
        fresh = _by_id(name, table, faults)
        merged[name] = _lay_delta(before or {}, fresh) if table.delta else _lay_bulk(before or {}, fresh)
    if not faults and "users.csv" not in merged:
        faults.append(ExportFault("users.csv", 0, "", "no people, now or before", "a bulk export with users.csv"))
    if faults:
        raise ExportRefused(faults)
    return merged


def describe_late_rows(files: RememberedFiles, tables: Mapping[str, CheckedTable]) -> Iterator[str]:
    """Yields a note on each delta with rows that were passed over, since newer ones are remembered."""
    for name, table in tables.items():
        if table.delta and name in ONEROSTER:
            late = sum(
                canonical_moment(row.fields["dateLastModified"]) < files[name][row.fields["sourcedId"]].modified
                for row in table.rows
                if row.fields["sourcedId"] in files[name]
            )
            if late:
                yield f"{name}: {late} rows passed over, older than what is known"


def _by_id(name: str, table: CheckedTable, faults: list[ExportFault]) -> dict[str, RememberedRow]:
    rows: dict[str, RememberedRow] = {}
    for row in table.rows:
        row_id = row.fields["sourcedId"]
        if row_id in rows:
            actual = f"{row_id!r} again, first in line {rows[row_id].line}"
            faults.append(ExportFault(name, row.line, "sourcedId", actual, "each id once"))
            continue
        active = row.fields["status"].lower() in ("", "active")
        fields = {key: value for key, value in row.fields.items() if key not in ("status", "dateLastModified")}
        rows[row_id] = RememberedRow(fields, canonical_moment(row.fields["dateLastModified"]), active, row.line)
        if name == "users.csv" and active:
            faults += [
                ExportFault(name, row.line, column, "nothing", "a name")
                for column in ("givenName", "familyName")
                if not fields[column]
            ]
    return rows


def _lay_bulk(before: Mapping[str, RememberedRow], fresh: Mapping[str, RememberedRow]) -> dict[str, RememberedRow]:
    """Returns everything. What is not named stays as inactive, with the moment of its last change."""
    unnamed = {row_id: replace(row, active=False) for row_id, row in before.items() if row_id not in fresh}
    named = {
        row_id: replace(row, modified=max(row.modified, before[row_id].modified)) if row_id in before else row
        for row_id, row in fresh.items()
        if row_id in before or row.active  # no deletion of what was never here, or was erased
    }
    return unnamed | named


def _lay_delta(before: Mapping[str, RememberedRow], fresh: Mapping[str, RememberedRow]) -> dict[str, RememberedRow]:
    merged = dict(before)
    for row_id, row in fresh.items():
        former = before.get(row_id)
        if former is None and not row.active:
            continue  # a deletion of what was never here, or was erased
        if former is not None and row.modified < former.modified:
            continue  # an older change that comes late
        if former is not None and not row.active:  # a deletion need not repeat what it deletes
            merged[row_id] = replace(row, fields=former.fields)
        else:
            merged[row_id] = row
    return merged
