"""Closed sheets outside the database: noted with all their versions, acts and signatures, and put back after a restore.

A closed sheet is what both sides have signed for. A restored database that lacks the closing would let another sheet
close in its place; so it gets the closed one back, or where that is missing, a mark that lets no other close.
"""

import zlib
from datetime import datetime

import msgspec
import psycopg

from sync.ledger.billing.sheet_store import (
    ActRecord,
    StoredVersion,
    append_act,
    insert_version,
    read_acts,
    read_process,
    read_version,
)
from sync.ledger.recovery.acts import ActKind, note_act
from sync.ledger.transparency import logs
from sync.money.canonical import digest_sheet
from sync.money.sheet import SheetSubject
from sync.proof.leaves import LogName, sheet_leaf


class ClosedSheet(msgspec.Struct, frozen=True):
    """A sheet's versions and acts, the first ones first; the last act is its closing."""

    versions: list[StoredVersion]
    acts: list[ActRecord]


def note_closing(connection: psycopg.Connection, subject: SheetSubject) -> None:
    """Notes in the caller's transaction that a sheet was closed, with everything of it."""
    process = read_process(connection, subject)
    month = connection.execute(
        "SELECT roster_version, closed_at FROM closed_month WHERE school = %s AND month = %s",
        (subject.school, subject.month),
    ).fetchone()
    note_act(connection, ActKind.CLOSING, subject.school, {
        "programme": subject.programme, "month": subject.month, "number": str(subject.number),
        "digest": process.digest, "month_version": str(month[0]) if month else "",
        "month_closed_at": month[1].isoformat() if month else "",
    }, attachment=pack_closed(connection, subject))  # fmt: skip


def pack_closed(connection: psycopg.Connection, subject: SheetSubject) -> bytes:
    """Returns a closed sheet with all its versions and acts, as it lies outside the database."""
    process = read_process(connection, subject)
    versions = [read_version(connection, subject, number) for number in range(1, process.version + 1)]
    return zlib.compress(msgspec.json.encode(ClosedSheet(versions, read_acts(connection, subject))))


def restore_closing(connection: psycopg.Connection, subject: SheetSubject, digest: str, attachment: bytes) -> bool:
    """Closes a sheet again as it was closed; returns False, and marks the month, where that cannot be.

    `attachment`: as it was noted, b"" where it is missing.
    """
    process = read_process(connection, subject)
    if process.closing is not None and process.closing.digest == digest:
        return True
    closed = _read(attachment)
    present = read_acts(connection, subject)
    if closed is None or closed.acts[: len(present)] != present:
        connection.execute(
            "INSERT INTO lost_closing (school, programme, month, number, digest) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (subject.school, subject.programme, subject.month, subject.number, digest),
        )
        return False
    for version in closed.versions[process.version :]:
        assert digest_sheet(version.body) == version.digest, "the line of the act covers the attachment"
        insert_version(connection, subject, version)
    for act in closed.acts[len(present) :]:
        append_act(connection, subject, act)
    leaf = sheet_leaf(subject.month, subject.programme, subject.number, bytes.fromhex(digest))
    logs.append_leaf(connection, subject.school, LogName.CLAIMS, leaf)
    connection.execute(
        "DELETE FROM lost_closing WHERE school = %s AND programme = %s AND month = %s AND number = %s",
        (subject.school, subject.programme, subject.month, subject.number),
    )
    return True


def restore_month(
    connection: psycopg.Connection, school: str, month: str, roster_version: int, closed_at: datetime
) -> None:
    """Closes a month again that was closed before the restore, by the roster of that time."""
    connection.execute(
        "INSERT INTO closed_month (school, month, roster_version, closed_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (school, month, roster_version, closed_at),
    )


def _read(attachment: bytes) -> ClosedSheet | None:
    return msgspec.json.decode(zlib.decompress(attachment), type=ClosedSheet) if attachment else None
