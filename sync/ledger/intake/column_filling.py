"""Columns for events that came before there were any: read out of their bytes as if they came again.

Part of the schema's step, in its transaction. Each statement is about one school.
"""

from datetime import datetime

import psycopg

from sync.contract.chain import Epoch
from sync.ledger.intake.event_columns import read_columns, read_inner
from sync.ledger.intake.event_rows import EventEffects, EventRow, list_columns
from sync.ledger.judgement.day_marks import mark_days

_PART_EVENTS = 5_000


def fill_columns(connection: psycopg.Connection) -> None:
    """Fills the columns of all stored events, and marks all their days."""
    # Of the city: the schema's step is for all schools.
    for (school,) in connection.execute("SELECT school FROM school ORDER BY school").fetchall():
        for (device,) in connection.execute(
            "SELECT device FROM device WHERE school = %s ORDER BY device", (school,)
        ).fetchall():
            effects = EventEffects()
            _fill_carried(connection, school, device, effects)
            _fill_events(connection, school, device, effects)
            mark_days(connection, school, device, effects)


def _fill_events(connection: psycopg.Connection, school: str, device: str, effects: EventEffects) -> None:
    latest = ""
    for (epoch,) in connection.execute(
        "SELECT epoch FROM epoch WHERE school = %s AND device = %s ORDER BY opened_at, epoch", (school, device)
    ).fetchall():
        latest = _fill_epoch(connection, school, device, epoch, latest, effects)
    connection.execute("UPDATE head SET latest = %s WHERE school = %s AND device = %s", (latest, school, device))


def _fill_epoch(
    connection: psycopg.Connection, school: str, device: str, epoch: str, latest: str, effects: EventEffects
) -> str:
    """Fills the events of one epoch. `latest`: the latest good wall time before it; returns the one behind it."""
    seq = 0
    while True:
        stored = connection.execute(
            "SELECT seq, payload, kind, received_at FROM event WHERE school = %s AND device = %s"
            " AND epoch = %s AND seq > %s ORDER BY seq LIMIT %s",
            (school, device, epoch, seq, _PART_EVENTS),
        ).fetchall()
        if not stored:
            return latest
        rows: list[EventRow] = []
        for row_seq, payload, kind, received_at in stored:
            seq = row_seq
            tombstones = (seq,) if kind == "tombstone" else ()
            columns = read_columns(
                [payload], seq, school=school, epoch=Epoch(epoch), now=received_at, tombstones=tombstones,
                latest=latest, effects=effects,
            )  # fmt: skip
            latest = columns.latest
            rows += columns.rows
        keys = {"epochs": [epoch for _ in stored], "seqs": [row[0] for row in stored]}
        connection.execute(_FILL_EVENTS, {"school": school, "device": device, **keys, **list_columns(rows)})


def _fill_carried(connection: psycopg.Connection, school: str, device: str, effects: EventEffects) -> None:
    stored: list[tuple[str, int, bytes, bytes, datetime]] = connection.execute(
        "SELECT epoch, seq, hash, payload, received_at FROM carried WHERE school = %s AND device = %s",
        (school, device),
    ).fetchall()
    rows: list[EventRow] = []
    for epoch, seq, digest, payload, received_at in stored:
        row, _ = read_inner(payload, epoch, seq, digest, school, received_at, effects)
        rows.append(row)
    keys = {
        "epochs": [row[0] for row in stored],
        "seqs": [row[1] for row in stored],
        "hashes": [row[2] for row in stored],
    }
    connection.execute(_FILL_CARRIED, {"school": school, "device": device, **keys, **list_columns(rows)})


_FILL_EVENTS = """
    UPDATE event SET
        latest_before = line.latest_before, person = line.person, session = line.session,
        service_date = line.service_date, programme = line.programme, method = line.method, claim = line.claim,
        reader = line.reader, operator = line.operator, note = line.note, group_id = line.group_id,
        recorded_at = line.recorded_at, boot = line.boot, mono_ms = line.mono_ms, clock = line.clock,
        roster = line.roster, named_device = line.named_device, named_epoch = line.named_epoch,
        named_seq = line.named_seq, scan_rules = line.scan_rules
    FROM unnest(
        %(epochs)s::text[], %(seqs)s::int8[], %(latest_before)s::text[], %(person)s::text[], %(session)s::text[],
        %(service_date)s::text[], %(programme)s::text[], %(method)s::text[], %(claim)s::text[], %(reader)s::text[],
        %(operator)s::text[], %(note)s::text[], %(group_id)s::text[], %(recorded_at)s::text[], %(boot)s::text[],
        %(mono_ms)s::int8[], %(clock)s::text[], %(roster)s::int8[], %(named_device)s::text[],
        %(named_epoch)s::text[], %(named_seq)s::int8[], %(scan_rules)s::text[]
    ) AS line (
        epoch, seq, latest_before, person, session, service_date, programme, method, claim, reader, operator, note,
        group_id, recorded_at, boot, mono_ms, clock, roster, named_device, named_epoch, named_seq, scan_rules
    )
    WHERE event.school = %(school)s AND event.device = %(device)s AND event.epoch = line.epoch
      AND event.seq = line.seq
"""
_FILL_CARRIED = """
    UPDATE carried SET
        person = line.person, session = line.session, service_date = line.service_date, programme = line.programme,
        method = line.method, claim = line.claim, reader = line.reader, operator = line.operator, note = line.note,
        group_id = line.group_id, recorded_at = line.recorded_at, boot = line.boot, mono_ms = line.mono_ms,
        clock = line.clock, roster = line.roster, named_device = line.named_device, named_epoch = line.named_epoch,
        named_seq = line.named_seq, scan_rules = line.scan_rules
    FROM unnest(
        %(epochs)s::text[], %(seqs)s::int8[], %(hashes)s::bytea[], %(person)s::text[], %(session)s::text[],
        %(service_date)s::text[], %(programme)s::text[], %(method)s::text[], %(claim)s::text[], %(reader)s::text[],
        %(operator)s::text[], %(note)s::text[], %(group_id)s::text[], %(recorded_at)s::text[], %(boot)s::text[],
        %(mono_ms)s::int8[], %(clock)s::text[], %(roster)s::int8[], %(named_device)s::text[],
        %(named_epoch)s::text[], %(named_seq)s::int8[], %(scan_rules)s::text[]
    ) AS line (
        epoch, seq, hash, person, session, service_date, programme, method, claim, reader, operator, note, group_id,
        recorded_at, boot, mono_ms, clock, roster, named_device, named_epoch, named_seq, scan_rules
    )
    WHERE carried.school = %(school)s AND carried.device = %(device)s AND carried.epoch = line.epoch
      AND carried.seq = line.seq AND carried.hash = line.hash
"""
