"""A batch into the ledger: each event once, in order, or the reason why the line stops here.

The caller has verified the signature. Then, in one transaction: lock the device's head row → what it covers already is
answered from it → the rest goes in by `INSERT … SELECT unnest`, part by part → the head moves → commit → the receipt
goes out. The chain inside the batch is walked on the way. Where it does not hold nothing is kept, and nothing else is
said about the batch.

A well-formed fact is never refused. What stops the line is only the chain: a gap, a fork, an epoch that is unknown or
over. A fork is kept as evidence before it is answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import receipt
from sync.contract.batch import Batch, link_hashes, walk_links
from sync.contract.chain import DeviceId, Epoch, Hash, Head, genesis
from sync.contract.wire import BatchReply, ProblemDocument, ProblemType, QuarantinedEvent, time_text
from sync.ledger import facts
from sync.ledger.people import People

FORK_ROWS_MAX = 10_000  # a device; beyond it more of the same proves nothing new
PART = 125  # events that one statement stores: while PostgreSQL does, the next ones are read
UNKNOWN = "unknown-person"


@dataclass(frozen=True, slots=True)
class Signature:
    """The evidence that a device sent these bytes, as it stood in the request."""

    content_digest: str
    signature_input: str
    signature: str
    base: bytes
    public_key: bytes
    content_encoding: str
    body: bytes = field(repr=False)  # compressed, as the digest covers it


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch whose signature is good."""

    school: str
    device: DeviceId
    epoch: Epoch
    batch: Batch
    signature: Signature


@dataclass(frozen=True, slots=True)
class _Open:
    """The open epoch: the head that the lock protects."""

    epoch: str
    head: Head


def ingest(
    connection: psycopg.Connection, arrival: Arrival, key: Ed25519PrivateKey, now: datetime, people: People
) -> BatchReply | ProblemDocument:
    """Store what is new of the batch and answer it. `key` signs the receipt. Commits before it returns.

    Raises `MalformedBatch` for a batch that contradicts itself.
    """
    batch = arrival.batch
    # In a pipeline statements are sent without waiting; only what is fetched waits. So a batch waits twice, for its
    # lock and for the commit, and PostgreSQL stores its first events while the rest is still being read.
    with connection.pipeline(), connection.transaction():
        standing = _lock(connection, arrival)
        hashes, known = walk_links(batch), 0  # how many of the batch are here already
        if (standing.epoch, standing.head) != (arrival.epoch, Head(batch.header.first_seq - 1, batch.prev)):
            new = _place(connection, arrival, standing)
            if isinstance(new, ProblemDocument):
                return new
            hashes, known = iter(new), len(batch.lines) - len(new)
        looks = _insert(connection, arrival, hashes, known, now, people) if known < len(batch.lines) else ()
        issued = _receipt(connection, arrival, key, now)
        # What has just gone in is known without asking; only what was there before must be looked up.
        quarantined = _told(looks) if known == 0 else _quarantined(connection, arrival)
    return BatchReply(
        accepted_through=batch.last_seq,
        head=batch.header.head,
        time=time_text(now),
        receipt=issued,
        duplicates=known,
        quarantined=quarantined,
    )


def _lock(connection: psycopg.Connection, arrival: Arrival) -> _Open:
    row = connection.execute(
        "SELECT epoch, seq, hash FROM head WHERE school = %s AND device = %s FOR UPDATE",
        (arrival.school, arrival.device),
    ).fetchone()
    assert row is not None, "enrolment makes the head row"
    epoch, seq, digest = row
    return _Open(epoch, Head(seq, Hash(digest)))


def _place(connection: psycopg.Connection, arrival: Arrival, standing: _Open) -> ProblemDocument | Sequence[Hash]:
    """What is new of a batch that does not simply go on: the first of its epoch, sent again, or not fitting at all."""
    batch = arrival.batch
    hashes = link_hashes(batch)
    if standing.epoch != arrival.epoch:
        problem = _open_epoch(connection, arrival, standing)
        if problem is not None:
            return problem
        standing = _Open(arrival.epoch, Head(0, batch.prev))
    known = standing.head.seq - batch.header.first_seq + 1
    return _check_joint(connection, arrival, hashes, standing.head, known) or hashes[known:]


def _open_epoch(connection: psycopg.Connection, arrival: Arrival, standing: _Open) -> ProblemDocument | None:
    """Supersede the open epoch by the one that this batch begins, or say why that cannot be."""
    header = arrival.batch.header
    over = connection.execute(
        "SELECT 1 FROM epoch WHERE school = %s AND device = %s AND epoch = %s",
        (arrival.school, arrival.device, arrival.epoch),
    ).fetchone()
    if over is not None:
        return ProblemDocument(
            type=ProblemType.EPOCH_SUPERSEDED, status=409, title="this epoch is over",
            detail=f"the device is in epoch {standing.epoch}: open a new epoch and carry over what is not acknowledged",
        )  # fmt: skip
    parent = bytes.fromhex(header.parent)
    expected = genesis(arrival.device, arrival.signature.public_key, arrival.epoch, parent)
    if header.first_seq != 1 or header.prev != expected.hex():
        return ProblemDocument(
            type=ProblemType.EPOCH_UNKNOWN, status=409, title="this epoch is not known",
            detail="a new epoch begins with event 1 behind the genesis of this device, its key and the parent it names",
        )  # fmt: skip
    if standing.epoch:
        connection.execute(
            "UPDATE epoch SET superseded_at = now(), last_seq = %s, last_hash = %s"
            " WHERE school = %s AND device = %s AND epoch = %s",
            (standing.head.seq, standing.head.hash, arrival.school, arrival.device, standing.epoch),
        )
    connection.execute(_INSERT_EPOCH, {
        **_identity(arrival), "public_key": arrival.signature.public_key, "genesis": bytes(expected),
        "parent_hash": parent,
    })  # fmt: skip
    return None


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
    connection: psycopg.Connection, arrival: Arrival, hashes: Sequence[Hash], head: Head, known: int
) -> ProblemDocument | None:
    """Whether the batch and what is stored agree where they meet. `known`: events of the batch at or below the head."""
    header = arrival.batch.header
    if known < 0:
        return ProblemDocument(
            type=ProblemType.GAP, status=409, title="events are missing", expected_seq=head.seq + 1,
            detail=f"send from event {head.seq + 1}",
        )  # fmt: skip
    if known == 0:
        if header.prev == head.hash.hex():
            return None
        return _fork(connection, arrival, hashes, head.seq, head.hash, arrival.batch.prev)
    last_common = min(known, len(hashes))
    if last_common == known:
        if hashes[known - 1] == head.hash:
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


def _stored(connection: psycopg.Connection, arrival: Arrival, first: int, last: int) -> list[Hash]:
    rows = connection.execute(
        "SELECT hash FROM event WHERE school = %s AND device = %s AND epoch = %s AND seq BETWEEN %s AND %s"
        " ORDER BY seq",
        (arrival.school, arrival.device, arrival.epoch, first, last),
    )
    return [Hash(row[0]) for row in rows]


def _fork(
    connection: psycopg.Connection, arrival: Arrival, hashes: Sequence[Hash], seq: int, ours: Hash, theirs: Hash
) -> ProblemDocument:
    """Keep what was sent on the other chain, with its signature, and answer where the two part."""
    kept = connection.execute(_INSERT_FORK, {
        **_identity(arrival), "first_seq": arrival.batch.header.first_seq, "hashes": list(hashes),
        "payloads": list(arrival.batch.lines), "content_digest": arrival.signature.content_digest,
        "rows_max": FORK_ROWS_MAX,
    })  # fmt: skip
    if kept.fetchone() is not None:
        _keep_evidence(connection, arrival, first_seq=0)
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

_INSERT_EVENTS = """
    INSERT INTO event (school, device, epoch, seq, payload, hash, kind, day, flags)
    SELECT %(school)s, %(device)s, %(epoch)s, %(first_seq)s::int8 + n - 1, payload, hash, kind, day, flags
    FROM unnest(%(payloads)b::bytea[], %(hashes)b::bytea[], %(kinds)b::text[], %(days)b::text[], %(flags)b::text[])
         WITH ORDINALITY AS line (payload, hash, kind, day, flags, n)
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
    INSERT INTO carried (school, device, epoch, seq, hash, payload, kind, day, flags, by_epoch, by_seq)
    SELECT %(school)s, %(device)s, parcel.epoch, parcel.seq, parcel.hash, parcel.payload, parcel.kind, parcel.day,
           parcel.flags, %(epoch)s, parcel.by_seq
    FROM unnest(%(epochs)b::text[], %(seqs)b::int8[], %(hashes)b::bytea[], %(payloads)b::bytea[], %(kinds)b::text[],
                %(days)b::text[], %(flags)b::text[], %(by_seqs)b::int8[])
         AS parcel (epoch, seq, hash, payload, kind, day, flags, by_seq)
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


def _identity(arrival: Arrival) -> dict[str, str]:
    return {"school": arrival.school, "device": arrival.device, "epoch": arrival.epoch}


def _insert(
    connection: psycopg.Connection,
    arrival: Arrival,
    hashes: Iterator[Hash],
    known: int,
    now: datetime,
    people: People,
) -> Sequence[facts.Look]:
    """Everything behind the first `known` events, whose `hashes` these are, and the head; what went into quarantine."""
    _keep_evidence(connection, arrival, arrival.batch.header.first_seq + known)
    starts = range(known, len(arrival.batch.lines), PART)
    parts = [_insert_part(connection, arrival, start, list(islice(hashes, PART)), now) for start in starts]
    named = {person: seq for part in reversed(parts) for person, seq in part.people.items()}  # where first named
    looks = {look.seq: look for look in _strangers(connection, arrival, named, people)}
    looks |= {look.seq: look for part in parts for look in part.looks}
    parcels = [parcel for part in parts for parcel in part.parcels]
    if parcels:
        _insert_carried(connection, arrival, parcels)
    if looks:
        connection.execute(_INSERT_QUARANTINE, {
            **_identity(arrival), "seqs": list(looks), "codes": [look.code for look in looks.values()],
            "details": [look.detail for look in looks.values()],
        })  # fmt: skip
    connection.execute(
        "UPDATE head SET epoch = %s, seq = %s, hash = %s WHERE school = %s AND device = %s",
        (arrival.epoch, arrival.batch.last_seq, arrival.batch.head.hash, arrival.school, arrival.device),
    )
    return tuple(looks.values())


def _insert_part(
    connection: psycopg.Connection, arrival: Arrival, start: int, hashes: Sequence[Hash], now: datetime
) -> facts.Columns:
    """Send the events from the one at `start` on, as many as `hashes`; what was read of them. Does not wait."""
    first_seq = arrival.batch.header.first_seq + start
    payloads = arrival.batch.lines[start : start + len(hashes)]
    columns = facts.read(
        payloads, first_seq, school=arrival.school, epoch=arrival.epoch, now=now,
        stones=frozenset(arrival.batch.header.tombstones),
    )  # fmt: skip
    connection.execute(_INSERT_EVENTS, {
        **_identity(arrival), "first_seq": first_seq, "payloads": list(payloads),
        "hashes": list(hashes), "kinds": columns.kinds,
        "days": columns.days, "flags": columns.flags,
    })  # fmt: skip
    return columns


def _told(looks: Sequence[facts.Look]) -> tuple[QuarantinedEvent, ...]:
    return tuple(
        QuarantinedEvent(seq=look.seq, code=look.code, detail=look.detail)
        for look in sorted(looks, key=lambda each: each.seq)
    )


def _insert_carried(connection: psycopg.Connection, arrival: Arrival, parcels: Sequence[facts.Parcel]) -> None:
    connection.execute(_INSERT_CARRIED, {
        **_identity(arrival), "epochs": [p.epoch for p in parcels], "seqs": [p.seq for p in parcels],
        "hashes": [p.hash for p in parcels], "payloads": [p.payload for p in parcels],
        "kinds": [p.kind for p in parcels], "days": [p.day for p in parcels], "flags": [p.flags for p in parcels],
        "by_seqs": [p.by_seq for p in parcels],
    })  # fmt: skip


def _strangers(
    connection: psycopg.Connection, arrival: Arrival, named: Mapping[str, int], people: People
) -> list[facts.Look]:
    if not named:
        return []
    unknown = people.unknown(connection, arrival.school, named)
    return [
        facts.Look(seq, UNKNOWN, "a person who was never on this school's roster")
        for person, seq in named.items()
        if person in unknown
    ]


def _keep_evidence(connection: psycopg.Connection, arrival: Arrival, first_seq: int) -> None:
    signature = arrival.signature
    connection.execute(_INSERT_BATCH, {
        **_identity(arrival), "last_seq": arrival.batch.last_seq, "first_seq": first_seq,
        "content_digest": signature.content_digest, "signature_input": signature.signature_input,
        "signature": signature.signature, "signed": signature.base, "public_key": signature.public_key,
        "content_encoding": signature.content_encoding, "body": signature.body,
    })  # fmt: skip


def _quarantined(connection: psycopg.Connection, arrival: Arrival) -> tuple[QuarantinedEvent, ...]:
    """What of this batch stands in quarantine, told again to a kiosk that lost the first answer."""
    rows = connection.execute(
        "SELECT seq, code, detail FROM quarantine WHERE school = %s AND device = %s AND epoch = %s"
        " AND seq BETWEEN %s AND %s ORDER BY seq",
        (arrival.school, arrival.device, arrival.epoch, arrival.batch.header.first_seq, arrival.batch.last_seq),
    )
    return tuple(QuarantinedEvent(seq=seq, code=code, detail=detail) for seq, code, detail in rows)


def _receipt(
    connection: psycopg.Connection, arrival: Arrival, key: Ed25519PrivateKey, now: datetime
) -> receipt.Receipt:
    """The ledger's word for this batch, kept as it was given."""
    head = arrival.batch.head
    issued = receipt.issue(key, arrival.device, arrival.epoch, head, time_text(now))
    connection.execute(
        "INSERT INTO receipt (school, device, epoch, accepted_through, head, receipt) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (arrival.school, arrival.device, arrival.epoch, head.seq, bytes(head.hash), receipt.to_json(issued)),
    )
    return issued
