"""Repeats the acts that a restored database does not know, before the door opens."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.chain import DeviceId
from sync.contract.roster import DeletedRecord
from sync.ledger.billing import closed_sheets
from sync.ledger.errors import ActsMissing, NotUnderstood
from sync.ledger.family import erasure
from sync.ledger.receipt_keys import read_folder_chain
from sync.ledger.recovery.acts import (
    ATTACHMENTS_NAME,
    FILE_NAME,
    RENEW_INCARNATIONS,
    ActFile,
    ActHandler,
    ActKind,
    knows_last_acts,
    list_lacking_acts,
    replay_acts,
    write_acts,
)
from sync.ledger.registry import device_keys, enrolment_codes, rosters, schools, surrogates
from sync.ledger.registry.privileged_acts import log_act
from sync.money.sheet import SheetSubject

logger = logging.getLogger(__name__)

_LOCK = 0x63_6E_74_33  # `cnt3`: one process at a time does what is missing again


def open_acts(folder: Path, key: Ed25519PrivateKey) -> ActFile:
    """Returns the file of acts in the ledger's folder; lines by the keys before this one are read, too.

    Raises NotUnderstood where the folder's list of keys is damaged.
    """
    chain = read_folder_chain(folder, key.public_key().public_bytes_raw())
    return ActFile(folder / FILE_NAME, key, tuple(former.raw for former in chain[:-1]))


def catch_up(connection: psycopg.Connection, acts: ActFile, *, acts_are_lost: bool = False) -> int:
    """Brings a restored database up to the acts in the file, and the file up to the database, before the door opens.

    `acts_are_lost`: an operator has said that no newer copy of the file is left; then it is made again from what the
    database knows. Returns how many acts the database did not know. Raises ActsMissing, ActsDamaged.
    """
    with connection.transaction():
        # Several processes meet a restored database at once.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        lacking = list_lacking_acts(connection, acts)
        if lacking:
            if not acts_are_lost:
                raise _missing(acts, len(lacking))
            _write_again(connection, acts, lacking)
        replayed = replay_acts(connection, acts, HANDLERS)
    if replayed:
        logger.warning("the database was restored: %d acts were done again, and every school has a new incarnation",
                       replayed)  # fmt: skip
    _retry_closings(connection, acts)
    write_acts(connection, acts)
    return replayed


def follow_acts(connection: psycopg.Connection, acts: ActFile) -> None:
    """Brings what was noted into the file.

    Where the database has come to lack acts, it was put back under this running process, or another one of a cluster
    has taken its place: they are done again at once. Raises ActsDamaged, OSError.
    """
    if knows_last_acts(connection, acts):
        write_acts(connection, acts)
    else:
        catch_up(connection, acts)


def _missing(acts: ActFile, count: int) -> ActsMissing:
    return ActsMissing(
        f"{acts.path} lacks {count} acts that the database knows, and nobody knows what else: the door stays shut, "
        "since a restored database would take suspended keys, used codes and withdrawn consents for good again. Put "
        f"the newest copy of {FILE_NAME} and of the folder `{ATTACHMENTS_NAME}` there and start again. If none is "
        "left, or the database was not put back, start once with --acts-are-lost: the file is then written from "
        "the database. After a restore look through `ledger devices` and `ledger codes` then, and import the rosters"
    )


def _write_again(connection: psycopg.Connection, acts: ActFile, lacking: Sequence[tuple[str, str, str]]) -> None:
    """Lets the file be written again from the database, and every kiosk fetch its roster whole."""
    with connection.transaction():
        for school, token, kind in lacking:
            connection.execute(
                "UPDATE act SET written = false, attachment = %s WHERE school = %s AND token = %s",
                (_pack_closing(connection, school, token) if kind == ActKind.CLOSING else None, school, token),
            )
        connection.execute(RENEW_INCARNATIONS, {"drawn": secrets.token_hex(16)})
        log_act(connection, "", "acts are lost", f"{len(lacking)} acts, {acts.path}", "ledger serve")
    logger.error("%s is lost: %d acts are written again from the database. What was ended since its backup is in force"
                 " again: look through the kiosks, the codes and the consents", acts.path, len(lacking))  # fmt: skip


def _pack_closing(connection: psycopg.Connection, school: str, token: str) -> bytes | None:
    row = connection.execute("SELECT fields FROM act WHERE school = %s AND token = %s", (school, token)).fetchone()
    assert row is not None, "it was listed a moment ago"
    fields = msgspec.json.decode(row[0], type=dict[str, str])
    return closed_sheets.pack_closed(
        connection, SheetSubject(school, fields["programme"], fields["month"], int(fields["number"]))
    )  # fmt: skip


def _retry_closings(connection: psycopg.Connection, acts: ActFile) -> None:
    """Closes again what was marked as missing, and whose file somebody has brought since."""
    # Of the city: once, at the start.
    if connection.execute("SELECT 1 FROM lost_closing LIMIT 1").fetchone() is None:
        return
    for act in acts.read():
        if act.kind == ActKind.CLOSING:
            with connection.transaction():
                _repeat_closing(connection, act.school, act.fields, acts.read_attachment(act))


def _repeat_suspension(connection: psycopg.Connection, school: str, fields: Mapping[str, str], _: bytes) -> None:
    try:
        schools.set_status(
            connection, fields["device"], fields["status"], since=datetime.fromisoformat(fields["since"])
        )
    except NotUnderstood:
        logger.warning("%s is not in the restored database; it stays unknown there", fields["device"])


def _repeat_registration(connection: psycopg.Connection, school: str, fields: Mapping[str, str], _: bytes) -> None:
    schools.restore_device(
        connection, school, DeviceId(fields["device"]), fields["name"], bytes.fromhex(fields["public_key"]),
        bytes.fromhex(fields["code_hash"]),
    )  # fmt: skip


def _repeat_roster(connection: psycopg.Connection, school: str, fields: Mapping[str, str], _: bytes) -> None:
    """Takes out again what was taken out: a withdrawn consent, a lost card, somebody who has left.

    What was added since comes with the next import. The number of the version goes past the old one.
    """
    names = [line.split(" ", 1) for line in fields["deleted"].splitlines()]
    rosters.apply_changes(connection, school, [DeletedRecord(deleted_type=kind, id=id_) for kind, id_ in names])
    connection.execute(
        "UPDATE school SET roster_version = greatest(roster_version, %s) WHERE school = %s",
        (int(fields["version"]), school),
    )


def _repeat_device_key(connection: psycopg.Connection, school: str, fields: Mapping[str, str], _: bytes) -> None:
    former = [bytes.fromhex(key) for key in fields["retired"].split()]
    device_keys.restore_keys(connection, school, fields["device"], bytes.fromhex(fields["public_key"]), former)


def _repeat_withdrawal(connection: psycopg.Connection, school: str, fields: Mapping[str, str], _: bytes) -> None:
    code_hash = bytes.fromhex(fields["code_hash"])
    enrolment_codes.mark_withdrawn(connection, school, code_hash, datetime.fromisoformat(fields["at"]))


def _repeat_erasure(connection: psycopg.Connection, school: str, fields: Mapping[str, str], _: bytes) -> None:
    erasure.repeat_erasure(connection, school, fields["person"], datetime.fromisoformat(fields["at"]))


def _repeat_closing(connection: psycopg.Connection, school: str, fields: Mapping[str, str], attachment: bytes) -> None:
    subject = SheetSubject(school, fields["programme"], fields["month"], int(fields["number"]))
    if not closed_sheets.restore_closing(connection, subject, fields["digest"], attachment):
        logger.error("%s was closed with digest %s, and the restored database has not got it: put its file back into"
                     " the folder of acts and start again; until then no other closes in its place",
                     subject, fields["digest"])  # fmt: skip
    if fields["month_version"]:
        closed_sheets.restore_month(
            connection, school, subject.month, int(fields["month_version"]),
            datetime.fromisoformat(fields["month_closed_at"]),
        )  # fmt: skip


def _repeat_surrogates(connection: psycopg.Connection, school: str, _: Mapping[str, str], attachment: bytes) -> None:
    surrogates.restore_surrogates(connection, school, attachment)


HANDLERS: Mapping[str, ActHandler] = {
    ActKind.SUSPENSION: _repeat_suspension,
    ActKind.REGISTRATION: _repeat_registration,
    ActKind.ROSTER: _repeat_roster,
    ActKind.DEVICE_KEY: _repeat_device_key,
    ActKind.CODE_WITHDRAWAL: _repeat_withdrawal,
    ActKind.ERASURE: _repeat_erasure,
    ActKind.SURROGATES: _repeat_surrogates,
    ActKind.CLOSING: _repeat_closing,
}
