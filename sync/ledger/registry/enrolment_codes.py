"""The one-time codes of a school as its operator sees them, and their withdrawal. No code is shown twice."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg

from sync.ledger.errors import NotUnderstood
from sync.ledger.recovery.acts import ActKind, note_act

_NAME_DIGITS = 12  # of the code's hash, in hex: what the operator calls it by


class CodeState(StrEnum):
    """The states of a code. Only a waiting one gives an identity."""

    WAITING = "waiting"
    USED = "used"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class EnrolmentCode:
    """A code, by the beginning of its hash. `device`: the kiosk that has used it, else empty."""

    name: str
    kiosk: str  # as it was named when the code was made
    created_at: datetime
    expires_at: datetime
    device: str
    state: CodeState


def list_codes(connection: psycopg.Connection, school: str, now: datetime) -> list[EnrolmentCode]:
    """Returns the codes of a school, the newest first."""
    rows = connection.execute(
        "SELECT code_hash, device_name, created_at, expires_at, coalesce(device, ''), withdrawn_at IS NOT NULL"
        " FROM enrolment_code WHERE school = %s ORDER BY created_at DESC, code_hash",
        (school,),
    )
    return [
        EnrolmentCode(
            bytes(code_hash).hex()[:_NAME_DIGITS], kiosk, created_at, expires_at, device,
            _judge(device, is_withdrawn, expires_at, now),
        )
        for code_hash, kiosk, created_at, expires_at, device, is_withdrawn in rows
    ]  # fmt: skip


def _judge(device: str, is_withdrawn: bool, expires_at: datetime, now: datetime) -> CodeState:
    if device:
        return CodeState.USED
    if is_withdrawn:
        return CodeState.WITHDRAWN
    return CodeState.EXPIRED if now >= expires_at else CodeState.WAITING


def withdraw_code(connection: psycopg.Connection, school: str, name: str, now: datetime) -> None:
    """Withdraws a code that nobody has used. Raises NotUnderstood for a used or an unknown one.

    `name`: as `list_codes` gives it.
    """
    with connection.transaction():
        rows = connection.execute(
            "SELECT code_hash, device FROM enrolment_code WHERE school = %s AND left(encode(code_hash, 'hex'), %s) = %s"
            " FOR UPDATE",
            (school, _NAME_DIGITS, name),
        ).fetchall()
        if len(rows) != 1:
            raise NotUnderstood(f"no code {name!r} in {school}: see `edge-agent ledger codes {school}`")
        code_hash, device = bytes(rows[0][0]), rows[0][1]
        if device is not None:
            raise NotUnderstood(
                f"code {name} was used by {device}: suspend the kiosk with `edge-agent ledger suspend {device}`"
            )
        mark_withdrawn(connection, school, code_hash, now)
        note_act(connection, ActKind.CODE_WITHDRAWAL, school, {"code_hash": code_hash.hex(), "at": now.isoformat()})


def mark_withdrawn(connection: psycopg.Connection, school: str, code_hash: bytes, now: datetime) -> None:
    """Marks a code as withdrawn, once."""
    connection.execute(
        "UPDATE enrolment_code SET withdrawn_at = coalesce(withdrawn_at, %s) WHERE school = %s AND code_hash = %s",
        (now, school, code_hash),
    )
