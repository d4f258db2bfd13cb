"""Palms at rest. The journal's file keeps them because one transaction must hold a withdrawal and what it deletes.

What is deleted is overwritten (`secure_delete`); what a worn flash cell still holds is sealed, and without the
school's key it is noise.
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
from sync.contract.consents import consenting
from sync.contract.event import PersonId
from sync.contract.roster import from_json
from sync.contract.wire import read_time, time_text

SEALED_BYTES_MAX = 64 * 1024


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
class TakenBack:
    """A hand that was known here and is not any more, by a technician's word; the ledger has not heard of it."""

    person: PersonId
    hand: str
    at: str


_OLD_COLUMNS = "person, hand, samples, sealed, quality, made_at"
_COLUMNS = f"{_OLD_COLUMNS}, relayed"


def put(connection: sqlite3.Connection, palm: SealedPalm) -> None:
    """Keep this palm in the place of what there was of the same hand."""
    if not 0 < len(palm.sealed) <= SEALED_BYTES_MAX:
        raise ValueError(f"a sealed palm of {len(palm.sealed)} bytes; 1 to {SEALED_BYTES_MAX} are kept")
    with overwriting(connection):
        connection.execute("DELETE FROM template WHERE person = ? AND hand = ?", (palm.person, palm.hand))
        connection.execute(
            f"INSERT INTO template ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (palm.person, palm.hand, palm.samples, palm.sealed, palm.quality, time_text(palm.made_at), palm.relayed),
        )
        connection.execute("DELETE FROM taken_back WHERE person = ? AND hand = ?", (palm.person, palm.hand))


def every(connection: sqlite3.Connection, columns: str = _COLUMNS) -> list[SealedPalm]:
    found = connection.execute(f"SELECT {columns} FROM template ORDER BY person, hand").fetchall()  # noqa: S608
    return [_palm(*row) for row in found]


def _palm(
    person: str, hand: str, samples: int, sealed: bytes, quality: int, made_at: str, relayed: int = 0
) -> SealedPalm:
    return SealedPalm(PersonId(person), hand, samples, bytes(sealed), quality, read_time(made_at), bool(relayed))


def pending(connection: sqlite3.Connection) -> SealedPalm | TakenBack | None:
    """One that the ledger does not know of."""
    gone = connection.execute("SELECT person, hand, at FROM taken_back LIMIT 1").fetchone()
    if gone is not None:
        return TakenBack(*gone)
    row = connection.execute(f"SELECT {_COLUMNS} FROM template WHERE relayed = 0 LIMIT 1").fetchone()  # noqa: S608
    return None if row is None else _palm(*row)


def relayed(connection: sqlite3.Connection, palm: SealedPalm | TakenBack) -> None:
    """The ledger knows of this one. Of another that has taken its place meanwhile it does not."""
    match palm:
        case SealedPalm():
            connection.execute(
                "UPDATE template SET relayed = 1 WHERE person = ? AND hand = ? AND made_at = ?",
                (palm.person, palm.hand, time_text(palm.made_at)),
            )
        case TakenBack():
            connection.execute(
                "DELETE FROM taken_back WHERE person = ? AND hand = ? AND at = ?", (palm.person, palm.hand, palm.at)
            )
        case _:
            assert_never(palm)


def relay_version(connection: sqlite3.Connection, fingerprint: str) -> int:
    """How far the ledger's palms were taken over under this key; 0 under another one."""
    row = connection.execute("SELECT version FROM palm_relay WHERE fingerprint = ?", (fingerprint,)).fetchone()
    return int(row[0]) if row else 0


def note_version(connection: sqlite3.Connection, version: int, fingerprint: str) -> None:
    """A version that goes back is of a ledger that was restored: what it had then is to be sent again."""
    if version < relay_version(connection, fingerprint):
        connection.execute("UPDATE template SET relayed = 0")
    connection.execute(
        "INSERT INTO palm_relay (one, version, fingerprint) VALUES (1, ?, ?)"
        " ON CONFLICT (one) DO UPDATE SET version = excluded.version, fingerprint = excluded.fingerprint",
        (version, fingerprint),
    )


def take(connection: sqlite3.Connection, palms: Collection[SealedPalm]) -> list[SealedPalm]:
    """Keep palms of other kiosks as far as the roster in this database allows it; those that were.

    Of the ledger's (`relayed`), its order decides, but what was made here and has not been sent comes after it; of a
    stick's the younger one stays.
    """
    if not palms:
        return []
    consenting_ = _consenting(connection)
    taken = []
    for palm in palms:
        there = connection.execute(
            "SELECT made_at, relayed FROM template WHERE person = ? AND hand = ?", (palm.person, palm.hand)
        ).fetchone()
        made_at = time_text(palm.made_at)
        fresh = there is None or (there[0] != made_at and bool(there[1]) if palm.relayed else there[0] < made_at)
        if palm.person in consenting_ and fresh:
            put(connection, palm)
            taken.append(palm)
    return taken


def delete_hands(connection: sqlite3.Connection, hands: Collection[tuple[PersonId, str]]) -> dict[PersonId, int]:
    """Remove what another kiosk has taken back, unless it was made known here anew; how many samples of each person."""
    gone: dict[PersonId, int] = {}
    with overwriting(connection):
        for person, hand in sorted(hands):
            row = connection.execute(
                "DELETE FROM template WHERE person = ? AND hand = ? AND relayed = 1 RETURNING samples", (person, hand)
            ).fetchone()
            if row is not None:
                gone[person] = gone.get(person, 0) + row[0]
    return gone


def take_back(connection: sqlite3.Connection, person: PersonId, at: str) -> None:
    """Note, before a technician's deletion, that the ledger must hear of it."""
    connection.execute(
        "INSERT OR REPLACE INTO taken_back (person, hand, at) SELECT person, hand, ? FROM template WHERE person = ?",
        (at, person),
    )


def delete(connection: sqlite3.Connection, people: Collection[PersonId]) -> dict[PersonId, int]:
    """Remove all that is kept of these people; how many samples of each there were."""
    with overwriting(connection):
        gone: dict[PersonId, int] = {}
        for person in sorted(people):
            (samples,) = connection.execute(
                "SELECT coalesce(sum(samples), 0) FROM template WHERE person = ?", (person,)
            ).fetchone()
            connection.execute("DELETE FROM template WHERE person = ?", (person,))
            if samples:
                gone[person] = samples
        return gone


def delete_all(connection: sqlite3.Connection) -> None:
    """Also of a journal that an older version left, which kept none. How far the ledger's were taken over goes too:
    they are to be asked for again."""
    with overwriting(connection):
        for table in ("template", "taken_back", "palm_relay"):
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608


def need_consent(connection: sqlite3.Connection, person: PersonId) -> None:
    """Raises `NoConsent` unless the roster in this database says that this person has agreed."""
    if person not in _consenting(connection):
        raise NoConsent(f"{person} is not on the roster, or has not agreed to the palm: nothing was kept; use a card")


def delete_without_consent(connection: sqlite3.Connection) -> Mapping[PersonId, int]:
    """Remove the palms of everybody who, by the roster in this database, is gone or has not agreed (any more)."""
    people = {PersonId(person) for (person,) in connection.execute("SELECT DISTINCT person FROM template")}
    if not people:
        return {}
    return delete(connection, people - _consenting(connection))


def _consenting(connection: sqlite3.Connection) -> frozenset[str]:
    """A record of the roster that cannot be read agrees to nothing."""
    records = []
    for (record,) in connection.execute("SELECT record FROM roster WHERE type IN ('person', 'consent')"):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            records.append(from_json(bytes(record)))
    return consenting(records)


def rescue(path: Path) -> list[SealedPalm]:
    """What can be read of a journal that was set aside; the seal shows whether it is what was kept."""
    try:
        with closing(connect_read_only(path)) as connection:
            known = {row[1] for row in connection.execute("PRAGMA table_info(template)")}
            return every(connection, _COLUMNS if "relayed" in known else _OLD_COLUMNS)
    except (*STORE_ERRORS, ValueError):
        return []


@contextmanager
def overwriting(connection: sqlite3.Connection) -> Iterator[None]:
    """What is deleted here is filled with zeros. Not always on: pruned events would be written twice for nothing."""
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        yield
    finally:
        connection.execute("PRAGMA secure_delete = OFF").fetchall()
