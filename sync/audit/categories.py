"""The categories of an export: each row is under the digest of its version, and each version in the log of events."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sync.audit.archive import ArchivePlace, AuditFailure, CategoryLine, CategoryRowLine, CategoryVersionLine
from sync.audit.school_archive import SchoolArchive
from sync.money.building import SheetPerson
from sync.money.categories import BEGINNING, CategoryVersion, find_spans, set_categories, take_named
from sync.money.months import Month
from sync.proof.categories import digest_rows, hash_category


@dataclass(frozen=True, slots=True)
class JoinedPeople:
    """The people of a month with their categories. `erased`: how many rows that count are of people who were erased."""

    people: Sequence[SheetPerson]
    digest: str
    erased: int


@dataclass(frozen=True, slots=True)
class CategoryArchive:
    """The versions of an export whose rows hold. `codes`: of each, person → category."""

    versions: Sequence[CategoryVersion]
    codes: Mapping[int, Mapping[str, str]]
    erased: Mapping[int, int]
    unproved: Sequence[str] = field(default_factory=tuple)

    def describe(self) -> list[str]:
        """Returns in words that the versions hold; nothing where there are none in a log."""
        counted = ", ".join(str(version.number) for version in self.versions if version.digest)
        rows = sum(map(len, self.codes.values()))
        return (
            [f"the log of events has the categories, with {rows} rows that count: version {counted}"] if counted else []
        )

    def join(
        self, place: ArchivePlace | None, people: Sequence[SheetPerson], month: Month, named: str | None
    ) -> JoinedPeople:
        """Returns the people with the categories by which a sheet was made.

        `named`: the digest that the sheet names; None: the newest version.
        Raises AuditFailure at `place` where the export lacks that version or the rows of one that counts.
        """
        versions = self.versions if named is None else take_named(self.versions, named)
        if versions is None:
            raise AuditFailure(place, "the version of the categories by which it was made is not in the export")
        spans = find_spans(versions, month)
        numbers = {span.number for span in spans if span.number is not None}
        missing = sorted(numbers - self.codes.keys())
        if missing:
            raise AuditFailure(place, f"the rows of categories version {missing[0]} are not in the export")
        newest = max(versions, key=lambda version: version.number, default=None)
        erased = sum(self.erased[number] for number in numbers)
        return JoinedPeople(set_categories(people, spans, self.codes), newest.digest if newest else "", erased)


def read_categories(archive: SchoolArchive) -> CategoryArchive:
    """Returns the categories of an export. Raises AuditFailure at the first row that its version does not cover."""
    placed: dict[int, list[tuple[ArchivePlace, CategoryRowLine]]] = defaultdict(list)
    for place, row in archive.read(CategoryRowLine):
        placed[row.version].append((place, row))
    versions, codes, erased = [], {}, {}
    for place, line in archive.read(CategoryVersionLine):
        versions.append(CategoryVersion(line.number, line.first, line.digest().hex()))
        rows = placed.pop(line.number, [])
        if rows or not line.rows:
            codes[line.number] = _check_rows(place, line, rows)
            erased[line.number] = sum(not row.salt for _, row in rows)
    for stray in placed.values():
        raise AuditFailure(stray[0][0], "a row of no version of the categories")
    hidden = sum(erased.values())
    unproved = [f"the categories of {hidden} rows, of people who were erased"] if hidden else []
    return _add_former(archive, CategoryArchive(versions, codes, erased, unproved))


def _check_rows(
    place: ArchivePlace, line: CategoryVersionLine, rows: Sequence[tuple[ArchivePlace, CategoryRowLine]]
) -> dict[str, str]:
    codes: dict[str, str] = {}
    for row_place, row in rows:
        if not row.salt and not row.person and not row.category:
            continue
        try:
            hashed = hash_category(row.person, row.category, row.salt)
        except ValueError as error:
            raise AuditFailure(row_place, str(error)) from error
        if hashed != row.hash:
            raise AuditFailure(row_place, "the person, the category and the salt do not have this hash")
        if row.person in codes:
            raise AuditFailure(row_place, f"{row.person} has two categories in version {line.number}")
        codes[row.person] = row.category
    if len(rows) != line.rows or digest_rows([row.hash for _, row in rows]) != line.rows_digest:
        raise AuditFailure(place, f"these are not the rows of categories version {line.number}")
    return codes


def _add_former(archive: SchoolArchive, categories: CategoryArchive) -> CategoryArchive:
    """Returns the categories with those of an export from before they had versions, which no log covers."""
    former = archive.read(CategoryLine)
    if not former:
        return categories
    if categories.versions:
        raise AuditFailure(former[0][0], "a category outside of the versions: it was added")
    codes = {0: {line.person: line.category for _, line in former}}
    unproved = f"the categories of {len(former)} people: this export is from before they were in the log"
    return CategoryArchive([CategoryVersion(0, BEGINNING, "")], codes, {0: 0}, (unproved,))
