"""Who was seen when: the index by which the rules' questions find their events.

Only names of rows are kept here; what happened is read from the event's own bytes.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import structs

from edge_agent.domain.sighting import EarlierSighting
from sync.contract.chain import Epoch
from sync.contract.event import (
    Entry,
    Event,
    Exit,
    Manual,
    PersonId,
    Refusal,
    Repeat,
    Sighting,
    Void,
)

# Whether it makes or ends a visit. The rules need all of these, and of the others only the last few: a child who taps
# a card a thousand times must neither slow the next scan nor push the entry out of sight.
LAST_OTHERS = 8
_VISIT: Final[Mapping[type, int]] = {Entry: 1, Manual: 1, Exit: 1, Repeat: 0, Refusal: 0}

_SELECT = (
    "SELECT s.epoch, s.seq, s.voided, e.payload FROM sighting AS s CROSS JOIN event AS e"
    " ON e.epoch = s.epoch AND e.seq = s.seq WHERE s.person = ?"
)
VISITS_SINCE = _SELECT + " AND s.service_date >= ? AND s.visit = 1 ORDER BY s.epoch, s.seq"
LAST = _SELECT + " ORDER BY s.epoch DESC, s.seq DESC LIMIT ?"
ONE = _SELECT + " AND s.epoch = ? AND s.seq = ?"


def before(connection: sqlite3.Connection, person: PersonId, since: str) -> set[tuple[int, int, int, bytes]]:
    """Epoch, seq, whether it was voided, and the payload of each of this person's sightings that the rules need."""
    visits = connection.execute(VISITS_SINCE, (person, since)).fetchall()
    return {*visits, *connection.execute(LAST, (person, LAST_OTHERS))}


def note(connection: sqlite3.Connection, ordinal: int, seq: int, event: Event, ordinals: Mapping[Epoch, int]) -> None:
    """Enter one event that was just appended. `ordinals`: the epochs by their id."""
    if isinstance(event, Sighting):
        if event.person:
            connection.execute(
                "INSERT INTO sighting (person, epoch, seq, session, service_date, visit) VALUES (?, ?, ?, ?, ?, ?)",
                (event.person, ordinal, seq, event.session, event.service_date, _VISIT[type(event)]),
            )
    elif isinstance(event, Void):
        connection.execute(
            "UPDATE sighting SET voided = 1 WHERE person = ? AND epoch = ? AND seq = ?",
            (event.person, ordinals.get(Epoch(event.void_epoch)), event.void_seq),
        )


class _Whose(msgspec.Struct):
    person: str = ""


_whose = msgspec.json.Decoder(_Whose)


def forget(connection: sqlite3.Connection, ordinal: int, found: Iterable[tuple[int, bytes]]) -> None:
    """Take these events, (seq, payload), out of the index. By their names: the index has no other order."""
    connection.executemany(
        "DELETE FROM sighting WHERE person = ? AND epoch = ? AND seq = ?",
        ((person, ordinal, seq) for seq, payload in found if (person := _person(payload))),
    )


def _person(payload: bytes) -> str:
    """Also of events that a later version made and indexed."""
    try:
        return _whose.decode(payload).person
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


_past = msgspec.json.Decoder(EarlierSighting)


def past(epoch: Epoch, seq: int, voided: bool, payload: bytes) -> EarlierSighting | None:
    """The sighting in these bytes; None when a later version of the agent made them and this one cannot tell."""
    try:
        kept = _past.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return structs.replace(kept, epoch=epoch, seq=seq, voided=voided)
