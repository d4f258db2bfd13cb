"""A batch into the ledger: each event once, in order, or the reason why the line stops here.

The caller has verified the signature. Then, in one transaction: lock the device's head row → what it covers already is
answered from it → the rest goes in by `INSERT … SELECT unnest`, part by part → the head moves → commit → the receipt
goes out. The chain inside the batch is walked on the way. Where it does not hold nothing is stored, and the
batch gets no other answer.

A well-formed event is never refused. Only the chain stops the line: a gap, a fork, an epoch that is unknown or closed.
A fork is stored as evidence before it is answered.

Three things come late, after a backup was put back or a proxy has stood in the way: the rest of a closed epoch, behind
its stored last event and no other; a run behind a hole that the kiosk names; and the bytes of an event of which only a
tombstone stands here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt
from sync.contract.batch import walk_links
from sync.contract.chain import Hash, Head
from sync.contract.wire import BatchReply, ProblemDocument, QuarantinedEvent, time_text
from sync.ledger.intake.arrivals import ArrivedBatch, identify, store_evidence
from sync.ledger.intake.carried_events import drop_copies, insert_carried
from sync.ledger.intake.event_columns import EventColumns, OddEvent, read_columns
from sync.ledger.intake.event_rows import DayEffects
from sync.ledger.intake.holes import note_holes, note_lost
from sync.ledger.intake.joining import OpenEpoch, find_new, lock_head
from sync.ledger.intake.tombstones import fill_carried_tombstones, fill_tombstones
from sync.ledger.judgement.day_marks import mark_days
from sync.ledger.registry.people import RosterMembers
from sync.ledger.transparency import logs

PART_EVENTS = 125  # in one statement: while PostgreSQL stores them, the next ones are read
UNKNOWN_PERSON = "unknown-person"


def ingest_batch(
    connection: psycopg.Connection,
    arrival: ArrivedBatch,
    key: Ed25519PrivateKey,
    now: datetime,
    members: RosterMembers,
) -> BatchReply | ProblemDocument:
    """Stores the new events of the batch and returns the answer. `key` signs the receipt. Commits before it returns.

    Raises `MalformedBatch` for a batch that contradicts itself.
    """
    batch = arrival.batch
    # In a pipeline statements are sent without waiting; only what is fetched waits. So a batch waits twice, for its
    # lock and for the commit, and PostgreSQL stores its first events while the rest is still being read.
    with connection.pipeline(), connection.transaction():
        opened = lock_head(connection, arrival)
        hashes, duplicates = walk_links(batch), 0
        if (opened.epoch, opened.head) != (arrival.epoch, Head(batch.header.first_seq - 1, batch.prev)):
            joined = find_new(connection, arrival, opened)
            if isinstance(joined, ProblemDocument):
                return joined
            opened, new = joined
            hashes, duplicates = iter(new), len(batch.lines) - len(new)
        odd: Sequence[OddEvent] = ()
        if duplicates < len(batch.lines):
            odd = _insert(connection, arrival, opened, hashes, duplicates, now, members)
        filled = fill_tombstones(connection, arrival, duplicates, now) if duplicates else ()
        note_holes(connection, arrival.school, arrival.device, batch.header.holes)
        issued = _receipt(connection, arrival, key, now)
        # For new events the list is at hand; only for older ones it must be looked up.
        quarantined = _list_quarantined(odd) if duplicates == 0 else _read_quarantined(connection, arrival)
    return BatchReply(
        accepted_through=batch.last_seq,
        head=batch.header.head,
        time=time_text(now),
        receipt=issued,
        duplicates=duplicates,
        quarantined=quarantined,
        filled=filled,
    )


_INSERT_EVENTS = """
    INSERT INTO event (
        school, device, epoch, seq, payload, hash, latest_before, kind, day, flags, person, session, service_date,
        programme, method, claim, reader, operator, note, group_id, recorded_at, boot, mono_ms, clock, roster,
        named_device, named_epoch, named_seq, scan_rules
    )
    SELECT %(school)s, %(device)s, %(epoch)s, %(first_seq)s::int8 + n - 1, payload, hash, latest_before, kind, day,
           flags, person, session, service_date, programme, method, claim, reader, operator, note, group_id,
           recorded_at, boot, mono_ms, clock, roster, named_device, named_epoch, named_seq, scan_rules
    FROM unnest(
        %(payloads)b::bytea[], %(hashes)b::bytea[], %(context)b::int8[], %(person)b::text[],
        %(recorded_at)b::text[], %(mono_ms)b::int8[], %(named_seq)b::int8[]
    ) WITH ORDINALITY AS line (payload, hash, number, person, recorded_at, mono_ms, named_seq, n)
    JOIN jsonb_to_recordset(%(contexts)s::jsonb) AS context (
        number int8, kind text, day text, flags text, session text, service_date text, programme text, method text,
        claim text, reader text, operator text, note text, group_id text, boot text, clock text, roster int8,
        named_device text, named_epoch text, latest_before text, scan_rules text
    ) USING (number)
"""

_INSERT_QUARANTINE = """
    INSERT INTO quarantine (school, device, epoch, seq, code, detail)
    SELECT %(school)s, %(device)s, %(epoch)s, * FROM unnest(%(seqs)b::int8[], %(codes)b::text[], %(details)b::text[])
"""


def _insert(
    connection: psycopg.Connection,
    arrival: ArrivedBatch,
    opened: OpenEpoch,
    hashes: Iterator[Hash],
    duplicates: int,
    now: datetime,
    members: RosterMembers,
) -> Sequence[OddEvent]:
    """Stores the events behind the duplicates, whose `hashes` these are, and the head. Returns the quarantined ones."""
    store_evidence(connection, arrival, arrival.batch.header.first_seq + duplicates)
    effects, parts, latest = DayEffects(), list[EventColumns](), opened.latest
    for start in range(duplicates, len(arrival.batch.lines), PART_EVENTS):
        part = _insert_part(connection, arrival, start, list(islice(hashes, PART_EVENTS)), now, latest, effects)
        latest = part.latest
        parts.append(part)
    if opened.has_copies:
        drop_copies(connection, arrival)
    named = {person: seq for part in reversed(parts) for person, seq in part.people.items()}  # where first named
    odd = {stranger.seq: stranger for stranger in _strangers(connection, arrival, named, members)}
    odd |= {event.seq: event for part in parts for event in part.odd}
    carried = [event for part in parts for event in part.carried]
    if carried:
        insert_carried(connection, arrival.school, arrival.device, arrival.epoch, carried)
        fill_carried_tombstones(connection, arrival, carried, now)
    if odd:
        connection.execute(_INSERT_QUARANTINE, {
            **identify(arrival), "seqs": list(odd), "codes": [event.code for event in odd.values()],
            "details": [event.detail for event in odd.values()],
        })  # fmt: skip
    lines = [*arrival.batch.lines[duplicates:], *(event.payload for event in carried)]
    note_lost(connection, arrival.school, arrival.device, lines)
    _move_head(connection, arrival, opened, latest)
    logs.append_batch(connection, arrival.school, arrival.device, arrival.epoch, arrival.batch.head)
    mark_days(connection, arrival.school, arrival.device, effects)
    return tuple(odd.values())


def _move_head(connection: psycopg.Connection, arrival: ArrivedBatch, opened: OpenEpoch, latest: str) -> None:
    seq, last_hash = arrival.batch.last_seq, arrival.batch.head.hash
    where = (arrival.school, arrival.device)
    if opened.is_closed:
        connection.execute(
            "UPDATE epoch SET last_seq = %s, last_hash = %s WHERE school = %s AND device = %s AND epoch = %s",
            (seq, last_hash, *where, arrival.epoch),
        )
        return
    connection.execute(
        "UPDATE head SET epoch = %s, seq = %s, hash = %s, latest = %s WHERE school = %s AND device = %s",
        (arrival.epoch, seq, last_hash, latest, *where),
    )


def _insert_part(
    connection: psycopg.Connection, arrival: ArrivedBatch, start: int, hashes: Sequence[Hash], now: datetime,
    latest: str, effects: DayEffects,
) -> EventColumns:  # fmt: skip
    """Sends the events from index `start` on, as many as `hashes`, and returns their columns. Does not wait."""
    first_seq = arrival.batch.header.first_seq + start
    payloads = arrival.batch.lines[start : start + len(hashes)]
    columns = read_columns(
        payloads, first_seq, school=arrival.school, epoch=arrival.epoch, now=now,
        tombstones=frozenset(arrival.batch.header.tombstones), latest=latest, effects=effects,
    )  # fmt: skip
    connection.execute(_INSERT_EVENTS, {
        **identify(arrival), "first_seq": first_seq, "payloads": list(payloads),
        "hashes": list(hashes), **columns.rows.parameters(),
    })  # fmt: skip
    return columns


def _list_quarantined(odd: Sequence[OddEvent]) -> tuple[QuarantinedEvent, ...]:
    return tuple(
        QuarantinedEvent(seq=event.seq, code=event.code, detail=event.detail)
        for event in sorted(odd, key=lambda event: event.seq)
    )


def _strangers(
    connection: psycopg.Connection, arrival: ArrivedBatch, named: Mapping[str, int], members: RosterMembers
) -> list[OddEvent]:
    if not named:
        return []
    strangers = members.find_strangers(connection, arrival.school, named)
    return [
        OddEvent(seq, UNKNOWN_PERSON, "a person who was never on this school's roster")
        for person, seq in named.items()
        if person in strangers
    ]


def _read_quarantined(connection: psycopg.Connection, arrival: ArrivedBatch) -> tuple[QuarantinedEvent, ...]:
    """Returns the quarantined events of this batch, for a kiosk that lost the first answer."""
    rows = connection.execute(
        "SELECT seq, code, detail FROM quarantine WHERE school = %s AND device = %s AND epoch = %s"
        " AND seq BETWEEN %s AND %s ORDER BY seq",
        (arrival.school, arrival.device, arrival.epoch, arrival.batch.header.first_seq, arrival.batch.last_seq),
    )
    return tuple(QuarantinedEvent(seq=seq, code=code, detail=detail) for seq, code, detail in rows)


def _receipt(
    connection: psycopg.Connection, arrival: ArrivedBatch, key: Ed25519PrivateKey, now: datetime
) -> receipt.Receipt:
    """Returns the receipt for this batch, and stores it as it is given."""
    head = arrival.batch.head
    issued = receipt.issue(key, arrival.device, arrival.epoch, head, time_text(now))
    connection.execute(
        "INSERT INTO receipt (school, device, epoch, accepted_through, head, receipt) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (arrival.school, arrival.device, arrival.epoch, head.seq, bytes(head.hash), receipt.to_json(issued)),
    )
    return issued
