"""The basis of judgement out of an export: rosters over time, suspensions, signed decisions, contests."""

from collections import defaultdict
from datetime import UTC, tzinfo

from sync.audit.archive import (
    ROSTER_OPEN,
    AuditFailure,
    ClosedMonthLine,
    ContestLine,
    OfficerLine,
    ReversalLine,
    RosterRecordLine,
    RosterVersionLine,
    SuspensionLine,
)
from sync.audit.school_archive import SchoolArchive
from sync.contract.contests import BadAnswer, ContestAnswer, ContestOutcome, verify_answer
from sync.contract.judgement import JudgementBasis, Suspension
from sync.contract.reversals import BadReversal, Reversal, verify_reversal
from sync.contract.roster_history import RecordState, RosterHistory
from sync.contract.visit import EventId


def read_basis(archive: SchoolArchive, tz: tzinfo) -> JudgementBasis:
    """Returns the basis by which the month was judged. Raises AuditFailure at a decision that nobody has signed."""
    states = [RecordState(line.record, line.since, line.until) for line in archive.read_lines(RosterRecordLine)]
    versions = {line.version: line.in_force.astimezone(UTC) for line in archive.read_lines(RosterVersionLine)}
    months = archive.read_lines(ClosedMonthLine)
    closed = {line.month: line.roster_version for line in months if line.roster_version != ROSTER_OPEN}
    suspensions: dict[str, list[Suspension]] = defaultdict(list)
    for line in archive.read_lines(SuspensionLine):
        suspensions[line.device].append(Suspension(line.since, line.until))
    officers = {line.public_key: line.officer for line in archive.read_lines(OfficerLine)}
    return JudgementBasis(
        history=RosterHistory(states, versions, tz, closed), suspensions=suspensions,
        reversals=_read_reversals(archive, officers), contested=_read_contested(archive, officers),
    )  # fmt: skip


def _read_reversals(archive: SchoolArchive, officers: dict[bytes, str]) -> dict[EventId, Reversal]:
    reversals: dict[EventId, Reversal] = {}
    for place, line in archive.read(ReversalLine):
        try:
            reversal = verify_reversal(line.body, line.signature, line.public_key)
        except BadReversal as error:
            raise AuditFailure(place, str(error)) from error
        if officers.get(line.public_key) != reversal.officer or reversal.school != archive.subject.school:
            raise AuditFailure(place, f"{reversal.officer} is not the officer of this key, or of another school")
        reversals[reversal.event] = reversal
    return reversals


def _read_contested(archive: SchoolArchive, officers: dict[bytes, str]) -> dict[EventId, ContestAnswer | None]:
    contested: dict[EventId, ContestAnswer | None] = {}
    for place, line in archive.read(ContestLine):
        entry = EventId(line.device, line.epoch, line.seq)
        answer: ContestAnswer | None = None
        if line.answer:
            try:
                answer = verify_answer(line.answer, line.signature, line.public_key)
            except BadAnswer as error:
                raise AuditFailure(place, str(error)) from error
            if (answer.contest, answer.school) != (line.contest, archive.subject.school):
                raise AuditFailure(place, "the answer is to another contest")
            if officers.get(line.public_key) != answer.officer:
                raise AuditFailure(place, f"{answer.officer} is not the officer of this key")
        if answer is not None and answer.outcome is ContestOutcome.DECLINED:
            contested.pop(entry, None)
        else:
            contested[entry] = answer
    return contested
