"""The bytes of events of which only a tombstone stands here: stored where their hashes stand, once they come."""

from collections.abc import Sequence
from datetime import datetime

import psycopg
from msgspec.structs import asdict

from sync.contract.chain import DeviceId, Epoch, Hash, extend
from sync.ledger.intake.arrivals import ArrivedBatch, store_evidence
from sync.ledger.intake.carried_events import insert_carried
from sync.ledger.intake.event_columns import read_columns
from sync.ledger.intake.event_rows import CarriedEvent
from sync.ledger.intake.holes import note_lost
from sync.ledger.judgement.day_marks import mark_days


def fill_tombstones(
    connection: psycopg.Connection, arrival: ArrivedBatch, duplicates: int, now: datetime
) -> tuple[int, ...]:
    """Stores the bytes of events of which only a tombstone stands here; their hashes agree. Returns their numbers."""
    header, lines = arrival.batch.header, arrival.batch.lines
    rows = connection.execute(
        "SELECT seq FROM event WHERE school = %s AND device = %s AND epoch = %s AND seq BETWEEN %s AND %s"
        " AND kind = 'tombstone' ORDER BY seq",
        (arrival.school, arrival.device, arrival.epoch, header.first_seq, header.first_seq + duplicates - 1),
    ).fetchall()
    filled = [seq for (seq,) in rows if seq not in header.tombstones]
    for seq in filled:
        payload = lines[seq - header.first_seq]
        _fill_tombstone(connection, arrival.school, arrival.device, arrival.epoch, seq, payload, now)
    if filled:
        store_evidence(connection, arrival, first_seq=0)
    return tuple(filled)


def fill_carried_tombstones(
    connection: psycopg.Connection, school: str, device: DeviceId, carried: Sequence[CarriedEvent], now: datetime
) -> int:
    """Stores the bytes of carried events, or of those from a stick, of which only a tombstone stands here.

    The chain must bear them out. Returns how many were stored.
    """
    filled = 0
    by_name = {(event.epoch, event.seq): event for event in carried}
    rows = connection.execute(_SELECT_TOMBSTONES, {
        "school": school, "device": device, "epochs": [event.epoch for event in carried],
        "seqs": [event.seq for event in carried], "hashes": [event.hash for event in carried],
    }).fetchall()  # fmt: skip
    for epoch, seq, before in rows:
        event = by_name[epoch, seq]
        if extend(Hash(before), event.payload) == event.hash:
            _fill_tombstone(connection, school, device, event.epoch, seq, event.payload, now)
            filled += 1
    return filled


def _fill_tombstone(
    connection: psycopg.Connection, school: str, device: DeviceId, epoch: Epoch, seq: int, payload: bytes,
    now: datetime,
) -> None:  # fmt: skip
    columns = read_columns([payload], seq, school=school, epoch=epoch, now=now)
    identity = {"school": school, "device": device, "epoch": epoch, "seq": seq}
    connection.execute(_FILL_TOMBSTONE, {**identity, "payload": payload, **asdict(columns.rows[0])})
    connection.execute(_DELETE_TOMBSTONE_NOTE, identity)
    if columns.carried:
        insert_carried(connection, school, device, epoch, columns.carried)
    note_lost(connection, school, device, columns.effects.lost)
    mark_days(connection, school, device, columns.effects)


_SELECT_TOMBSTONES = """
    SELECT event.epoch, event.seq, coalesce(before.hash, epoch.genesis)
    FROM unnest(%(epochs)b::text[], %(seqs)b::int8[], %(hashes)b::bytea[]) AS parcel (epoch, seq, hash)
    JOIN event ON event.school = %(school)s AND event.device = %(device)s AND event.epoch = parcel.epoch
              AND event.seq = parcel.seq AND event.hash = parcel.hash AND event.kind = 'tombstone'
    JOIN epoch ON epoch.school = %(school)s AND epoch.device = %(device)s AND epoch.epoch = parcel.epoch
    LEFT JOIN event before ON before.school = %(school)s AND before.device = %(device)s
                          AND before.epoch = parcel.epoch AND before.seq = parcel.seq - 1
"""


_FILL_TOMBSTONE = """
    UPDATE event SET payload = %(payload)b, kind = %(kind)s, day = %(day)s, flags = %(flags)s, person = %(person)s,
        session = %(session)s, service_date = %(service_date)s, programme = %(programme)s, method = %(method)s,
        claim = %(claim)s, reader = %(reader)s, operator = %(operator)s, note = %(note)s, group_id = %(group_id)s,
        recorded_at = %(recorded_at)s, boot = %(boot)s, mono_ms = %(mono_ms)s, clock = %(clock)s, roster = %(roster)s,
        named_device = %(named_device)s, named_epoch = %(named_epoch)s, named_seq = %(named_seq)s,
        scan_rules = %(scan_rules)s
    WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s AND seq = %(seq)s
"""

_DELETE_TOMBSTONE_NOTE = """
    DELETE FROM quarantine
    WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s AND seq = %(seq)s AND code = 'tombstone'
"""
