"""The export of one sheet's month: all lines that an auditor needs, out of one moment of one school's tables.

Names, cards, consents and families' words stay out. The batches are whole, since a signature covers whole batches: they
hold the opaque ids of everybody who came, also in other months.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
from psycopg import IsolationLevel

from sync.audit.archive import (
    ROSTER_OPEN,
    ArchiveLine,
    BatchLine,
    CalendarLine,
    CheckpointLine,
    ClosedMonthLine,
    ContestLine,
    DeviceLine,
    LeafLine,
    OfficerLine,
    ReceiptLine,
    ReversalLine,
    RosterRecordLine,
    RosterVersionLine,
    SheetActLine,
    SheetLine,
    SignerLine,
    StatementLine,
    StatementRowLine,
    SubjectLine,
    SuspensionLine,
    TariffLine,
)
from sync.contract import roster
from sync.contract.receipt_keys import ReceiptKey
from sync.contract.roster import School
from sync.contract.wire import time_text
from sync.ledger.billing import sheet_store
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement import judgement_basis
from sync.ledger.judgement.contests import read_answers
from sync.ledger.judgement.days import settle_days
from sync.ledger.judgement.reversals import DECIDING_ROLES, list_officers
from sync.ledger.receipt_keys import read_receipt_keys
from sync.ledger.transparency import logs
from sync.ledger.transparency.category_export import read_category_lines
from sync.ledger.transparency.statements import state_days
from sync.money.sheet import SheetSubject
from sync.money.tariffs import TariffBook
from sync.money.terms_file import read_json
from sync.proof.leaves import LogName
from sync.proof.notes import NoteKey
from sync.proof.roster_digest import redact
from sync.proof.signer import LogSigner


def export_sheet(
    connection: psycopg.Connection, subject: SheetSubject, signer: LogSigner, *, receipts_key: bytes,
    witness_key: NoteKey | None, now: datetime,
) -> list[ArchiveLine]:  # fmt: skip
    """Returns the lines of a month's sheet and its corrections. `subject.number` does not matter.

    Judges, states and seals what waits before it reads. Raises NotUnderstood where days are still open, or where events
    came meanwhile.
    """
    school = subject.school
    settle_days(connection, school, now=now)
    state_days(connection, school, now=now)
    for log in LogName:
        while logs.seal_log(connection, school, log, signer, now):
            pass
    previous = connection.isolation_level
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            _check_quiet(connection, subject)
            return list(_read_lines(connection, subject, signer, receipts_key, witness_key, now))
    finally:
        connection.isolation_level = previous


def _check_quiet(connection: psycopg.Connection, subject: SheetSubject) -> None:
    waiting = connection.execute(
        "SELECT count(*) FROM log_leaf WHERE school = %s AND number IS NULL", (subject.school,)
    ).fetchone()
    if waiting != (0,):
        raise NotUnderstood("events have come meanwhile: export again")
    open_days = connection.execute(
        "SELECT min(day), count(*) FROM dirty_day WHERE school = %s AND left(day, 7) = %s",
        (subject.school, subject.month),
    ).fetchone()
    if open_days is not None and open_days[1]:
        raise NotUnderstood(
            f"{open_days[1]} days of {subject.month}, the first of them {open_days[0]}, are still open:"
            " export again when their sessions are over"
        )


def _read_lines(
    connection: psycopg.Connection, subject: SheetSubject, signer: LogSigner, receipts_key: bytes,
    witness_key: NoteKey | None, now: datetime,
) -> Iterator[ArchiveLine]:  # fmt: skip
    school = subject.school
    yield SubjectLine(
        school=school, timezone=_read_zone(connection, school), programme=subject.programme, month=subject.month,
        exported_at=now, receipts_key=receipts_key,
        former_keys=_read_receipt_chain(connection, receipts_key), ledger_key=str(signer.ledger_key),
        witness_key=str(witness_key) if witness_key else "",
    )  # fmt: skip
    yield from _read_chains(connection, school)
    yield from _read_logs(connection, school, witness_key)
    yield from _read_rosters(connection, subject)
    yield from _read_decisions(connection, school)
    yield from _read_terms(connection, school)
    yield from read_category_lines(connection, subject)
    yield from _read_statements(connection, subject)
    yield from _read_sheets(connection, subject)


def _read_receipt_chain(connection: psycopg.Connection, receipts_key: bytes) -> tuple[ReceiptKey, ...]:
    """Returns the keys up to this one, where it is not the first."""
    chain = read_receipt_keys(connection)
    place = [key.raw for key in chain].index(receipts_key)
    return chain[: place + 1] if place else ()


def _read_zone(connection: psycopg.Connection, school: str) -> str:
    row = connection.execute("SELECT timezone FROM school WHERE school = %s", (school,)).fetchone()
    if row is None:
        raise NotUnderstood(f"no school {school!r}: see `edge-agent ledger schools`")
    body = connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND type = 'school' AND superseded IS NULL"
        " AND body IS NOT NULL ORDER BY id LIMIT 1",
        (school,),
    ).fetchone()
    record = roster.from_json(body[0]) if body else None
    return record.timezone if isinstance(record, School) else str(row[0])


def _read_chains(connection: psycopg.Connection, school: str) -> Iterator[ArchiveLine]:
    for device, key in connection.execute(
        "SELECT device, public_key FROM device_key WHERE school = %s ORDER BY device, added_at", (school,)
    ):
        yield DeviceLine(device=device, public_key=key)
    for device, epoch, signature_input, signature, encoding, body, received_at in connection.execute(
        "SELECT b.device, b.epoch, signature_input, signature, content_encoding, body, received_at FROM batch b"
        " JOIN epoch e USING (school, device, epoch) WHERE b.school = %(school)s AND NOT EXISTS ("
        "  SELECT 1 FROM fork WHERE fork.school = %(school)s AND fork.device = b.device AND fork.epoch = b.epoch"
        "  AND fork.content_digest = b.content_digest)"
        " ORDER BY b.device, e.opened_at, b.epoch, b.first_seq = 0, b.last_seq",
        {"school": school},
    ):
        yield BatchLine(
            device=device, epoch=epoch, signature_input=signature_input, signature=signature,
            content_encoding=encoding, body=body, received_at=received_at.astimezone(UTC),
        )  # fmt: skip
    for (body,) in connection.execute(
        "SELECT receipt FROM receipt WHERE school = %s ORDER BY device, epoch, accepted_through", (school,)
    ):
        yield ReceiptLine(body=body)


def _read_logs(connection: psycopg.Connection, school: str, witness_key: NoteKey | None) -> Iterator[ArchiveLine]:
    for log in LogName:
        for (leaf,) in connection.execute(
            "SELECT leaf FROM log_leaf WHERE school = %s AND log = %s ORDER BY number", (school, log)
        ):
            yield LeafLine(log=log, leaf=leaf)
        head = logs.read_log_head(connection, school, log)
        if head.checkpoint is None:
            continue
        if witness_key is not None and head.cosigned_size < head.size:
            raise NotUnderstood(f"the witness has not cosigned the newest checkpoint of {log.value} yet: export again")
        note = head.cosigned if witness_key is not None and head.cosigned is not None else head.checkpoint
        yield CheckpointLine(log=log, note=str(note))


def _read_rosters(connection: psycopg.Connection, subject: SheetSubject) -> Iterator[ArchiveLine]:
    school = subject.school
    for version, in_force in connection.execute(
        "SELECT version, in_force FROM roster_version WHERE school = %s ORDER BY version", (school,)
    ):
        yield RosterVersionLine(version=version, in_force=in_force.astimezone(UTC))
    for body, since, until in connection.execute(
        "SELECT body, version, coalesce(superseded, 0) FROM roster_record WHERE school = %s AND body IS NOT NULL"
        " ORDER BY type, id, version",
        (school,),
    ):
        record = redact(roster.from_json(body))
        if record is not None:
            yield RosterRecordLine(record=record, since=since, until=until)
    closed = judgement_basis.read_closed(connection, school)
    if sheet_store.read_closed(connection, school, subject.programme, subject.month):
        closed = {subject.month: ROSTER_OPEN} | closed
    for month, version in sorted(closed.items()):
        yield ClosedMonthLine(month=month, roster_version=version)
    for device, since, until in connection.execute(
        "SELECT device, since, until FROM device_suspension WHERE school = %s ORDER BY device, since", (school,)
    ):
        yield SuspensionLine(device=device, since=since, until=until)


def _read_decisions(connection: psycopg.Connection, school: str) -> Iterator[ArchiveLine]:
    for officer in list_officers(connection, school):
        if officer.role in DECIDING_ROLES:
            yield OfficerLine(officer=officer.officer, public_key=officer.public_key)
    for body, signature, key in connection.execute(
        "SELECT body, signature, public_key FROM reversal WHERE school = %s ORDER BY device, epoch, seq, number",
        (school,),
    ):
        yield ReversalLine(body=body, signature=signature, public_key=key)
    for contest, entry, answer, signature, key in read_answers(connection, school):
        yield ContestLine(
            contest=contest, device=entry.device, epoch=entry.epoch, seq=entry.seq, answer=answer, signature=signature,
            public_key=key,
        )  # fmt: skip


def _read_terms(connection: psycopg.Connection, school: str) -> Iterator[ArchiveLine]:
    for name, number, body in connection.execute(
        "SELECT calendar, version, body FROM calendar_version WHERE school = %s ORDER BY calendar, version", (school,)
    ):
        yield CalendarLine(name=name, number=number, body=body)
    for number, body in connection.execute(
        "SELECT version, body FROM tariff_version WHERE school = %s ORDER BY version", (school,)
    ):
        yield TariffLine(name=read_json(bytes(body), TariffBook).id, number=number, body=body)


def _read_statements(connection: psycopg.Connection, subject: SheetSubject) -> Iterator[ArchiveLine]:
    place = (subject.school, subject.month)
    for day, number, stated_at, count, root in connection.execute(
        "SELECT day, number, stated_at, row_count, root FROM statement WHERE school = %s AND left(day, 7) = %s"
        " ORDER BY day, number",
        place,
    ):
        yield StatementLine(day=day, number=number, stated_at=time_text(stated_at), rows=count, root=root)
    for day, number, body, salt, hashed in connection.execute(
        "SELECT day, number, coalesce(body, ''), coalesce(salt, ''), hash FROM statement_row"
        " WHERE school = %s AND left(day, 7) = %s ORDER BY day, number, place",
        place,
    ):
        yield StatementRowLine(day=day, number=number, body=body, salt=salt, hash=hashed)


def _read_sheets(connection: psycopg.Connection, subject: SheetSubject) -> Iterator[ArchiveLine]:
    key = (subject.school, subject.programme, subject.month)
    for number, version, body in connection.execute(
        "SELECT number, version, body FROM sheet_version WHERE school = %s AND programme = %s AND month = %s"
        " ORDER BY number, version",
        key,
    ):
        yield SheetLine(number=number, version=version, body=body)
    for sheet in sheet_store.list_subjects(connection, subject.school):
        if (sheet.programme, sheet.month) != (subject.programme, subject.month):
            continue
        for act in sheet_store.read_acts(connection, sheet):
            yield SheetActLine(
                number=sheet.number, version=act.version, kind=act.kind, digest=act.digest, side=act.side,
                scheme=act.scheme, signer=act.signer, signature=act.signature, lines=act.lines,
                at=act.done_at.astimezone(UTC),
            )  # fmt: skip
    for side, scheme, material, name in connection.execute(
        "SELECT side, scheme, material, name FROM sheet_signer WHERE school = %s ORDER BY side, scheme, material",
        (subject.school,),
    ):
        yield SignerLine(side=side, scheme=scheme, material=material, name=name)
