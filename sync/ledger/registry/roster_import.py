"""A roster export into the ledger, school by school: all of it, or nothing and the reasons."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import psycopg

from sync.contract.consents import is_desk_consent
from sync.contract.oneroster.build import ImportedRoster, import_roster, list_schools
from sync.contract.oneroster.remembered import RememberedRow
from sync.contract.oneroster.surrogates import name_by_surrogates
from sync.contract.oneroster.tables import ExportRefused
from sync.contract.roster import Person
from sync.contract.roster_diff import RosterComparison, TooManyVanished, compare_rosters, refuse_vanished_pupils
from sync.ledger.errors import ImportStopped, NotUnderstood
from sync.ledger.registry import rosters
from sync.ledger.registry.export_parts import ExportParts
from sync.ledger.registry.payer_numbers import store_numbers
from sync.ledger.registry.surrogates import choose_surrogates, store_surrogates

VANISH_SHARE_MAX = 0.1


class RosterSourceRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of a OneRoster source as the table `roster_source` holds it."""

    fields: dict[str, str]
    modified: str
    active: bool


@dataclass(frozen=True, slots=True)
class ImportedSchool:
    """The result of an import for one school."""

    school: str
    version: int
    difference: RosterComparison
    notes: tuple[str, ...]


def import_export(
    connection: psycopg.Connection, files: Mapping[str, bytes] | ExportParts, wanted: Sequence[str] = (), *, date: str,
    org: str = "", vanish_share_max: float = VANISH_SHARE_MAX, dry_run: bool = False, in_force: datetime | None = None,
    keep_ids: bool = False, note: Callable[[psycopg.Connection, str], None] = lambda connection, school: None,
) -> tuple[ImportedSchool, ...]:  # fmt: skip
    """Imports for the schools named, or for every school that the export names, and returns all results at once."""
    terms = _ImportTerms(files, date, org, vanish_share_max, dry_run, in_force, keep_ids)
    return tuple(_import_schools(connection, wanted, terms, note))


def import_schools(
    connection: psycopg.Connection, files: Mapping[str, bytes] | ExportParts, wanted: Sequence[str], *, date: str,
    org: str, vanish_share_max: float, dry_run: bool, keep_ids: bool, note: Callable[[psycopg.Connection, str], None],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[ImportedSchool]:  # fmt: skip
    """Imports school after school and yields each one's result: of a city, no more than one is in memory.

    All schools are read and compared first, without a lock. Then each is imported in a transaction of its own, so that
    no school waits for another; `note` is called in it. Imported again, a school that has the roster stays as it is.

    `org`: the one wanted school's id in the export, where it differs. `date`: the local date. With `dry_run` nothing is
    kept and the differences tell what would be. `keep_ids`: whoever is new keeps the source's id as their name.
    `progress` is told how many schools were compared and imported, and how many steps of both there are.
    Raises ExportRefused, TooManyVanished or NotUnderstood; then no school has changed. Raises ImportStopped where some
    have.
    """
    yield from _import_schools(
        connection, wanted, _ImportTerms(files, date, org, vanish_share_max, dry_run, None, keep_ids), note, progress
    )


def _import_schools(
    connection: psycopg.Connection, wanted: Sequence[str], terms: "_ImportTerms",
    note: Callable[[psycopg.Connection, str], None],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[ImportedSchool]:  # fmt: skip
    chosen = _choose_schools(connection, terms.files, wanted)
    if terms.dry_run:
        for number, school in enumerate(chosen, 1):
            yield _foresee_import(connection, school, terms)
            progress(number, len(chosen))
        return
    compared = chosen if len(chosen) > 1 else []
    steps = len(compared) + len(chosen)
    for number, school in enumerate(compared, 1):
        _foresee_import(connection, school, terms)
        progress(number, steps)
    done: list[str] = []
    for school in chosen:
        try:
            with connection.transaction():
                result = _import_school(connection, school, terms)
                note(connection, school)
        except (psycopg.Error, ExportRefused, TooManyVanished, NotUnderstood) as error:
            if not done:
                raise
            raise ImportStopped(
                f"stopped at {school}: {error}", f"in force are {', '.join(done)}: import it again"
            ) from error
        done.append(school)
        progress(len(compared) + len(done), steps)
        yield result


@dataclass(frozen=True, slots=True)
class _ImportTerms:
    """The part of an import that is the same for every school."""

    files: Mapping[str, bytes] | ExportParts
    date: str
    org: str
    vanish_share_max: float
    dry_run: bool
    in_force: datetime | None
    keep_ids: bool

    def read_files(self, school: str) -> Mapping[str, bytes]:
        """Returns the files that a school's roster is in."""
        return self.files.read(self.org or school) if isinstance(self.files, ExportParts) else self.files


def _choose_schools(
    connection: psycopg.Connection, files: Mapping[str, bytes] | ExportParts, wanted: Sequence[str]
) -> tuple[str, ...]:
    # Of the city: an export may name any of its schools.
    present = [row[0] for row in connection.execute("SELECT school FROM school ORDER BY school")]
    if isinstance(files, ExportParts):
        chosen = tuple(wanted) or tuple(school for school in present if school in files.schools)
    else:
        chosen = tuple(wanted) or tuple(
            school for school in present if school in list_schools(files, _load(connection, school))
        )
    if not chosen or not set(chosen) <= set(present):
        missing = ", ".join(sorted(set(chosen) - set(present))) or "those in the export"
        raise NotUnderstood(f"no such school in this ledger ({missing}): add it with `edge-agent ledger school`")
    return chosen


def _foresee_import(connection: psycopg.Connection, school: str, terms: _ImportTerms) -> ImportedSchool:
    """Returns what an import would do to one school as it stands, and changes nothing."""
    built, difference, _ = _compare_school(connection, school, terms)
    version = rosters.read_version(connection, school) + bool(difference.changes)
    return ImportedSchool(school, version, difference, built.notes)


def _import_school(connection: psycopg.Connection, school: str, terms: _ImportTerms) -> ImportedSchool:
    # Two imports of one school follow each other. Whoever only refers to the school, as each batch does, does not wait.
    connection.execute("SELECT 1 FROM school WHERE school = %s FOR NO KEY UPDATE", (school,))
    built, difference, surrogates = _compare_school(connection, school, terms)
    store_surrogates(connection, school, surrogates)
    applied = rosters.apply_changes(connection, school, difference.changes, in_force=terms.in_force)
    if built.payer_numbers is not None:
        numbers = ((number_hash, surrogates[person]) for number_hash, person in built.payer_numbers)
        store_numbers(connection, school, numbers)
    _save(connection, school, built)
    return ImportedSchool(school, applied.version, difference, built.notes)


def _compare_school(
    connection: psycopg.Connection, school: str, terms: _ImportTerms
) -> tuple[ImportedRoster, RosterComparison, Mapping[str, str]]:
    """Returns a school's roster out of the export, how it differs from the one in force, and its people's surrogates.

    Raises every refusal.
    """
    row = connection.execute("SELECT timezone FROM school WHERE school = %s", (school,)).fetchone()
    assert row is not None
    base = _load(connection, school)
    built = import_roster(terms.read_files(school), school, base, date=terms.date, org=terms.org, timezone=row[0])
    old = rosters.read_records(connection, school)
    people = [record.id for record in built.records if isinstance(record, Person)]
    surrogates = choose_surrogates(connection, school, people, keep_ids=terms.keep_ids)
    new = name_by_surrogates(built.records, surrogates)
    here = {record.id for record in new if isinstance(record, Person)}
    noted = [record for record in old if is_desk_consent(record) and record.person in here]  # no export has them
    difference = compare_rosters(old, (*new, *noted))
    refuse_vanished_pupils(difference, old, terms.vanish_share_max)
    return built, difference, surrogates


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
