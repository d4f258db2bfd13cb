"""Who was seen when: the index by which the rules find earlier sightings.

Only the names of rows stand in the index; what happened is read from the event's own bytes.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import structs

from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.epochs import LoadedEpochs
from edge_agent.journal.store import Store
from sync.contract.chain import Epoch
from sync.contract.event import Entry, Event, Exit, Manual, PersonId, Refusal, Repeat, Sighting, Void

# If a sighting makes or ends a visit. The rules need all of those, and of the others only the last few: a child who
# taps a card a thousand times must neither slow the next scan nor push the entry out of sight.
_VISIT: Final[Mapping[type, int]] = {Entry: 1, Manual: 1, Exit: 1, Repeat: 0, Refusal: 0}
LAST_SIGHTINGS_MAX = 8

# CROSS JOIN fixes the order of the tables: first the index, in which the sightings of one person lie together.
SELECT_VISITS_SINCE = """
    SELECT s.epoch, s.seq, s.voided, e.payload
    FROM sighting AS s CROSS JOIN event AS e ON e.epoch = s.epoch AND e.seq = s.seq
    WHERE s.person = ? AND s.service_date >= ? AND s.visit = 1 ORDER BY s.epoch, s.seq
"""
SELECT_LAST_SIGHTINGS = """
    SELECT s.epoch, s.seq, s.voided, e.payload
    FROM sighting AS s CROSS JOIN event AS e ON e.epoch = s.epoch AND e.seq = s.seq
    WHERE s.person = ? ORDER BY s.epoch DESC, s.seq DESC LIMIT ?
"""
# The person belongs to the index's key, and so must be read from the event first.
SELECT_PAYLOAD = "SELECT payload FROM event WHERE epoch = ? AND seq = ?"
SELECT_VOIDED = "SELECT voided FROM sighting WHERE person = ? AND epoch = ? AND seq = ?"
INSERT_SIGHTING = """
    INSERT INTO sighting (person, epoch, seq, session, service_date, visit) VALUES (?, ?, ?, ?, ?, ?)
"""
UPDATE_VOIDED = "UPDATE sighting SET voided = 1 WHERE person = ? AND epoch = ? AND seq = ?"
# By the whole key: the index has no other order.
DELETE_SIGHTING = "DELETE FROM sighting WHERE person = ? AND epoch = ? AND seq = ?"


class _PersonOnly(msgspec.Struct):
    person: str = ""


_person_decoder = msgspec.json.Decoder(_PersonOnly)
_sighting_decoder = msgspec.json.Decoder(EarlierSighting)


class SightingIndex:
    """Answers what the rules ask of the journal."""

    def __init__(self, store: Store, epochs: LoadedEpochs) -> None:
        self._store = store
        self._epochs = epochs

    def read_earlier_sightings(self, person: PersonId, since: str) -> tuple[EarlierSighting, ...]:
        """Returns this person's entries and exits whose service date is `since` or later, and their last few sightings
        of any kind and date; oldest first, in the order in which they were appended."""
        rows = sorted(self._store.run(lambda connection: read_sighting_rows(connection, person, since)))
        sightings = (
            decode_sighting(self._epochs.find_epoch_id(ordinal), seq, bool(voided), payload)
            for ordinal, seq, voided, payload in rows
        )
        return tuple(sighting for sighting in sightings if sighting is not None)

    def read_sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        """Returns the sighting of this name; None where that event is none, or was never written, or was pruned."""
        ordinal = self._epochs.ordinals.get(epoch)
        payloads = self._store.read(SELECT_PAYLOAD, (ordinal, seq))
        sighting = decode_sighting(epoch, seq, False, payloads[0][0]) if payloads else None
        if sighting is None or not sighting.person:
            return sighting
        marks = self._store.read(SELECT_VOIDED, (sighting.person, ordinal, seq))
        return structs.replace(sighting, voided=bool(marks[0][0])) if marks else sighting


def read_sighting_rows(
    connection: sqlite3.Connection, person: PersonId, since: str
) -> set[tuple[int, int, int, bytes]]:
    """Returns (ordinal, seq, voided, payload) of each of this person's sightings that the rules need."""
    visits = connection.execute(SELECT_VISITS_SINCE, (person, since)).fetchall()
    return {*visits, *connection.execute(SELECT_LAST_SIGHTINGS, (person, LAST_SIGHTINGS_MAX))}


def index_event(
    connection: sqlite3.Connection, ordinal: int, seq: int, event: Event, ordinals: Mapping[Epoch, int]
) -> None:
    """Enters an event that was just appended; a void marks the sighting that it takes back.

    `ordinals` has every epoch's ordinal by its id.
    """
    if isinstance(event, Sighting):
        if event.person:
            connection.execute(
                INSERT_SIGHTING,
                (event.person, ordinal, seq, event.session, event.service_date, _VISIT[type(event)]),
            )
    elif isinstance(event, Void):
        connection.execute(UPDATE_VOIDED, (event.person, ordinals.get(Epoch(event.void_epoch)), event.void_seq))


def remove_from_index(connection: sqlite3.Connection, ordinal: int, rows: Iterable[tuple[int, bytes]]) -> None:
    """Takes the events of these rows, (seq, payload), out of the index."""
    connection.executemany(
        DELETE_SIGHTING,
        ((person, ordinal, seq) for seq, payload in rows if (person := _read_person(payload))),
    )


def _read_person(payload: bytes) -> str:
    """Returns the person of an event, also of one that a later version made and indexed; empty without one."""
    try:
        return _person_decoder.decode(payload).person
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def decode_sighting(epoch: Epoch, seq: int, voided: bool, payload: bytes) -> EarlierSighting | None:
    """Returns the sighting in these bytes; None for an event of another kind, or of a later version of the agent."""
    try:
        sighting = _sighting_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return structs.replace(sighting, epoch=epoch, seq=seq, voided=voided)
