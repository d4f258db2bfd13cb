"""A batch into the ledger: each event once, in order, or the reason why the line stops here.

The caller has verified the signature. The chain inside the batch is walked first: where it does not hold the batch gets
no other answer. Then, in one transaction: lock the device's head row → what it covers already is answered from it → the
rest goes in by COPY → the head moves → commit → the receipt goes out.

A well-formed event is never refused. Only the chain stops the line: a gap, a fork, an epoch that is unknown or closed.
A fork is stored as evidence before it is answered.

Three things come late, after a backup was put back or a proxy has stood in the way: the rest of a closed epoch, behind
its stored last event and no other; a run behind a hole that the kiosk names; and the bytes of an event of which only a
tombstone stands here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt
from sync.contract.batch import link_hashes
from sync.contract.chain import Hash, Head
from sync.contract.wire import BatchReply, ProblemDocument, QuarantinedEvent, time_text
from sync.ledger.intake.arrivals import ArrivedBatch, identify, store_evidence
from sync.ledger.intake.carried_events import drop_copies, insert_carried, read_carried_epochs
from sync.ledger.intake.event_columns import EventColumns, OddEvent, read_columns
from sync.ledger.intake.event_storing import store_events
from sync.ledger.intake.holes import note_holes, note_lost
from sync.ledger.intake.joining import OpenEpoch, find_new, lock_head
from sync.ledger.intake.tombstones import fill_carried_tombstones, fill_tombstones
from sync.ledger.judgement.day_marks import mark_days
from sync.ledger.registry.code_uses import note_code_uses
from sync.ledger.registry.desk_words import note_desk_words
from sync.ledger.registry.people import RosterMembers
from sync.ledger.transparency import logs

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
    hashes: Sequence[Hash] = link_hashes(batch)
    with connection.transaction():
        opened, duplicates = lock_head(connection, arrival), 0
        if (opened.epoch, opened.head) != (arrival.epoch, Head(batch.header.first_seq - 1, batch.prev)):
            joined = find_new(connection, arrival, opened, hashes)
            if isinstance(joined, ProblemDocument):
                return joined
            opened, duplicates = joined
        columns = _store_new(connection, arrival, opened, hashes, duplicates, now)
        with connection.pipeline():  # statements go out without waiting; only what is fetched waits
            odd = _note_new(connection, arrival, opened, columns, now, members) if columns.rows else ()
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


_INSERT_QUARANTINE = """
    INSERT INTO quarantine (school, device, epoch, seq, code, detail)
    SELECT %(school)s, %(device)s, %(epoch)s, * FROM unnest(%(seqs)b::int8[], %(codes)b::text[], %(details)b::text[])
"""


def _store_new(
    connection: psycopg.Connection, arrival: ArrivedBatch, opened: OpenEpoch, hashes: Sequence[Hash], duplicates: int,
    now: datetime,
) -> EventColumns:  # fmt: skip
    """Stores the events behind the duplicates and returns their columns."""
    first_seq, payloads = arrival.batch.header.first_seq + duplicates, arrival.batch.lines[duplicates:]
    columns = read_columns(
        payloads, first_seq, school=arrival.school, epoch=arrival.epoch, now=now,
        tombstones=frozenset(arrival.batch.header.tombstones), latest=opened.latest,
    )  # fmt: skip
    if payloads:
        key = (arrival.school, arrival.device, arrival.epoch)
        store_events(connection, key, first_seq, payloads, hashes[duplicates:], columns.rows)
    return columns


def _note_new(
    connection: psycopg.Connection, arrival: ArrivedBatch, opened: OpenEpoch, columns: EventColumns, now: datetime,
    members: RosterMembers,
) -> Sequence[OddEvent]:  # fmt: skip
    """Stores the evidence of new events, what they bear on, and the head. Returns the quarantined ones."""
    store_evidence(connection, arrival, arrival.batch.last_seq - len(columns.rows) + 1)
    drop_copies(connection, arrival)
    odd = {stranger.seq: stranger for stranger in _strangers(connection, arrival, columns.people, members)}
    odd |= {event.seq: event for event in columns.odd}
    if columns.carried:
        insert_carried(connection, arrival.school, arrival.device, arrival.epoch, columns.carried)
        fill_carried_tombstones(connection, arrival.school, arrival.device, columns.carried, now)
    if odd:
        connection.execute(_INSERT_QUARANTINE, {
            **identify(arrival), "seqs": list(odd), "codes": [event.code for event in odd.values()],
            "details": [event.detail for event in odd.values()],
        })  # fmt: skip
    note_lost(connection, arrival.school, arrival.device, columns.effects.lost)
    if opened.is_closed:  # what later epochs carried may stand out of order behind it
        columns.effects.carried_epochs |= read_carried_epochs(connection, arrival.school, arrival.device)
    _move_head(connection, arrival, opened, columns.latest)
    logs.append_batch(connection, arrival.school, arrival.device, arrival.epoch, arrival.batch.head)
    mark_days(connection, arrival.school, arrival.device, columns.effects)
    note_code_uses(connection, arrival.school, columns.effects.code_steps, now)
    note_desk_words(connection, arrival.school, arrival.device, columns.effects.desk_words, now)
    return tuple(odd.values())


def _move_head(connection: psycopg.Connection, arrival: ArrivedBatch, opened: OpenEpoch, latest: str) -> None:
    seq, last_hash = arrival.batch.last_seq, arrival.batch.head.hash
    where = (arrival.school, arrival.device)
    if opened.is_closed:
        connection.execute(
            "UPDATE epoch SET last_seq = %s, last_hash = %s, latest = %s"
            " WHERE school = %s AND device = %s AND epoch = %s",
            (seq, last_hash, latest, *where, arrival.epoch),
        )
        return
    connection.execute(
        "UPDATE head SET epoch = %s, seq = %s, hash = %s, latest = %s WHERE school = %s AND device = %s",
        (arrival.epoch, seq, last_hash, latest, *where),
    )


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
