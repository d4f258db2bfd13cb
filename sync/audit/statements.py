"""The statements of an export: each is in the log, its rows make its root, and the newest says what the events say."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sync.audit.archive import ArchivePlace, AuditFailure, StatementLine, StatementRowLine
from sync.audit.logs import Leaves
from sync.audit.school_archive import SchoolArchive
from sync.contract.visit import Visit
from sync.proof.statements import DayStatement, hash_row, make_row, read_row
from sync.proof.tree import HashTree

StatementName = tuple[str, int]  # day and number


@dataclass(frozen=True, slots=True)
class CheckedStatements:
    """How many statements hold, how many rows of theirs were erased, and of whom."""

    held: int
    erased: int
    people_erased: frozenset[str]


def check_statements(archive: SchoolArchive, leaves: Leaves, visits: Iterable[Visit]) -> CheckedStatements:
    """Returns what was found of the statements. Raises AuditFailure at the first one that does not hold."""
    rows: dict[StatementName, list[tuple[ArchivePlace, StatementRowLine]]] = defaultdict(list)
    for place, row in archive.read(StatementRowLine):
        rows[row.day, row.number].append((place, row))
    newest: dict[str, tuple[ArchivePlace, StatementLine]] = {}
    for place, line in archive.read(StatementLine):
        _check_statement(place, line, rows.pop((line.day, line.number), []), leaves)
        if line.day not in newest or newest[line.day][1].number < line.number:
            newest[line.day] = place, line
    for stray in rows.values():
        raise AuditFailure(stray[0][0], "a row of no statement")
    _check_complete(archive, leaves)
    people = _check_newest(archive, newest, visits)
    erased = sum(not row.body for row in archive.read_lines(StatementRowLine))
    return CheckedStatements(len(archive.read_lines(StatementLine)), erased, people)


def _check_statement(
    place: ArchivePlace, line: StatementLine, rows: list[tuple[ArchivePlace, StatementRowLine]], leaves: Leaves
) -> None:
    statement = DayStatement(line.day, line.number, line.stated_at, line.rows, line.root)
    if statement.leaf() not in leaves:
        raise AuditFailure(
            place, f"statement {line.number} of {line.day} is not in the log of claims as it stands here"
        )
    for row_place, row in rows:
        if row.body and hash_row(row.body, row.salt) != row.hash:
            raise AuditFailure(row_place, "the row and its salt do not have this hash")
    if len(rows) != line.rows or HashTree(row.hash for _, row in rows).root() != line.root:
        raise AuditFailure(place, f"its rows do not make the root of statement {line.number} of {line.day}")


def _check_complete(archive: SchoolArchive, leaves: Leaves) -> None:
    """Raises AuditFailure where the log has a statement of the month that the export lacks."""
    exported = {(line.day, line.number) for line in archive.read_lines(StatementLine)}
    for leaf, place in leaves.items():
        tag, day, number, *_ = leaf.decode().split("\n")
        of_month = tag == "canteen statement v1" and day.startswith(archive.subject.month)
        if of_month and (day, int(number)) not in exported:
            raise AuditFailure(place, f"statement {number} of {day} is in the log and was removed from the export")


def _check_newest(
    archive: SchoolArchive, newest: Mapping[str, tuple[ArchivePlace, StatementLine]], visits: Iterable[Visit]
) -> frozenset[str]:
    """Returns whose rows were erased. Raises AuditFailure where a day's newest statement is not what its events say."""
    people: set[str] = set()
    expected: dict[str, set[bytes]] = defaultdict(set)
    for visit in visits:
        if visit.day.startswith(archive.subject.month):
            expected[visit.day].add(make_row(visit).encode())
    stated: dict[str, dict[bytes, ArchivePlace]] = defaultdict(dict)
    erased: dict[str, int] = defaultdict(int)
    for place, row in archive.read(StatementRowLine):
        if row.day in newest and newest[row.day][1].number == row.number:
            if row.body:
                stated[row.day][row.body] = place
            else:
                erased[row.day] += 1
    for day in sorted(expected.keys() | newest.keys()):
        for body, place in stated[day].items():
            if body not in expected[day]:
                fields = read_row(body)
                name = f"{fields.device} {fields.epoch} {fields.seq}"
                raise AuditFailure(
                    place, f"{day}: this row of {fields.person} does not follow from the events ({name})"
                )
        missing = sorted(expected[day] - stated[day].keys())
        people.update(read_row(body).person for body in missing)
        if len(missing) != erased[day]:
            lost = read_row(missing[0]) if missing else None
            name = f"{lost.device} {lost.epoch} {lost.seq}" if lost else "nothing"
            raise AuditFailure(newest[day][0] if day in newest else None, f"{day}: no row says what event {name} says")
    return frozenset(people)
