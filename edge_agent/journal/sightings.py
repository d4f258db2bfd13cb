"""Who was seen when: the index by which the rules find earlier sightings.

Only the names of rows stand in the index; what happened is read from the event's own bytes.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

import msgspec
from msgspec import structs

from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.code_uses import note_code_use
from edge_agent.journal.epochs import LoadedEpochs
from edge_agent.journal.store import Store
from edge_agent.journal.terminal_runs import note_run
from sync.contract.chain import Epoch
from sync.contract.event import (
    Carried,
    ClockStep,
    Entry,
    Event,
    Exit,
    GuestMeals,
    Manual,
    PersonId,
    Refusal,
    Repeat,
    Sighting,
    UnreadableEvent,
    Void,
    decode,
)
from sync.contract.wire import InvalidMessage, read_time

# If a sighting makes or ends a visit. The rules need all of those, and of the others only the last few: a child who
# taps a card a thousand times must neither slow the next scan nor push the entry out of sight.
_VISIT: Final[Mapping[type, int]] = {Entry: 1, Manual: 1, Exit: 1, Repeat: 0, Refusal: 0}
LAST_SIGHTINGS_MAX = 8
NOBODY: Final = PersonId("")  # under whom the index has meals of guests

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
# Events of an epoch that is not in this file, by their old names. Some come twice: after a crash, or from two journals.
INSERT_CARRIED = "INSERT INTO carried (old_epoch, old_seq, epoch, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
SELECT_CARRIED = "SELECT epoch, seq FROM carried WHERE old_epoch = ? AND old_seq = ?"
DELETE_CARRIED = "DELETE FROM carried WHERE old_epoch = ? AND old_seq = ? AND epoch = ? AND seq = ?"
CARRIED_DAYS_INDEXED = 3  # an older sighting must not push a newer one out of the last few
# By the whole key: the index has no other order.
DELETE_SIGHTING = "DELETE FROM sighting WHERE person = ? AND epoch = ? AND seq = ?"


class _IndexedNames(msgspec.Struct):
    """The names under which an event is indexed; of a carried one, its old name and its bytes."""

    person: str = ""
    old_epoch: str = ""
    old_seq: int = 0
    payload: str = ""


_names_decoder = msgspec.json.Decoder(_IndexedNames)
_carried_decoder = msgspec.json.Decoder(Carried)
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
        place = self._store.run(lambda connection: find_place(connection, epoch, seq, self._epochs.ordinals))
        payloads = self._store.read(SELECT_PAYLOAD, place)
        sighting = decode_sighting(epoch, seq, False, payloads[0][0]) if payloads else None
        if sighting is None or not (sighting.person or sighting.is_voidable):
            return sighting
        marks = self._store.read(SELECT_VOIDED, (sighting.person, *place))
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
    """Enters an event that was just appended; a void marks what it takes back.

    `ordinals` has every epoch's ordinal by its id.
    """
    note_run(connection, event)
    if isinstance(event, Sighting):
        if event.person:
            connection.execute(
                INSERT_SIGHTING,
                (event.person, ordinal, seq, event.session, event.service_date, _VISIT[type(event)]),
            )
            if event.code_step and not isinstance(event, Refusal):
                note_code_use(connection, event.person, event.code_step)
    elif isinstance(event, GuestMeals):
        row = (NOBODY, ordinal, seq, event.session, event.service_date, 1)
        connection.execute(INSERT_SIGHTING, row)
    elif isinstance(event, Void):
        place = find_place(connection, Epoch(event.void_epoch), event.void_seq, ordinals)
        connection.execute(UPDATE_VOIDED, (event.person, *place))
    elif isinstance(event, Carried) and event.old_epoch not in ordinals:
        _index_carried(connection, ordinal, seq, event, ordinals)


def find_place(
    connection: sqlite3.Connection, epoch: Epoch, seq: int, ordinals: Mapping[Epoch, int]
) -> tuple[int | None, int]:
    """Returns ordinal and number of the row that holds the event of this name; (None, seq) where this file has none."""
    ordinal = ordinals.get(epoch)
    if ordinal is not None:
        return ordinal, seq
    row: tuple[int, int] | None = connection.execute(SELECT_CARRIED, (epoch, seq)).fetchone()
    return row or (None, seq)


def select_uncarried(
    connection: sqlite3.Connection, events: Sequence[Carried], ordinals: Mapping[Epoch, int]
) -> list[Carried]:
    """Returns those of these events that are in this file under no name."""
    return [
        event
        for event in events
        if event.old_epoch not in ordinals
        and connection.execute(SELECT_CARRIED, (event.old_epoch, event.old_seq)).fetchone() is None
    ]


def _index_carried(
    connection: sqlite3.Connection, ordinal: int, seq: int, event: Carried, ordinals: Mapping[Epoch, int]
) -> None:
    """Enters an event of a journal that was set aside, under its old name; an older sighting stays out of the index."""
    added = connection.execute(INSERT_CARRIED, (event.old_epoch, event.old_seq, ordinal, seq))
    if not added.rowcount:
        return
    try:
        inner = decode(event.payload.encode())
        oldest = (read_time(event.at) - timedelta(days=CARRIED_DAYS_INDEXED)).date().isoformat()
    except (UnreadableEvent, InvalidMessage, OverflowError):
        return
    is_indexed = isinstance(inner, Sighting | GuestMeals) and inner.service_date >= oldest
    if is_indexed or isinstance(inner, Void | ClockStep):
        index_event(connection, ordinal, seq, inner, ordinals)


def remove_from_index(connection: sqlite3.Connection, ordinal: int, rows: Iterable[tuple[int, bytes]]) -> None:
    """Takes the events of these rows, (seq, payload), out of the index."""
    names = [(seq, _read_names(payload)) for seq, payload in rows]
    connection.executemany(DELETE_SIGHTING, ((found.person, ordinal, seq) for seq, found in names))
    connection.executemany(
        DELETE_CARRIED,
        ((found.old_epoch, found.old_seq, ordinal, seq) for seq, found in names if found.old_epoch),
    )


def _read_names(payload: bytes) -> _IndexedNames:
    """Returns the names of an event, also of one that a later version made and indexed; empty ones without any."""
    try:
        names = _names_decoder.decode(payload)
        if not names.payload:
            return names
        return structs.replace(names, person=_names_decoder.decode(names.payload.encode()).person)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _IndexedNames()


def decode_sighting(epoch: Epoch, seq: int, voided: bool, payload: bytes) -> EarlierSighting | None:
    """Returns the sighting in these bytes; None for an event of another kind, or of a later version of the agent.

    A carried one comes under its old name, since its exit and its void name it so.
    """
    try:
        sighting = _sighting_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_carried_sighting(voided, payload)
    return structs.replace(sighting, epoch=epoch, seq=seq, voided=voided)


def _decode_carried_sighting(voided: bool, payload: bytes) -> EarlierSighting | None:
    try:
        carried = _carried_decoder.decode(payload)
        sighting = _sighting_decoder.decode(carried.payload.encode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return structs.replace(sighting, epoch=Epoch(carried.old_epoch), seq=carried.old_seq, voided=voided)
