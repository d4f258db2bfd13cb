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


_COLUMNS = "person, hand, samples, sealed, quality, made_at"


def put(connection: sqlite3.Connection, palm: SealedPalm) -> None:
    """Keep this palm in the place of what there was of the same hand."""
    if not 0 < len(palm.sealed) <= SEALED_BYTES_MAX:
        raise ValueError(f"a sealed palm of {len(palm.sealed)} bytes; 1 to {SEALED_BYTES_MAX} are kept")
    with overwriting(connection):
        connection.execute("DELETE FROM template WHERE person = ? AND hand = ?", (palm.person, palm.hand))
        connection.execute(
            f"INSERT INTO template ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            (palm.person, palm.hand, palm.samples, palm.sealed, palm.quality, time_text(palm.made_at)),
        )


def every(connection: sqlite3.Connection) -> list[SealedPalm]:
    found = connection.execute(f"SELECT {_COLUMNS} FROM template ORDER BY person, hand").fetchall()  # noqa: S608
    return [
        SealedPalm(PersonId(person), hand, samples, bytes(sealed), quality, read_time(made_at))
        for person, hand, samples, sealed, quality, made_at in found
    ]


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
    """Also of a journal that an older version left, which kept none."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'template'").fetchone() is not None:
        with overwriting(connection):
            connection.execute("DELETE FROM template")


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
            return every(connection)
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
