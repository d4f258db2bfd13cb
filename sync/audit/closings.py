"""The bill that a closed sheet must state: by the statements that were in the log of claims when it was closed.

A closed sheet never changes, and events may come later. So it is held against the statements whose leaves stand before
its own in the log: what was billed then, row by row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sync.audit.archive import ArchivePlace, AuditFailure, StatementLine, StatementRowLine
from sync.audit.logs import Leaves
from sync.audit.school_archive import SchoolArchive
from sync.contract.event import Claim, Method
from sync.contract.visit import EventId, Visit
from sync.money.building import SheetFacts, build_sheet
from sync.money.errors import MoneyError
from sync.money.sheet import BilledRow, RowKey, Sheet, SheetSubject, sum_billed
from sync.proof.leaves import sheet_leaf
from sync.proof.statements import DayStatement, read_row


@dataclass(frozen=True, slots=True)
class StatedVisits:
    """The visits of the statements before one leaf of the log; `erased`: rows whose person was erased since."""

    visits: Sequence[Visit]
    erased: int


def check_closed(
    archive: SchoolArchive, place: ArchivePlace, subject: SheetSubject, digest: str, facts: SheetFacts,
    closed: Sequence[Sheet], claims: Leaves,
) -> None:  # fmt: skip
    """Raises AuditFailure unless `closed`, up to this sheet, bills what was stated when it was closed."""
    leaf = sheet_leaf(subject.month, subject.programme, subject.number, bytes.fromhex(digest))
    if leaf not in claims:
        raise AuditFailure(place, f"the closing of {subject} is not in the log of claims")
    stated = _read_stated(archive, claims, leaf)
    try:
        whole = build_sheet(replace(subject, number=0), 1, replace(facts, visits=stated.visits))
    except MoneyError as error:
        raise AuditFailure(place, str(error)) from error
    expected, billed = _drop_empty(sum_billed([whole])), _drop_empty(sum_billed(closed))
    for key in sorted(expected.keys() | billed.keys()):
        if expected.get(key) == billed.get(key) or (stated.erased and key not in expected):
            continue
        person, session = key
        raise AuditFailure(
            place,
            f"{subject} bills {_show(billed.get(key))} for {person} {session}; stated at its closing was"
            f" {_show(expected.get(key))}",
        )


def _read_stated(archive: SchoolArchive, claims: Leaves, closing: bytes) -> StatedVisits:
    order = {leaf: index for index, leaf in enumerate(claims)}
    newest: dict[str, int] = {}
    for line in archive.read_lines(StatementLine):
        leaf = DayStatement(line.day, line.number, line.stated_at, line.rows, line.root).leaf()
        if order.get(leaf, len(order)) < order[closing]:
            newest[line.day] = max(line.number, newest.get(line.day, 0))
    visits, erased = [], 0
    for row in archive.read_lines(StatementRowLine):
        if newest.get(row.day) != row.number:
            continue
        if row.body:
            visits.append(_read_visit(row))
        else:
            erased += 1
    return StatedVisits(visits, erased)


def _read_visit(row: StatementRowLine) -> Visit:
    """Returns as much of a visit as a bill needs."""
    stated = read_row(row.body)
    return Visit(
        id=EventId(stated.device, stated.epoch, int(stated.seq)), person=stated.person, session=stated.session,
        service_date=row.day, method=Method(stated.method), programme=stated.programme, claim=Claim(stated.claim),
        entry_time=None, recorded_time="",
    )  # fmt: skip


def _drop_empty(billed: Mapping[RowKey, BilledRow]) -> dict[RowKey, BilledRow]:
    return {key: row for key, row in billed.items() if row.days or row.tiyn}


def _show(row: BilledRow | None) -> str:
    if row is None:
        return "nothing"
    return f"days {', '.join(map(str, sorted(row.days))) or 'none'} at {row.tiyn} tiyn"
