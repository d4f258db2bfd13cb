"""Events under their old names: those that a later epoch carried, and those that came on a stick."""

from collections.abc import Sequence

import psycopg

from sync.contract.chain import DeviceId
from sync.ledger.intake.arrivals import ArrivedBatch, identify
from sync.ledger.intake.event_rows import CarriedEvent, list_columns


def insert_carried(
    connection: psycopg.Connection, school: str, device: DeviceId, by_epoch: str, carried: Sequence[CarriedEvent]
) -> None:
    """Stores events under their old names, where they are not there already. Does not wait for the database."""
    connection.execute(_INSERT_CARRIED, {
        "school": school, "device": device, "by_epoch": by_epoch,
        "epochs": [event.epoch for event in carried], "seqs": [event.seq for event in carried],
        "hashes": [event.hash for event in carried], "payloads": [event.payload for event in carried],
        "by_seqs": [event.by_seq for event in carried], **list_columns([event.row for event in carried]),
    })  # fmt: skip


def read_carried_epochs(connection: psycopg.Connection, school: str, device: DeviceId) -> set[str]:
    """Returns the epochs of a device of which a later one has carried events."""
    rows = connection.execute("SELECT DISTINCT epoch FROM carried WHERE school = %s AND device = %s", (school, device))
    return {row[0] for row in rows}


def drop_copies(connection: psycopg.Connection, arrival: ArrivedBatch) -> None:
    """Drops the copies of a batch's events, which stand under their own names now. Does not wait."""
    connection.execute(_DELETE_CARRIED, {
        **identify(arrival), "first_seq": arrival.batch.header.first_seq, "last_seq": arrival.batch.last_seq,
    })  # fmt: skip


# An old identity is new here unless the ledger has it with this very hash, as an event or carried before.
_INSERT_CARRIED = """
    INSERT INTO carried (
        school, device, by_epoch, epoch, seq, hash, payload, by_seq, kind, day, flags, person, session, service_date,
        programme, method, claim, reader, operator, note, group_id, recorded_at, boot, mono_ms, clock, roster,
        named_device, named_epoch, named_seq, scan_rules
    )
    SELECT %(school)s, %(device)s, %(by_epoch)s, parcel.*
    FROM unnest(
        %(epochs)b::text[], %(seqs)b::int8[], %(hashes)b::bytea[], %(payloads)b::bytea[], %(by_seqs)b::int8[],
        %(kind)b::text[], %(day)b::text[], %(flags)b::text[], %(person)b::text[], %(session)b::text[],
        %(service_date)b::text[], %(programme)b::text[], %(method)b::text[], %(claim)b::text[], %(reader)b::text[],
        %(operator)b::text[], %(note)b::text[], %(group_id)b::text[], %(recorded_at)b::text[], %(boot)b::text[],
        %(mono_ms)b::int8[], %(clock)b::text[], %(roster)b::int8[], %(named_device)b::text[],
        %(named_epoch)b::text[], %(named_seq)b::int8[], %(scan_rules)b::text[]
    ) AS parcel (
        epoch, seq, hash, payload, by_seq, kind, day, flags, person, session, service_date, programme, method, claim,
        reader, operator, note, group_id, recorded_at, boot, mono_ms, clock, roster, named_device, named_epoch,
        named_seq, scan_rules
    )
    WHERE NOT EXISTS (
        SELECT 1 FROM event
        WHERE event.school = %(school)s AND event.device = %(device)s AND event.epoch = parcel.epoch
          AND event.seq = parcel.seq AND event.hash = parcel.hash
    )
    ON CONFLICT DO NOTHING
"""

# While the ledger lacked these events, copies of them may have come in a later epoch or on a stick, under their own
# names. Each fact counts once; the event that carried it stays.
_DELETE_CARRIED = """
    DELETE FROM carried USING event
    WHERE carried.school = %(school)s AND carried.device = %(device)s AND carried.epoch = %(epoch)s
      AND carried.seq BETWEEN %(first_seq)s AND %(last_seq)s
      AND event.school = %(school)s AND event.device = %(device)s AND event.epoch = %(epoch)s
      AND event.seq = carried.seq AND event.hash = carried.hash
"""
