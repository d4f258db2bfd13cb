"""Officers, and their signed decisions about claims.

A decision is signed where the officer's private key is; here it is checked, stored and counted. Each time that days are
judged the signatures are checked again: who can write the tables cannot decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg

from sync.contract.event import Claim
from sync.contract.reversals import BadReversal, Reversal, verify_reversal
from sync.contract.visit import EventId
from sync.ledger.billing import terms
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.day_marks import change_basis, mark_dirty
from sync.ledger.registry.free_text import refuse_names

ROLES = ("school", "city", "caterer", "auditor")
DECIDING_ROLES = ("school", "city")  # who is paid by a claim, or audits it, does not decide about it


@dataclass(frozen=True, slots=True)
class Officer:
    """A named person with a registered key."""

    officer: str
    name: str
    role: str
    public_key: bytes
    retired_at: datetime | None


def add_officer(
    connection: psycopg.Connection, school: str, officer: str, *, name: str, role: str, public_key: bytes, now: datetime
) -> None:
    """Registers an officer's public key for a school. Raises NotUnderstood."""
    if role not in ROLES:
        raise NotUnderstood(f"{role!r} is no role: choose one of {', '.join(ROLES)}")
    if not officer.strip() or not name.strip():
        raise NotUnderstood("an officer has an id and a name: give both")
    try:
        connection.execute(
            "INSERT INTO officer (school, officer, public_key, name, role, added_at) VALUES (%s, %s, %s, %s, %s, %s)",
            (school, officer, public_key, name, role, now),
        )
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotUnderstood(f"no school {school!r}: add it with `edge-agent ledger school`") from error
    except psycopg.errors.UniqueViolation as error:
        raise NotUnderstood(f"officer {officer} has this key already") from error


def retire_officer(connection: psycopg.Connection, school: str, officer: str, now: datetime) -> None:
    """Ends an officer's right to decide; earlier decisions stay. Raises NotUnderstood."""
    done = connection.execute(
        "UPDATE officer SET retired_at = %s WHERE school = %s AND officer = %s AND retired_at IS NULL",
        (now, school, officer),
    )
    if not done.rowcount:
        raise NotUnderstood(f"no officer {officer!r} of school {school} with a key in force")


def list_officers(connection: psycopg.Connection, school: str) -> list[Officer]:
    """Returns the officers of a school, the retired ones included."""
    rows = connection.execute(
        "SELECT officer, name, role, public_key, retired_at FROM officer WHERE school = %s ORDER BY officer, added_at",
        (school,),
    )
    return [Officer(officer, name, role, bytes(key), retired_at) for officer, name, role, key, retired_at in rows]


def find_officer(connection: psycopg.Connection, school: str, public_key: bytes) -> Officer:
    """Returns the officer of a school who may decide with this key. Raises NotUnderstood."""
    for officer in list_officers(connection, school):
        if officer.public_key == public_key and officer.retired_at is None:
            if officer.role not in DECIDING_ROLES:
                raise NotUnderstood(f"{officer.officer} has the role {officer.role}, which decides about no claim")
            return officer
    raise NotUnderstood(f"this key is no officer's of school {school}: see `edge-agent ledger officer add`")


def store_reversal(
    connection: psycopg.Connection, body: bytes, signature: bytes, public_key: bytes, now: datetime
) -> Reversal:
    """Stores a signed decision and marks its entry's day. The same one again changes nothing. Raises NotUnderstood."""
    try:
        reversal = verify_reversal(body, signature, public_key)
    except BadReversal as error:
        raise NotUnderstood(str(error)) from error
    officer = find_officer(connection, reversal.school, public_key)
    if officer.officer != reversal.officer:
        raise NotUnderstood(f"it names the officer {reversal.officer}, and {officer.officer} has signed it")
    refuse_names(connection, reversal.school, reversal.reason)
    entry = (reversal.school, *reversal.event)
    with connection.transaction():
        change_basis(
            connection, reversal.school, ()
        )  # first: it waits for a settling, and then that one's visits count
        judged = connection.execute(
            "SELECT day, CASE programme WHEN '' THEN recorded_programme ELSE programme END FROM visit"
            " WHERE school = %s AND device = %s AND epoch = %s AND seq = %s",
            entry,
        ).fetchall()
        if not judged:
            raise NotUnderstood(
                f"no judged entry {'/'.join(map(str, reversal.event))}: settle its day first; if that is done, a"
                " terminal has told later what makes it a repeat"
            )
        _check_payer(connection, reversal, judged[0][1])
        numbered = connection.execute(
            "SELECT number, body FROM reversal WHERE school = %s AND device = %s AND epoch = %s AND seq = %s"
            " ORDER BY number DESC LIMIT 1",
            entry,
        ).fetchone()
        if numbered is not None and bytes(numbered[1]) == body:
            return reversal
        connection.execute(
            "INSERT INTO reversal (school, device, epoch, seq, number, body, signature, public_key, received_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (*entry, numbered[0] + 1 if numbered else 1, body, signature, public_key, now),
        )
        mark_dirty(connection, reversal.school, [row[0] for row in judged])
    return reversal


def _check_payer(connection: psycopg.Connection, reversal: Reversal, judged: str) -> None:
    """Raises NotUnderstood for a meal that would be billed by no sheet. `judged`: the entry's programme so far."""
    payer = reversal.programme or judged
    if not reversal.programme and reversal.claim is not Claim.CLAIMABLE:
        return
    if not payer:
        raise NotUnderstood("nobody pays for this meal by the roster: say who does with --programme")
    if not _is_programme(connection, reversal.school, payer):
        raise NotUnderstood(
            f"{payer!r} is no programme of school {reversal.school}",
            "give one of its tariffs or of its roster with --programme",
        )


def _is_programme(connection: psycopg.Connection, school: str, programme: str) -> bool:
    if terms.find_programme(connection, school, programme) is not None:
        return True
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM roster_record WHERE school = %s AND type = 'programme' AND id = %s"
        " AND superseded IS NULL AND body IS NOT NULL)",
        (school, programme),
    ).fetchone()
    return row == (True,)


def read_reversals(connection: psycopg.Connection, school: str) -> Mapping[EventId, Reversal]:
    """Returns the newest decision about each entry whose signature is an officer's. See `list_broken_reversals`."""
    return {event_id: reversal for event_id, reversal in _read_newest(connection, school) if reversal is not None}


def list_broken_reversals(connection: psycopg.Connection, school: str) -> list[EventId]:
    """Returns the entries whose newest decision no officer has signed: somebody has written it into the table."""
    return [event_id for event_id, reversal in _read_newest(connection, school) if reversal is None]


def _read_newest(connection: psycopg.Connection, school: str) -> list[tuple[EventId, Reversal | None]]:
    keys = {
        officer.public_key: officer.officer
        for officer in list_officers(connection, school)
        if officer.role in DECIDING_ROLES
    }
    rows = connection.execute(
        "SELECT DISTINCT ON (device, epoch, seq) device, epoch, seq, body, signature, public_key FROM reversal"
        " WHERE school = %s ORDER BY device, epoch, seq, number DESC",
        (school,),
    )
    return [
        (EventId(device, epoch, seq), _read_reversal(school, EventId(device, epoch, seq), keys, body, signature, key))
        for device, epoch, seq, body, signature, key in rows
    ]


def _read_reversal(
    school: str, event_id: EventId, keys: Mapping[bytes, str], body: bytes, signature: bytes, public_key: bytes
) -> Reversal | None:
    officer = keys.get(bytes(public_key))
    try:
        reversal = verify_reversal(bytes(body), bytes(signature), bytes(public_key))
    except BadReversal:
        return None
    fits = (reversal.school, reversal.event, reversal.officer) == (school, event_id, officer)
    return reversal if fits else None
