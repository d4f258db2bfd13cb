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
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt
from sync.contract.batch import Batch, link_hashes, walk_links
from sync.contract.chain import DeviceId, Epoch, Hash, Head, extend, genesis
from sync.contract.wire import BatchReply, ProblemDocument, ProblemType, QuarantinedEvent, time_text
from sync.ledger import logs
from sync.ledger.day_marks import mark_days
from sync.ledger.event_columns import EventColumns, OddEvent, read_columns
from sync.ledger.event_rows import CarriedEvent, DayEffects, RowArrays
from sync.ledger.holes import note_holes, note_lost
from sync.ledger.people import RosterMembers

FORK_ROWS_MAX = 10_000  # a device; beyond it more of the same proves nothing new
PART_EVENTS = 125  # in one statement: while PostgreSQL stores them, the next ones are read
UNKNOWN_PERSON = "unknown-person"


@dataclass(frozen=True, slots=True)
class SignatureEvidence:
    """The evidence that a device sent these bytes, as it stood in the request."""

    content_digest: str
    signature_input: str
    signature: str
    base: bytes
    public_key: bytes
    content_encoding: str
    body: bytes = field(repr=False)  # compressed, as the digest covers it


@dataclass(frozen=True, slots=True)
class ArrivedBatch:
    """A batch whose signature is good."""

    school: str
    device: DeviceId
    epoch: Epoch
    batch: Batch
    signature: SignatureEvidence


@dataclass(frozen=True, slots=True)
class _OpenEpoch:
    """The open epoch: the head that the lock protects, and the latest good wall time of its events.

    Or one that is closed, and goes on with what the kiosk still has of it.
    """

    epoch: str
    head: Head
    latest: str = ""
    is_closed: bool = False
    has_copies: bool = False  # some of its events may be here under their own names, carried or from a stick


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
        opened = _lock(connection, arrival)
        hashes, duplicates = walk_links(batch), 0
        if (opened.epoch, opened.head) != (arrival.epoch, Head(batch.header.first_seq - 1, batch.prev)):
            joined = _find_new(connection, arrival, opened)
            if isinstance(joined, ProblemDocument):
                return joined
            opened, new = joined
            hashes, duplicates = iter(new), len(batch.lines) - len(new)
        odd: Sequence[OddEvent] = ()
        if duplicates < len(batch.lines):
            odd = _insert(connection, arrival, opened, hashes, duplicates, now, members)
        filled = _fill_tombstones(connection, arrival, duplicates, now) if duplicates else ()
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


def _lock(connection: psycopg.Connection, arrival: ArrivedBatch) -> _OpenEpoch:
    row = connection.execute(
        "SELECT epoch, seq, hash, latest, EXISTS ("
        " SELECT 1 FROM carried c WHERE c.school = head.school AND c.device = head.device AND c.epoch = head.epoch"
        ") FROM head WHERE school = %s AND device = %s FOR UPDATE",
        (arrival.school, arrival.device),
    ).fetchone()
    assert row is not None, "registering makes the head row"
    epoch, seq, digest, latest, has_copies = row
    return _OpenEpoch(epoch, Head(seq, Hash(digest)), latest, has_copies=has_copies)


def _find_new(
    connection: psycopg.Connection, arrival: ArrivedBatch, opened: _OpenEpoch
) -> ProblemDocument | tuple[_OpenEpoch, Sequence[Hash]]:
    """Returns the epoch and the hashes of the new events of a batch that does not simply go on, or the problem with it.

    It is the first batch of its epoch, one that is sent again, one behind a hole, or one that does not fit at all.
    """
    batch = arrival.batch
    hashes = link_hashes(batch)
    if opened.epoch != arrival.epoch:
        stored = _read_closed(connection, arrival)
        joined = _open_epoch(connection, arrival, opened) if stored is None else stored
        if isinstance(joined, ProblemDocument):
            return joined
        opened = joined
    if _leaps(batch, arrival.epoch, opened.head.seq):
        opened = replace(opened, head=Head(batch.header.first_seq - 1, batch.prev))
    duplicates = opened.head.seq - batch.header.first_seq + 1
    return _check_joint(connection, arrival, hashes, opened.head, duplicates) or (opened, hashes[max(duplicates, 0) :])


def _leaps(batch: Batch, epoch: Epoch, stored_seq: int) -> bool:
    """Returns True where the batch names a hole that lies exactly between the stored events and its own."""
    expected = (epoch, stored_seq + 1, batch.header.first_seq - 1, batch.header.prev)
    return any((hole.epoch, hole.first_seq, hole.last_seq, hole.last_hash) == expected for hole in batch.header.holes)


def _read_closed(connection: psycopg.Connection, arrival: ArrivedBatch) -> _OpenEpoch | ProblemDocument | None:
    """Returns a closed epoch, to go on with what the kiosk still has of it; None for an epoch that is new here.

    Only a kiosk that knows the epoch to be closed may add to it: another one is told to open a new epoch.
    """
    row = connection.execute(_SELECT_CLOSED, _identity(arrival)).fetchone()
    if row is None:
        return None
    if not arrival.batch.header.closed:
        return ProblemDocument(
            type=ProblemType.EPOCH_SUPERSEDED, status=409, title="this epoch is over",
            detail="the device is in a later epoch: open a new one and carry over what is not acknowledged",
        )  # fmt: skip
    seq, last_hash, latest = row
    return _OpenEpoch(arrival.epoch, Head(seq, Hash(last_hash)), latest, is_closed=True, has_copies=True)


_SELECT_CLOSED = """
    SELECT last_seq, coalesce(last_hash, genesis), coalesce((
        SELECT latest_before FROM event
        WHERE event.school = epoch.school AND event.device = epoch.device AND event.epoch = epoch.epoch
          AND event.seq = epoch.last_seq
    ), '')
    FROM epoch WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s
"""


def _open_epoch(
    connection: psycopg.Connection, arrival: ArrivedBatch, opened: _OpenEpoch
) -> ProblemDocument | _OpenEpoch:
    """Supersedes the open epoch by the one that this batch begins and returns it, or the problem with that."""
    header = arrival.batch.header
    if header.follows and (not opened.epoch or header.follows != opened.head.hash.hex()):
        # A backup was put back since the kiosk asked. The epoch must not open before what the ledger has lost is here.
        return ProblemDocument(
            type=ProblemType.GAP, status=409, title="events are missing", expected_seq=opened.head.seq + 1,
            detail="the ledger stands elsewhere than this epoch says: ask for the cursor",
        )  # fmt: skip
    parent = bytes.fromhex(header.parent)
    expected = genesis(arrival.device, arrival.signature.public_key, arrival.epoch, parent)
    if not _leaps(arrival.batch, arrival.epoch, 0) and (header.first_seq != 1 or header.prev != expected.hex()):
        return ProblemDocument(
            type=ProblemType.EPOCH_UNKNOWN, status=409, title="this epoch is not known",
            detail="a new epoch begins with event 1 behind the genesis of this device, its key and the parent it names",
        )  # fmt: skip
    if opened.epoch:
        connection.execute(
            "UPDATE epoch SET superseded_at = now(), last_seq = %s, last_hash = %s"
            " WHERE school = %s AND device = %s AND epoch = %s",
            (opened.head.seq, opened.head.hash, arrival.school, arrival.device, opened.epoch),
        )
    connection.execute(_INSERT_EPOCH, {
        **_identity(arrival), "public_key": arrival.signature.public_key, "genesis": bytes(expected),
        "parent_hash": parent,
    })  # fmt: skip
    return _OpenEpoch(arrival.epoch, Head(0, expected), has_copies=True)


# The parent is a head that was acknowledged, so its receipt says which epoch and event it was.
_INSERT_EPOCH = """
    INSERT INTO epoch (school, device, epoch, public_key, genesis, parent_hash, parent, parent_seq)
    SELECT %(school)s, %(device)s, %(epoch)s, %(public_key)s, %(genesis)s, %(parent_hash)s,
           coalesce(found.epoch, ''), coalesce(found.accepted_through, 0)
    FROM (SELECT) AS one LEFT JOIN LATERAL (
        SELECT epoch, accepted_through FROM receipt
        WHERE school = %(school)s AND device = %(device)s AND head = %(parent_hash)s
        ORDER BY issued_at DESC LIMIT 1
    ) AS found ON true
"""


def _check_joint(
    connection: psycopg.Connection, arrival: ArrivedBatch, hashes: Sequence[Hash], head: Head, duplicates: int
) -> ProblemDocument | None:
    """Returns the problem where batch and stored events disagree. `duplicates`: events of the batch up to the head."""
    header = arrival.batch.header
    if duplicates < 0:
        return ProblemDocument(
            type=ProblemType.GAP, status=409, title="events are missing", expected_seq=head.seq + 1,
            detail=f"send from event {head.seq + 1}",
        )  # fmt: skip
    if duplicates == 0:
        if header.prev == head.hash.hex():
            return None
        return _fork(connection, arrival, hashes, head.seq, head.hash, arrival.batch.prev)
    last_common = min(duplicates, len(hashes))
    if last_common == duplicates:
        if hashes[duplicates - 1] == head.hash:
            return None
    elif _stored(connection, arrival, arrival.batch.last_seq, arrival.batch.last_seq) == [hashes[-1]]:
        return None
    before = header.first_seq - 1
    stored = _stored(connection, arrival, max(before, 1), before + last_common)
    received = [arrival.batch.prev, *hashes[:last_common]]
    if before == 0:
        received = received[1:]
    pairs = enumerate(zip(stored, received, strict=True), max(before, 1))
    seq, (ours, theirs) = next((seq, pair) for seq, pair in pairs if pair[0] != pair[1])
    return _fork(connection, arrival, hashes, seq, ours, theirs)


def _stored(connection: psycopg.Connection, arrival: ArrivedBatch, first: int, last: int) -> list[Hash]:
    rows = connection.execute(
        "SELECT hash FROM event WHERE school = %s AND device = %s AND epoch = %s AND seq BETWEEN %s AND %s"
        " ORDER BY seq",
        (arrival.school, arrival.device, arrival.epoch, first, last),
    )
    return [Hash(row[0]) for row in rows]


def _fork(
    connection: psycopg.Connection, arrival: ArrivedBatch, hashes: Sequence[Hash], seq: int, ours: Hash, theirs: Hash
) -> ProblemDocument:
    """Stores what was sent on the other chain, with its signature, and returns the problem: where the two part."""
    inserted = connection.execute(_INSERT_FORK, {
        **_identity(arrival), "first_seq": arrival.batch.header.first_seq, "hashes": list(hashes),
        "payloads": list(arrival.batch.lines), "content_digest": arrival.signature.content_digest,
        "rows_max": FORK_ROWS_MAX,
    })  # fmt: skip
    if inserted.fetchone() is not None:
        _store_evidence(connection, arrival, first_seq=0)
    return ProblemDocument(
        type=ProblemType.FORK, status=409, title="another event stands under this number",
        detail=f"from event {seq} on the ledger holds another chain: open a new epoch that names the ledger's head",
        seq=seq, stored=ours.hex(), received=theirs.hex(),
    )  # fmt: skip


_INSERT_FORK = """
    INSERT INTO fork (school, device, epoch, seq, hash, payload, ledger_hash, content_digest)
    SELECT %(school)s, %(device)s, %(epoch)s, sent.seq, sent.hash, sent.payload, coalesce(event.hash, ''),
           %(content_digest)s
    FROM (
        SELECT %(first_seq)s::int8 + n - 1 AS seq, hash, payload
        FROM unnest(%(hashes)b::bytea[], %(payloads)b::bytea[]) WITH ORDINALITY AS line (hash, payload, n)
    ) AS sent
    LEFT JOIN event ON event.school = %(school)s AND event.device = %(device)s AND event.epoch = %(epoch)s
                    AND event.seq = sent.seq
    WHERE event.hash IS DISTINCT FROM sent.hash
      AND (SELECT count(*) FROM fork WHERE school = %(school)s AND device = %(device)s) < %(rows_max)s
    ON CONFLICT DO NOTHING
    RETURNING seq
"""

# The columns that many events share come once a context; each event names its own.
_INSERT_EVENTS = """
    INSERT INTO event (
        school, device, epoch, seq, payload, hash, latest_before, kind, day, flags, person, session, service_date,
        programme, method, claim, reader, operator, note, group_id, recorded_at, boot, mono_ms, clock, roster,
        named_device, named_epoch, named_seq
    )
    SELECT %(school)s, %(device)s, %(epoch)s, %(first_seq)s::int8 + n - 1, payload, hash, latest_before, kind, day,
           flags, person, session, service_date, programme, method, claim, reader, operator, note, group_id,
           recorded_at, boot, mono_ms, clock, roster, named_device, named_epoch, named_seq
    FROM unnest(
        %(payloads)b::bytea[], %(hashes)b::bytea[], %(context)b::int8[], %(person)b::text[],
        %(recorded_at)b::text[], %(mono_ms)b::int8[], %(named_seq)b::int8[]
    ) WITH ORDINALITY AS line (payload, hash, number, person, recorded_at, mono_ms, named_seq, n)
    JOIN jsonb_to_recordset(%(contexts)s::jsonb) AS context (
        number int8, kind text, day text, flags text, session text, service_date text, programme text, method text,
        claim text, reader text, operator text, note text, group_id text, boot text, clock text, roster int8,
        named_device text, named_epoch text, latest_before text
    ) USING (number)
"""

_INSERT_BATCH = """
    INSERT INTO batch (school, device, epoch, last_seq, content_digest, first_seq, signature_input, signature, signed,
                       public_key, content_encoding, body)
    VALUES (%(school)s, %(device)s, %(epoch)s, %(last_seq)s, %(content_digest)s, %(first_seq)s, %(signature_input)s,
            %(signature)s, %(signed)s, %(public_key)s, %(content_encoding)s, %(body)b)
    ON CONFLICT DO NOTHING
"""

# An old identity is new here unless the ledger has it with this very hash, as an event or carried before.
_INSERT_CARRIED = """
    INSERT INTO carried (
        school, device, by_epoch, epoch, seq, hash, payload, by_seq, kind, day, flags, person, session, service_date,
        programme, method, claim, reader, operator, note, group_id, recorded_at, boot, mono_ms, clock, roster,
        named_device, named_epoch, named_seq
    )
    SELECT %(school)s, %(device)s, %(by_epoch)s, parcel.epoch, seq, hash, payload, by_seq, kind, day, flags, person,
           session, service_date, programme, method, claim, reader, operator, note, group_id, recorded_at, boot,
           mono_ms, clock, roster, named_device, named_epoch, named_seq
    FROM unnest(
        %(epochs)b::text[], %(seqs)b::int8[], %(hashes)b::bytea[], %(payloads)b::bytea[], %(by_seqs)b::int8[],
        %(context)b::int8[], %(person)b::text[], %(recorded_at)b::text[], %(mono_ms)b::int8[], %(named_seq)b::int8[]
    ) AS parcel (epoch, seq, hash, payload, by_seq, number, person, recorded_at, mono_ms, named_seq)
    JOIN jsonb_to_recordset(%(contexts)s::jsonb) AS context (
        number int8, kind text, day text, flags text, session text, service_date text, programme text, method text,
        claim text, reader text, operator text, note text, group_id text, boot text, clock text, roster int8,
        named_device text, named_epoch text, latest_before text
    ) USING (number)
    WHERE NOT EXISTS (
        SELECT 1 FROM event
        WHERE event.school = %(school)s AND event.device = %(device)s AND event.epoch = parcel.epoch
          AND event.seq = parcel.seq AND event.hash = parcel.hash
    )
    ON CONFLICT DO NOTHING
"""

_INSERT_QUARANTINE = """
    INSERT INTO quarantine (school, device, epoch, seq, code, detail)
    SELECT %(school)s, %(device)s, %(epoch)s, * FROM unnest(%(seqs)b::int8[], %(codes)b::text[], %(details)b::text[])
"""


def _identity(arrival: ArrivedBatch) -> dict[str, str]:
    return {"school": arrival.school, "device": arrival.device, "epoch": arrival.epoch}


def _insert(
    connection: psycopg.Connection,
    arrival: ArrivedBatch,
    opened: _OpenEpoch,
    hashes: Iterator[Hash],
    duplicates: int,
    now: datetime,
    members: RosterMembers,
) -> Sequence[OddEvent]:
    """Stores the events behind the duplicates, whose `hashes` these are, and the head. Returns the quarantined ones."""
    _store_evidence(connection, arrival, arrival.batch.header.first_seq + duplicates)
    effects, parts, latest = DayEffects(), list[EventColumns](), opened.latest
    for start in range(duplicates, len(arrival.batch.lines), PART_EVENTS):
        part = _insert_part(connection, arrival, start, list(islice(hashes, PART_EVENTS)), now, latest, effects)
        latest = part.latest
        parts.append(part)
    if opened.has_copies:
        connection.execute(_DELETE_CARRIED, {
            **_identity(arrival), "first_seq": arrival.batch.header.first_seq, "last_seq": arrival.batch.last_seq,
        })  # fmt: skip
    named = {person: seq for part in reversed(parts) for person, seq in part.people.items()}  # where first named
    odd = {stranger.seq: stranger for stranger in _strangers(connection, arrival, named, members)}
    odd |= {event.seq: event for part in parts for event in part.odd}
    carried = [event for part in parts for event in part.carried]
    if carried:
        insert_carried(connection, arrival.school, arrival.device, arrival.epoch, carried)
        _fill_carried_tombstones(connection, arrival, carried, now)
    if odd:
        connection.execute(_INSERT_QUARANTINE, {
            **_identity(arrival), "seqs": list(odd), "codes": [event.code for event in odd.values()],
            "details": [event.detail for event in odd.values()],
        })  # fmt: skip
    lines = [*arrival.batch.lines[duplicates:], *(event.payload for event in carried)]
    note_lost(connection, arrival.school, arrival.device, lines)
    _move_head(connection, arrival, opened, latest)
    logs.append_batch(connection, arrival.school, arrival.device, arrival.epoch, arrival.batch.head)
    mark_days(connection, arrival.school, arrival.device, effects)
    return tuple(odd.values())


def _move_head(connection: psycopg.Connection, arrival: ArrivedBatch, opened: _OpenEpoch, latest: str) -> None:
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


# While the ledger lacked these events, copies of them may have come in a later epoch or on a stick, under their own
# names. Each fact counts once; the event that carried it stays.
_DELETE_CARRIED = """
    DELETE FROM carried USING event
    WHERE carried.school = %(school)s AND carried.device = %(device)s AND carried.epoch = %(epoch)s
      AND carried.seq BETWEEN %(first_seq)s AND %(last_seq)s
      AND event.school = %(school)s AND event.device = %(device)s AND event.epoch = %(epoch)s
      AND event.seq = carried.seq AND event.hash = carried.hash
"""


def _fill_tombstones(
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
        _fill_tombstone(connection, arrival, arrival.epoch, seq, lines[seq - header.first_seq], now)
    if filled:
        _store_evidence(connection, arrival, first_seq=0)
    return tuple(filled)


def _fill_carried_tombstones(
    connection: psycopg.Connection, arrival: ArrivedBatch, carried: Sequence[CarriedEvent], now: datetime
) -> None:
    """Stores the bytes of carried events of which only a tombstone stands here, where the chain bears them out."""
    by_name = {(event.epoch, event.seq): event for event in carried}
    rows = connection.execute(_SELECT_TOMBSTONES, {
        "school": arrival.school, "device": arrival.device, "epochs": [event.epoch for event in carried],
        "seqs": [event.seq for event in carried], "hashes": [event.hash for event in carried],
    }).fetchall()  # fmt: skip
    for epoch, seq, before in rows:
        event = by_name[epoch, seq]
        if extend(Hash(before), event.payload) == event.hash:
            _fill_tombstone(connection, arrival, event.epoch, seq, event.payload, now)


def _fill_tombstone(
    connection: psycopg.Connection, arrival: ArrivedBatch, epoch: Epoch, seq: int, payload: bytes, now: datetime
) -> None:
    effects = DayEffects()
    columns = read_columns([payload], seq, school=arrival.school, epoch=epoch, now=now, effects=effects)
    identity = {"school": arrival.school, "device": arrival.device, "epoch": epoch, "seq": seq}
    connection.execute(_FILL_TOMBSTONE, {**identity, "payload": payload, **columns.rows.first()})
    connection.execute(_DELETE_TOMBSTONE_NOTE, identity)
    if columns.carried:
        insert_carried(connection, arrival.school, arrival.device, epoch, columns.carried)
    note_lost(connection, arrival.school, arrival.device, [payload])
    mark_days(connection, arrival.school, arrival.device, effects)


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
        named_device = %(named_device)s, named_epoch = %(named_epoch)s, named_seq = %(named_seq)s
    WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s AND seq = %(seq)s
"""

_DELETE_TOMBSTONE_NOTE = """
    DELETE FROM quarantine
    WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s AND seq = %(seq)s AND code = 'tombstone'
"""


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
        **_identity(arrival), "first_seq": first_seq, "payloads": list(payloads),
        "hashes": list(hashes), **columns.rows.parameters(),
    })  # fmt: skip
    return columns


def _list_quarantined(odd: Sequence[OddEvent]) -> tuple[QuarantinedEvent, ...]:
    return tuple(
        QuarantinedEvent(seq=event.seq, code=event.code, detail=event.detail)
        for event in sorted(odd, key=lambda event: event.seq)
    )


def insert_carried(
    connection: psycopg.Connection, school: str, device: DeviceId, by_epoch: str, carried: Sequence[CarriedEvent]
) -> None:
    """Stores events under their old names, where they are not there already. Does not wait for the database."""
    rows = RowArrays()
    for event in carried:
        rows.add(event.row)
    connection.execute(_INSERT_CARRIED, {
        "school": school, "device": device, "by_epoch": by_epoch,
        "epochs": [event.epoch for event in carried], "seqs": [event.seq for event in carried],
        "hashes": [event.hash for event in carried], "payloads": [event.payload for event in carried],
        "by_seqs": [event.by_seq for event in carried], **rows.parameters(),
    })  # fmt: skip


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


def _store_evidence(connection: psycopg.Connection, arrival: ArrivedBatch, first_seq: int) -> None:
    signature = arrival.signature
    connection.execute(_INSERT_BATCH, {
        **_identity(arrival), "last_seq": arrival.batch.last_seq, "first_seq": first_seq,
        "content_digest": signature.content_digest, "signature_input": signature.signature_input,
        "signature": signature.signature, "signed": signature.base, "public_key": signature.public_key,
        "content_encoding": signature.content_encoding, "body": signature.body,
    })  # fmt: skip


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
