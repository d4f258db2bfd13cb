"""Sheets and what becomes of them: proposals, objections, signatures, closings and corrections.

The state of a sheet is never stored but follows from its acts (`sync.money.protocol`). One act at a time happens at a
school.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from sync.errors import Wording
from sync.ledger.billing.sheet_store import (
    ActRecord,
    StoredVersion,
    append_act,
    insert_version,
    read_acts,
    read_closed,
    read_process,
    read_version,
)
from sync.ledger.billing.terms import lock_school
from sync.ledger.registry.free_text import refuse_names
from sync.ledger.transparency import logs
from sync.money.building import SheetFacts, build_correction, build_sheet
from sync.money.canonical import decode_sheet, digest_sheet, encode_sheet
from sync.money.errors import ActRefused
from sync.money.protocol import (
    ClickConfirmation,
    Closing,
    ClosingObstacle,
    HandedSignature,
    Objection,
    Proposal,
    SheetAct,
    SheetProcess,
    SheetSide,
    SheetState,
    advance,
)
from sync.money.sheet import Sheet, SheetObjection, SheetSubject
from sync.proof.leaves import LogName, sheet_leaf


@dataclass(frozen=True, slots=True)
class ActOutcome:
    """The sheet after an act. `recognised`: the act was there already, and nothing has changed."""

    process: SheetProcess
    recognised: bool


def propose(
    connection: psycopg.Connection, subject: SheetSubject, facts: SheetFacts, *, by: str, now: datetime
) -> ActOutcome:
    """Offers the sheet that follows from these facts. The same sheet again is recognised; another is the next version.

    Raises ActRefused where it is closed, where a correction is not the next one, or has nothing to correct.
    """
    with connection.transaction():
        lock_school(connection, subject.school)
        return _propose(connection, subject, facts, by=by, now=now)


def _propose(
    connection: psycopg.Connection, subject: SheetSubject, facts: SheetFacts, *, by: str, now: datetime
) -> ActOutcome:
    process = read_process(connection, subject)
    if process.state is SheetState.CLOSED:
        advance(process, Proposal(process.version + 1, ""))  # refuses, and says what to do
    objections = _read_objections(connection, subject)
    if process.version and process.objection is None and _follows(connection, subject, facts, objections):
        return ActOutcome(process, True)
    version = process.version + 1
    sheet = _build(connection, subject, version, facts, objections)
    if subject.number and version == 1 and not sheet.corrections:
        raise ActRefused(
            f"nothing of {subject.programme} {subject.month} differs from what was closed",
            "there is nothing to correct",
            Wording("refusal.nothing_to_correct"),
        )
    body = encode_sheet(sheet)
    after = advance(process, Proposal(version, digest_sheet(body)))
    insert_version(connection, subject, StoredVersion(version, after.digest, body))
    record = ActRecord(kind="proposal", version=version, digest=after.digest, done_by=by, done_at=now)
    append_act(connection, subject, record)
    return ActOutcome(after, False)


def _build(
    connection: psycopg.Connection, subject: SheetSubject, version: int, facts: SheetFacts,
    objections: Sequence[SheetObjection],
) -> Sheet:  # fmt: skip
    if subject.number == 0:
        return build_sheet(subject, version, facts, objections)
    closed = read_closed(connection, subject.school, subject.programme, subject.month)[: subject.number]
    if len(closed) < subject.number:
        before = replace(subject, number=len(closed))
        raise ActRefused(
            f"{before} is not closed yet", f"close it before you propose {subject}",
            Wording("refusal.earlier_open", number=len(closed)),
        )  # fmt: skip
    return build_correction(subject, version, facts, closed, objections)


def next_correction(connection: psycopg.Connection, school: str, programme: str, month: str) -> SheetSubject:
    """Returns the correction sheet that is under way or comes next. Raises ActRefused before the month has closed."""
    number = len(read_closed(connection, school, programme, month))
    if number == 0:
        raise ActRefused(
            f"{SheetSubject(school, programme, month)} is not closed",
            "propose it again: later rows go into it",
            Wording("refusal.not_closed"),
        )
    return SheetSubject(school, programme, month, number)


def object_to(
    connection: psycopg.Connection, subject: SheetSubject, objection: Objection, facts: SheetFacts, *, by: str,
    now: datetime,
) -> ActOutcome:  # fmt: skip
    """Keeps an objection and makes the next version, which names its lines. Raises ActRefused."""
    with connection.transaction():
        lock_school(connection, subject.school)
        process = read_process(connection, subject)
        after = advance(process, objection)
        if after == process:
            return ActOutcome(process, True)
        refuse_names(connection, subject.school, objection.text)
        sheet = decode_sheet(read_version(connection, subject).body)
        strange = [line for line in objection.lines if not sheet.has_row(line)]
        if strange:
            names = ", ".join(f"{person}:{session}" for person, session in strange)
            raise ActRefused(
                f"version {process.version} of {subject} has no line {names}",
                "name lines as `edge-agent ledger sheet show` does",
                Wording("refusal.strange_line", version=process.version, lines=names),
            )
        record = ActRecord(
            kind="objection", version=after.version, digest=after.digest, side=objection.side, lines=objection.lines,
            note=objection.text, done_by=by, done_at=now,
        )  # fmt: skip
        append_act(connection, subject, record)
        return _propose(connection, subject, facts, by=by, now=now)


def hand_in(
    connection: psycopg.Connection, subject: SheetSubject, signed: HandedSignature, signature: bytes, *, by: str,
    now: datetime,
) -> ActOutcome:  # fmt: skip
    """Keeps a side's verified signature over the version in force. The same digest again is recognised.

    Raises ActRefused for another digest.
    """
    record = ActRecord(
        kind="signature", version=0, digest=signed.digest, side=signed.side, scheme=signed.scheme,
        signer=signed.signer, signature=signature, done_by=by, done_at=now,
    )  # fmt: skip
    return _act(connection, subject, signed, record)


def confirm(
    connection: psycopg.Connection, subject: SheetSubject, side: SheetSide, digest: str, *, by: str, now: datetime
) -> ActOutcome:
    """Keeps that a person of a side clicked. It agrees to nothing. Raises ActRefused."""
    record = ActRecord(kind="confirmation", version=0, digest=digest, side=side, done_by=by, done_at=now)
    return _act(connection, subject, ClickConfirmation(side, digest, by), record)


def close(
    connection: psycopg.Connection, subject: SheetSubject, digest: str, obstacles: Sequence[ClosingObstacle], *,
    by: str, now: datetime,
) -> ActOutcome:  # fmt: skip
    """Closes what both sides have signed, and logs it. Raises ActRefused that names what is missing or in the way."""
    record = ActRecord(kind="closing", version=0, digest=digest, side=SheetSide.CITY, done_by=by, done_at=now)
    with connection.transaction():
        outcome = _act(connection, subject, Closing(digest, by), record, obstacles)
        if not outcome.recognised:
            leaf = sheet_leaf(subject.month, subject.programme, subject.number, bytes.fromhex(outcome.process.digest))
            logs.append_leaf(connection, subject.school, LogName.CLAIMS, leaf)
    return outcome


def find_changes(
    connection: psycopg.Connection, subject: SheetSubject, facts: SheetFacts
) -> tuple[ClosingObstacle, ...]:
    """Returns an obstacle where the version in force does not follow from these facts any more."""
    if _follows(connection, subject, facts, _read_objections(connection, subject)):
        return ()
    version = read_version(connection, subject).version
    return (
        ClosingObstacle(
            f"rows of {subject} have changed since version {version}",
            "propose it again with `edge-agent ledger sheet propose` and let both sides sign",
            Wording("obstacle.changed", version=version),
        ),
    )


def _follows(
    connection: psycopg.Connection, subject: SheetSubject, facts: SheetFacts, objections: Sequence[SheetObjection]
) -> bool:
    """Returns True if the version in force says what these facts say.

    Newer terms or categories that change nothing of this month make no new version: a remote day in March does not void
    the signatures of November.
    """
    stored = read_version(connection, subject)
    signed = decode_sheet(stored.body)
    built = _build(connection, subject, stored.version, facts, objections)
    return encode_sheet(built.take_terms(signed)) == stored.body


def _act(
    connection: psycopg.Connection, subject: SheetSubject, act: SheetAct, record: ActRecord,
    obstacles: Sequence[ClosingObstacle] = (),
) -> ActOutcome:  # fmt: skip
    with connection.transaction():
        lock_school(connection, subject.school)
        process = read_process(connection, subject)
        after = advance(process, act, obstacles)
        if after == process:
            return ActOutcome(process, True)
        append_act(connection, subject, replace(record, version=after.version))
        return ActOutcome(after, False)


def _read_objections(connection: psycopg.Connection, subject: SheetSubject) -> list[SheetObjection]:
    return [
        SheetObjection(record.version, record.side, person, session)
        for record in read_acts(connection, subject)
        if record.kind == "objection"
        for person, session in record.lines
    ]
