"""Holes: events that a kiosk recorded and nobody can give any more. Each is named, and no sheet closes over one.

A hole is a range of an epoch. It comes from a batch that names it, or from a kiosk's event `lost`. What is stored of it
all the same is taken out when holes are read: an event that came late, or was carried, or was brought on a stick.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from sync.contract.batch import NamedHole
from sync.contract.event import EventsLost

PRUNED = "pruned"


@dataclass(frozen=True, slots=True)
class EventHole:
    """A range of events that are missing. `--json` shows these names."""

    school: str
    device: str
    epoch: str
    first_seq: int
    last_seq: int
    why: str
    noted_on: str  # UTC date on which the ledger heard of it


def note_holes(connection: psycopg.Connection, school: str, device: str, holes: Sequence[NamedHole]) -> None:
    """Notes the holes that a batch names, in the caller's transaction. Does not wait for the database."""
    if holes:
        connection.execute(_INSERT_HOLES, {
            "school": school, "device": device, "epochs": [hole.epoch for hole in holes],
            "firsts": [hole.first_seq for hole in holes], "lasts": [hole.last_seq for hole in holes],
            "hashes": [bytes.fromhex(hole.last_hash) for hole in holes], "whys": [PRUNED] * len(holes),
        })  # fmt: skip


def note_lost(connection: psycopg.Connection, school: str, device: str, lost: Sequence[EventsLost]) -> None:
    """Notes the holes that these events tell of. Does not wait for the database."""
    if lost:
        connection.execute(_INSERT_HOLES, {
            "school": school, "device": device, "epochs": [event.lost_epoch.replace("\0", "␀") for event in lost],
            "firsts": [event.first_seq for event in lost], "lasts": [event.last_seq for event in lost],
            "hashes": [b""] * len(lost), "whys": [event.why.replace("\0", "␀")[:200] for event in lost],
        })  # fmt: skip


def read_holes(connection: psycopg.Connection, school: str) -> list[EventHole]:
    """Returns what is still missing at this school, by device, epoch and number."""
    rows = connection.execute(_SELECT_HOLES, {"school": school}).fetchall()
    return [hole for row in rows for hole in _without_stored(school, *row)]


def _without_stored(
    school: str, device: str, epoch: str, first: int, last: int, why: str, noted_on: str, stored: list[int]
) -> Iterator[EventHole]:
    """Yields the parts of a hole between the numbers that are stored, which come ascending."""
    for seq in [*stored, last + 1]:
        if first < seq:
            yield EventHole(school, device, epoch, first, seq - 1, why, noted_on)
        first = seq + 1


def settle_holes(connection: psycopg.Connection, school: str) -> None:
    """Lets the table say what is still missing, before events that have closed a hole in part leave the database."""
    rows = connection.execute(_SELECT_HOLES, {"school": school}).fetchall()
    for device, epoch, first, last, why, noted_on, stored in rows:
        if not stored:
            continue
        connection.execute(
            "DELETE FROM hole WHERE school = %s AND device = %s AND epoch = %s AND first_seq = %s AND last_seq = %s",
            (school, device, epoch, first, last),
        )
        for part in _without_stored(school, device, epoch, first, last, why, noted_on, stored):
            connection.execute(
                "INSERT INTO hole (school, device, epoch, first_seq, last_seq, last_hash, why, noted_at)"
                " VALUES (%s, %s, %s, %s, %s, '', %s, %s::timestamptz) ON CONFLICT DO NOTHING",
                (school, device, epoch, part.first_seq, part.last_seq, why, f"{noted_on}T00:00:00Z"),
            )


_INSERT_HOLES = """
    INSERT INTO hole (school, device, epoch, first_seq, last_seq, last_hash, why)
    SELECT %(school)s, %(device)s, *
    FROM unnest(%(epochs)b::text[], %(firsts)b::int8[], %(lasts)b::int8[], %(hashes)b::bytea[], %(whys)b::text[])
    ON CONFLICT DO NOTHING
"""

_SELECT_HOLES = """
    SELECT device, epoch, first_seq, last_seq, why, to_char(noted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), ARRAY(
        SELECT seq FROM event e
        WHERE e.school = %(school)s AND e.device = h.device AND e.epoch = h.epoch
          AND e.seq BETWEEN h.first_seq AND h.last_seq
        UNION
        SELECT seq FROM carried c
        WHERE c.school = %(school)s AND c.device = h.device AND c.epoch = h.epoch
          AND c.seq BETWEEN h.first_seq AND h.last_seq
        ORDER BY seq
    )
    FROM hole h WHERE school = %(school)s ORDER BY device, epoch, first_seq, last_seq
"""
