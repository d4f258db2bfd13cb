"""Palms at rest. They lie in the journal's file because one transaction must hold a withdrawal and its deletions.

Deleted palms are overwritten (`secure_delete`). A worn flash cell may still hold one: sealed, and without the school's
key nothing but noise.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import assert_never

import msgspec

from edge_agent.journal.errors import STORE_ERRORS, NoConsent
from edge_agent.journal.store import connect_read_only
from sync.contract.consents import consenting_people
from sync.contract.event import PersonId
from sync.contract.roster import from_json
from sync.contract.wire import read_time, time_text

SEALED_BYTES_MAX = 64 * 1024

SELECT_PALMS = """
    SELECT person, hand, samples, sealed, quality, made_at, relayed FROM template ORDER BY person, hand
"""
# A journal that an older version left has no column `relayed`.
SELECT_PALMS_BEFORE_RELAY = """
    SELECT person, hand, samples, sealed, quality, made_at FROM template ORDER BY person, hand
"""
SELECT_COLUMNS = "PRAGMA table_info(template)"
SELECT_PALM_AGE = "SELECT made_at, relayed FROM template WHERE person = ? AND hand = ?"
SELECT_UNRELAYED_PALM = """
    SELECT person, hand, samples, sealed, quality, made_at, relayed FROM template WHERE relayed = 0 AND person = ?
    LIMIT 1
"""
SELECT_UNRELAYED_PEOPLE = "SELECT DISTINCT person FROM template WHERE relayed = 0 ORDER BY person"
SELECT_ROSTER_CONSENTS = "SELECT record FROM roster WHERE type IN ('person', 'consent')"
SELECT_PEOPLE = "SELECT DISTINCT person FROM template"
SELECT_SAMPLES = "SELECT coalesce(sum(samples), 0) FROM template WHERE person = ?"
INSERT_PALM = """
    INSERT INTO template (person, hand, samples, sealed, quality, made_at, relayed) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
# Not if the palm was replaced meanwhile: the ledger does not know the newer one.
UPDATE_RELAYED = "UPDATE template SET relayed = 1 WHERE person = ? AND hand = ? AND made_at = ?"
UPDATE_ALL_UNRELAYED = "UPDATE template SET relayed = 0"
SELECT_HANDS = "SELECT person, hand FROM template ORDER BY person, hand"
DELETE_PALM = "DELETE FROM template WHERE person = ? AND hand = ?"
DELETE_PALMS_BY_PERSON = "DELETE FROM template WHERE person = ?"
# Not a palm that was enrolled here again and is not with the ledger yet.
DELETE_RELAYED_PALM = "DELETE FROM template WHERE person = ? AND hand = ? AND relayed = 1 RETURNING samples"

SELECT_REVOKED_PALM = "SELECT person, hand, at FROM taken_back LIMIT 1"
INSERT_REVOKED_PALMS = """
    INSERT OR REPLACE INTO taken_back (person, hand, at) SELECT person, hand, ? FROM template WHERE person = ?
"""
DELETE_REVOKED_PALM = "DELETE FROM taken_back WHERE person = ? AND hand = ?"
# Not if the palm was revoked again meanwhile: the ledger does not know of the second time.
DELETE_RELAYED_REVOKED_PALM = "DELETE FROM taken_back WHERE person = ? AND hand = ? AND at = ?"

SELECT_RELAY_VERSION = "SELECT version FROM palm_relay WHERE fingerprint = ?"
UPSERT_RELAY_VERSION = """
    INSERT INTO palm_relay (one, version, fingerprint) VALUES (1, ?, ?)
    ON CONFLICT (one) DO UPDATE SET version = excluded.version, fingerprint = excluded.fingerprint
"""

# Only the kinds of record that decide about consent, and what was noted at the desk.
SELECT_CONSENT_RECORDS = """
    SELECT record FROM roster WHERE type IN ('person', 'consent') UNION ALL SELECT record FROM desk_consent
"""

# Each table with the statement that empties it; an older version's journal does not have all of them.
SELECT_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
EMPTY_TABLES = {
    "template": "DELETE FROM template",
    "taken_back": "DELETE FROM taken_back",
    "palm_relay": "DELETE FROM palm_relay",
}


@dataclass(frozen=True, slots=True)
class SealedPalm:
    """One hand of one person, as it lies on the disk."""

    person: PersonId
    hand: str  # left, right, unknown
    samples: int
    sealed: bytes = field(repr=False)
    quality: int  # 0 to 100, of the worst sample
    made_at: datetime
    relayed: bool = False  # the ledger has it, for the school's other kiosks


@dataclass(frozen=True, slots=True)
class RevokedPalm:
    """A hand that a technician took back here; the ledger does not know of it yet."""

    person: PersonId
    hand: str
    revoked: str  # UTC, as in events: `2026-09-01T04:40:00.000Z`


def put_palm(connection: sqlite3.Connection, palm: SealedPalm) -> None:
    """Stores this palm in the place of an older one of the same hand. Raises ValueError for one of a wrong size."""
    if not 0 < len(palm.sealed) <= SEALED_BYTES_MAX:
        raise ValueError(f"a sealed palm of {len(palm.sealed)} bytes; 1 to {SEALED_BYTES_MAX} are kept")
    hand = (palm.person, palm.hand)
    with overwriting_deletions(connection):
        connection.execute(DELETE_PALM, hand)
        connection.execute(
            INSERT_PALM, (*hand, palm.samples, palm.sealed, palm.quality, time_text(palm.made_at), palm.relayed)
        )
        connection.execute(DELETE_REVOKED_PALM, hand)


def read_palms(connection: sqlite3.Connection, query: str = SELECT_PALMS) -> list[SealedPalm]:
    """Returns every palm, by person and hand."""
    return [_palm_from_row(*row) for row in connection.execute(query).fetchall()]


def _palm_from_row(
    person: str, hand: str, samples: int, sealed: bytes, quality: int, made_at: str, relayed: int = 0
) -> SealedPalm:
    return SealedPalm(PersonId(person), hand, samples, bytes(sealed), quality, read_time(made_at), bool(relayed))


def read_unrelayed_palm(connection: sqlite3.Connection) -> SealedPalm | RevokedPalm | None:
    """Returns one palm of which the ledger does not know, a revoked one first; None when it knows of all."""
    revoked = connection.execute(SELECT_REVOKED_PALM).fetchone()
    if revoked is not None:
        return RevokedPalm(*revoked)
    waiting = [person for (person,) in connection.execute(SELECT_UNRELAYED_PEOPLE).fetchall()]
    if not waiting:
        return None
    # One whose consent was noted at this desk waits for the roster that has it: the ledger would not keep the palm.
    records = (from_json(bytes(record)) for (record,) in connection.execute(SELECT_ROSTER_CONSENTS).fetchall())
    agreed = consenting_people(records)
    person = next((person for person in waiting if person in agreed), None)
    if person is None:
        return None
    return _palm_from_row(*connection.execute(SELECT_UNRELAYED_PALM, (person,)).fetchone())


def mark_palm_relayed(connection: sqlite3.Connection, palm: SealedPalm | RevokedPalm) -> None:
    """Notes that the ledger knows of this one; a later palm of the same hand stays as it is."""
    match palm:
        case SealedPalm():
            connection.execute(UPDATE_RELAYED, (palm.person, palm.hand, time_text(palm.made_at)))
        case RevokedPalm():
            connection.execute(DELETE_RELAYED_REVOKED_PALM, (palm.person, palm.hand, palm.revoked))
        case _:
            assert_never(palm)


def read_merged_palm_version(connection: sqlite3.Connection, fingerprint: str) -> int:
    row = connection.execute(SELECT_RELAY_VERSION, (fingerprint,)).fetchone()
    return int(row[0]) if row else 0


def write_merged_palm_version(connection: sqlite3.Connection, version: int, fingerprint: str) -> None:
    """Notes how far the ledger's palms were taken over under this school key.

    A version below the noted one comes from a ledger that was restored: it may lack every palm, so all are sent again.
    """
    if version < read_merged_palm_version(connection, fingerprint):
        connection.execute(UPDATE_ALL_UNRELAYED)
    connection.execute(UPSERT_RELAY_VERSION, (version, fingerprint))


def accept_allowed_palms(connection: sqlite3.Connection, palms: Collection[SealedPalm]) -> list[SealedPalm]:
    """Stores palms of other kiosks as far as the roster in force allows it; returns those that were stored.

    Between two palms of one hand: among the ledger's (`relayed`) its order decides, but a palm that was enrolled here
    and is not sent yet comes after them. Of a stick's palm and the one here the younger one stays.
    """
    if not palms:
        return []
    consenting_people = read_consenting_people(connection)
    accepted = []
    for palm in palms:
        present = connection.execute(SELECT_PALM_AGE, (palm.person, palm.hand)).fetchone()
        if palm.person in consenting_people and (present is None or _replaces(palm, *present)):
            put_palm(connection, palm)
            accepted.append(palm)
    return accepted


def _replaces(palm: SealedPalm, present_time: str, present_relayed: int) -> bool:
    made_at = time_text(palm.made_at)
    if palm.relayed:
        return present_time != made_at and bool(present_relayed)
    return present_time < made_at


def delete_relayed_hands(
    connection: sqlite3.Connection, hands: Collection[tuple[PersonId, str]]
) -> dict[PersonId, int]:
    """Deletes hands that another kiosk revoked, unless they were enrolled here again since.

    Returns the number of samples deleted, by person.
    """
    deleted: dict[PersonId, int] = {}
    with overwriting_deletions(connection):
        for person, hand in sorted(hands):
            row = connection.execute(DELETE_RELAYED_PALM, (person, hand)).fetchone()
            if row is not None:
                deleted[person] = deleted.get(person, 0) + row[0]
    return deleted


def delete_palms_by_person(connection: sqlite3.Connection, people: Collection[PersonId]) -> dict[PersonId, int]:
    """Deletes every palm of these people; returns the number of samples deleted, by person."""
    deleted: dict[PersonId, int] = {}
    with overwriting_deletions(connection):
        for person in sorted(people):
            (samples,) = connection.execute(SELECT_SAMPLES, (person,)).fetchone()
            connection.execute(DELETE_PALMS_BY_PERSON, (person,))
            if samples:
                deleted[person] = samples
    return deleted


def delete_everything(connection: sqlite3.Connection) -> None:
    """Deletes all palms, and how far the ledger's were taken over: whoever opens this copy must ask for them again.

    Works on a journal of an older version, too, which does not have all of the tables.
    """
    with overwriting_deletions(connection):
        for table, statement in EMPTY_TABLES.items():
            if connection.execute(SELECT_TABLE, (table,)).fetchone() is not None:
                connection.execute(statement)


def require_consent(connection: sqlite3.Connection, person: PersonId) -> None:
    """Raises `NoConsent` unless the roster in this database says that this person has agreed."""
    if person not in read_consenting_people(connection):
        raise NoConsent(f"{person} is not on the roster, or has not agreed to the palm: nothing was kept; use a card")


def delete_palms_without_consent(connection: sqlite3.Connection) -> Mapping[PersonId, int]:
    """Deletes the palms of everybody who is not on the roster in this database, or whose consent is not in force.

    Returns the number of samples deleted, by person.
    """
    people = {PersonId(person) for (person,) in connection.execute(SELECT_PEOPLE)}
    if not people:
        return {}
    return delete_palms_by_person(connection, people - read_consenting_people(connection))


def read_consenting_people(connection: sqlite3.Connection) -> frozenset[str]:
    """Returns who has agreed to the palm. A record of the roster that cannot be read agrees to nothing."""
    records = []
    for (record,) in connection.execute(SELECT_CONSENT_RECORDS):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            records.append(from_json(bytes(record)))
    return consenting_people(records)


def rescue_palms(path: Path) -> list[SealedPalm]:
    """Reads the palms of a journal that was set aside, as far as it can be read; each seal proves its palm."""
    try:
        with closing(connect_read_only(path)) as connection:
            columns = {row[1] for row in connection.execute(SELECT_COLUMNS)}
            return read_palms(connection, SELECT_PALMS if "relayed" in columns else SELECT_PALMS_BEFORE_RELAY)
    except (*STORE_ERRORS, ValueError):
        return []


@contextmanager
def overwriting_deletions(connection: sqlite3.Connection) -> Iterator[None]:
    """Has SQLite fill deleted rows with zeros. Not always on: pruned events would be written twice for nothing."""
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        yield
    finally:
        connection.execute("PRAGMA secure_delete = OFF").fetchall()
