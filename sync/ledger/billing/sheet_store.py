"""The tables of sheets: the bytes of their versions, and their acts as they happened. Nothing is overwritten."""

from dataclasses import dataclass
from datetime import datetime

import msgspec
import psycopg

from sync.errors import Wording
from sync.ledger.errors import NotUnderstood
from sync.money.canonical import decode_sheet, digest_sheet
from sync.money.errors import SheetUnreadable
from sync.money.protocol import (
    ClickConfirmation,
    Closing,
    HandedSignature,
    Objection,
    Proposal,
    SheetAct,
    SheetProcess,
    SheetSide,
    advance,
)
from sync.money.sheet import RowKey, Sheet, SheetSubject


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of a sheet, with the bytes that are signed."""

    version: int
    digest: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ActRecord:
    """An act as the table keeps it, for the history that people read."""

    kind: str
    version: int
    digest: str
    side: str = ""
    lines: tuple[RowKey, ...] = ()  # of an objection
    note: str = ""
    scheme: str = ""
    signer: str = ""
    signature: bytes = b""  # detached, as it was handed in
    done_by: str
    done_at: datetime


def list_subjects(connection: psycopg.Connection, school: str) -> list[SheetSubject]:
    """Returns the sheets of a school, by month, programme and number."""
    rows = connection.execute(
        "SELECT DISTINCT month, programme, number FROM sheet_version WHERE school = %s"
        " ORDER BY month, programme, number",
        (school,),
    )
    return [SheetSubject(school, programme, month, number) for month, programme, number in rows]


def read_version(connection: psycopg.Connection, subject: SheetSubject, version: int = 0) -> StoredVersion:
    """Returns a version of a sheet; with `version` 0 the one in force. Raises NotUnderstood."""
    row = connection.execute(
        "SELECT version, digest, body FROM sheet_version"
        " WHERE school = %s AND programme = %s AND month = %s AND number = %s AND %s IN (0, version)"
        " ORDER BY version DESC LIMIT 1",
        (*_key(subject), version),
    ).fetchone()
    if row is None:
        wanted = f"version {version} of {subject}" if version else f"{subject}"
        raise NotUnderstood(
            f"{wanted} was never proposed", "propose it with `edge-agent ledger sheet propose`",
            Wording("refusal.never_proposed"),
        )  # fmt: skip
    return StoredVersion(row[0], row[1], _check_digest(subject, bytes(row[2]), row[1]))


def insert_version(connection: psycopg.Connection, subject: SheetSubject, version: StoredVersion) -> None:
    """Adds the bytes of a new version."""
    connection.execute(
        "INSERT INTO sheet_version (school, programme, month, number, version, digest, body)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (*_key(subject), version.version, version.digest, version.body),
    )


def read_acts(connection: psycopg.Connection, subject: SheetSubject) -> list[ActRecord]:
    """Returns the acts of a sheet, the first one first."""
    rows = connection.execute(
        "SELECT kind, version, digest, side, lines, note, scheme, signer, signature, done_by, done_at FROM sheet_act"
        " WHERE school = %s AND programme = %s AND month = %s AND number = %s ORDER BY act",
        _key(subject),
    )
    return [
        ActRecord(
            kind=kind, version=version, digest=digest, side=side, lines=_read_lines(lines), note=note, scheme=scheme,
            signer=signer, signature=bytes(signature), done_by=done_by, done_at=done_at,
        )
        for kind, version, digest, side, lines, note, scheme, signer, signature, done_by, done_at in rows
    ]  # fmt: skip


def append_act(connection: psycopg.Connection, subject: SheetSubject, record: ActRecord) -> None:
    """Adds an act as the sheet's last one. The caller holds the school's lock."""
    connection.execute(
        "INSERT INTO sheet_act (school, programme, month, number, act, kind, version, digest, side, lines, note,"
        " scheme, signer, signature, done_by, done_at)"
        " SELECT %(school)s, %(programme)s, %(month)s, %(number)s, count(*) + 1, %(kind)s, %(version)s, %(digest)s,"
        " %(side)s, %(lines)s, %(note)s, %(scheme)s, %(signer)s, %(signature)s, %(done_by)s, %(done_at)s FROM sheet_act"
        " WHERE school = %(school)s AND programme = %(programme)s AND month = %(month)s AND number = %(number)s",
        {
            "school": subject.school, "programme": subject.programme, "month": subject.month, "number": subject.number,
            "kind": record.kind, "version": record.version, "digest": record.digest, "side": record.side,
            "lines": msgspec.json.encode(sorted(record.lines)).decode() if record.lines else "", "note": record.note,
            "scheme": record.scheme, "signer": record.signer, "signature": record.signature,
            "done_by": record.done_by, "done_at": record.done_at,
        },
    )  # fmt: skip


def read_process(connection: psycopg.Connection, subject: SheetSubject) -> SheetProcess:
    """Returns where a sheet stands, by replaying its acts."""
    process = SheetProcess(str(subject))
    for record in read_acts(connection, subject):
        process = advance(process, _to_act(record))
    return process


def read_closed(connection: psycopg.Connection, school: str, programme: str, month: str) -> list[tuple[str, Sheet]]:
    """Returns digest and sheet of everything that is closed of a month, its own sheet first, then its corrections."""
    rows = connection.execute(
        "SELECT v.digest, v.body FROM sheet_act a"
        " JOIN sheet_version v USING (school, programme, month, number, version)"
        " WHERE school = %s AND programme = %s AND month = %s AND kind = 'closing' ORDER BY number",
        (school, programme, month),
    )
    subject = SheetSubject(school, programme, month)
    return [(digest, decode_sheet(_check_digest(subject, bytes(body), digest))) for digest, body in rows]


def _check_digest(subject: SheetSubject, body: bytes, digest: str) -> bytes:
    """Returns the bytes themselves. Raises SheetUnreadable where somebody has changed them in the table."""
    if digest_sheet(body) != digest:
        raise SheetUnreadable(
            f"the stored bytes of {subject} are not those of digest {digest[:16]}…",
            "restore the table sheet_version from a backup; the signed files of both sides show what it must hold",
        )
    return body


def _key(subject: SheetSubject) -> tuple[str, str, str, int]:
    return subject.school, subject.programme, subject.month, subject.number


def _to_act(record: ActRecord) -> SheetAct:
    match record.kind:
        case "proposal":
            return Proposal(record.version, record.digest)
        case "objection":
            return Objection(SheetSide(record.side), record.version, record.lines, record.note)
        case "signature":
            return HandedSignature(SheetSide(record.side), record.digest, record.scheme, record.signer)
        case "confirmation":
            return ClickConfirmation(SheetSide(record.side), record.digest, record.done_by)
        case _:
            return Closing(record.digest, record.done_by)


def _read_lines(text: str) -> tuple[RowKey, ...]:
    return tuple(msgspec.json.decode(text, type=list[tuple[str, str]])) if text else ()
