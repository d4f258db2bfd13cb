"""Where a batch joins the events that are stored: at the head, behind a hole, in a closed epoch, or nowhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg

from sync.contract.batch import Batch
from sync.contract.chain import Epoch, Hash, Head, genesis
from sync.contract.wire import ProblemDocument, ProblemType
from sync.ledger.intake.arrivals import ArrivedBatch, identify, store_evidence

FORK_ROWS_MAX = 10_000  # a device; beyond it more of the same proves nothing new


@dataclass(frozen=True, slots=True)
class OpenEpoch:
    """The open epoch: the head that the lock protects, and the latest good wall time up to it, also of earlier epochs.

    Or one that is closed, and goes on with what the kiosk still has of it.
    """

    epoch: str
    head: Head
    latest: str = ""
    is_closed: bool = False


def lock_head(connection: psycopg.Connection, arrival: ArrivedBatch) -> OpenEpoch:
    """Locks the device's head row until the commit and returns the open epoch.

    Nothing else is asked here: a statement that waits for a lock sees other tables as they were before it waited.
    """
    row = connection.execute(
        "SELECT epoch, seq, hash, latest FROM head WHERE school = %s AND device = %s FOR UPDATE",
        (arrival.school, arrival.device),
    ).fetchone()
    assert row is not None, "registering makes the head row"
    epoch, seq, digest, latest = row
    return OpenEpoch(epoch, Head(seq, Hash(digest)), latest)


def find_new(
    connection: psycopg.Connection, arrival: ArrivedBatch, opened: OpenEpoch, hashes: Sequence[Hash]
) -> ProblemDocument | tuple[OpenEpoch, int]:
    """Returns where a batch that does not simply go on begins to be new, or the problem with it.

    That is the epoch, and how many of the batch's first events are stored already. It is the first batch of its epoch,
    one that is sent again, one behind a hole, or one that does not fit at all.
    """
    batch = arrival.batch
    if opened.epoch != arrival.epoch:
        stored = _read_closed(connection, arrival)
        joined = _open_epoch(connection, arrival, opened) if stored is None else stored
        if isinstance(joined, ProblemDocument):
            return joined
        opened = joined
    if _leaps(batch, arrival.epoch, opened.head.seq):
        opened = replace(opened, head=Head(batch.header.first_seq - 1, batch.prev))
    duplicates = opened.head.seq - batch.header.first_seq + 1
    problem = _check_joint(connection, arrival, hashes, opened.head, duplicates)
    return problem or (opened, min(duplicates, len(hashes)))


def _leaps(batch: Batch, epoch: Epoch, stored_seq: int) -> bool:
    """Returns True where the batch names a hole that lies exactly between the stored events and its own."""
    expected = (epoch, stored_seq + 1, batch.header.first_seq - 1, batch.header.prev)
    return any((hole.epoch, hole.first_seq, hole.last_seq, hole.last_hash) == expected for hole in batch.header.holes)


def _read_closed(connection: psycopg.Connection, arrival: ArrivedBatch) -> OpenEpoch | ProblemDocument | None:
    """Returns a closed epoch, to go on with what the kiosk still has of it; None for an epoch that is new here.

    Only a kiosk that knows the epoch to be closed may add to it: another one is told to open a new epoch.
    """
    row = connection.execute(_SELECT_CLOSED, identify(arrival)).fetchone()
    if row is None:
        return None
    if not arrival.batch.header.closed:
        return ProblemDocument(
            type=ProblemType.EPOCH_SUPERSEDED, status=409, title="this epoch is over",
            detail="the device is in a later epoch: open a new one and carry over what is not acknowledged",
        )  # fmt: skip
    seq, last_hash, latest = row
    return OpenEpoch(arrival.epoch, Head(seq, Hash(last_hash)), latest, is_closed=True)


_SELECT_CLOSED = """
    SELECT last_seq, coalesce(last_hash, genesis), latest
    FROM epoch WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s
"""


def _open_epoch(
    connection: psycopg.Connection, arrival: ArrivedBatch, opened: OpenEpoch
) -> ProblemDocument | OpenEpoch:
    """Supersedes the open epoch by the one that this batch begins and returns it, or the problem with that."""
    header = arrival.batch.header
    if header.follows and (not opened.epoch or header.follows != opened.head.hash.hex()):
        # A backup was put back since the kiosk asked. The epoch must not open before what the ledger has lost is here.
        return ProblemDocument(
            type=ProblemType.GAP, status=409, title="events are missing", expected_seq=opened.head.seq + 1,
            detail="the ledger stands elsewhere than this epoch says: ask for the cursor",
        )  # fmt: skip
    parent = bytes.fromhex(header.parent)
    public_key, expected = _find_genesis(connection, arrival, parent)
    if not _leaps(arrival.batch, arrival.epoch, 0) and (header.first_seq != 1 or header.prev != expected.hex()):
        return ProblemDocument(
            type=ProblemType.EPOCH_UNKNOWN, status=409, title="this epoch is not known",
            detail="a new epoch begins with event 1 behind the genesis of this device, its key and the parent it names",
        )  # fmt: skip
    if opened.epoch:
        connection.execute(
            "UPDATE epoch SET superseded_at = now(), last_seq = %s, last_hash = %s, latest = %s"
            " WHERE school = %s AND device = %s AND epoch = %s",
            (opened.head.seq, opened.head.hash, opened.latest, arrival.school, arrival.device, opened.epoch),
        )
    connection.execute(_INSERT_EPOCH, {
        **identify(arrival), "public_key": public_key, "genesis": bytes(expected),
        "parent_hash": parent,
    })  # fmt: skip
    # A new epoch is no way out of the order of time: what the device told before it still came before.
    return OpenEpoch(arrival.epoch, Head(0, expected), opened.latest)


def _find_genesis(connection: psycopg.Connection, arrival: ArrivedBatch, parent: bytes) -> tuple[bytes, Hash]:
    """Returns the genesis that the batch goes on from, and its key: the signer's, or a former one of the device's.

    A former key's epoch comes again, signed by the key in force, where the ledger has lost it.
    """
    signer = arrival.signature.public_key
    expected = genesis(arrival.device, signer, arrival.epoch, parent)
    if arrival.batch.header.prev == expected.hex():
        return signer, expected
    rows = connection.execute(
        "SELECT public_key FROM device_key WHERE school = %s AND device = %s", (arrival.school, arrival.device)
    )
    for (former,) in rows:
        found = genesis(arrival.device, bytes(former), arrival.epoch, parent)
        if arrival.batch.header.prev == found.hex():
            return bytes(former), found
    return signer, expected


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
    elif _stored(connection, arrival, arrival.batch.last_seq, arrival.batch.last_seq) == {
        arrival.batch.last_seq: hashes[-1]
    }:
        return None
    before = header.first_seq - 1
    stored = _stored(connection, arrival, max(before, 1), before + last_common)
    received = {before: arrival.batch.prev} if before else {}
    received |= dict(enumerate(hashes[:last_common], before + 1))
    # What nothing here bears out is another chain, too: of a detached month only what receipts cover is known.
    seq = next(seq for seq, digest in received.items() if stored.get(seq) != digest)
    return _fork(connection, arrival, hashes, seq, stored.get(seq, Hash(b"")), received[seq])


def _stored(connection: psycopg.Connection, arrival: ArrivedBatch, first: int, last: int) -> dict[int, Hash]:
    """Returns the hashes of an epoch's events by number: as they are stored, and as receipts have promised them."""
    rows = connection.execute(_SELECT_HASHES, {**identify(arrival), "first": first, "last": last})
    return {seq: Hash(digest) for seq, digest in rows}


_SELECT_HASHES = """
    SELECT accepted_through, head FROM receipt WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s
      AND accepted_through BETWEEN %(first)s AND %(last)s
    UNION
    SELECT seq, hash FROM event WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s
      AND seq BETWEEN %(first)s AND %(last)s
"""


def _fork(
    connection: psycopg.Connection, arrival: ArrivedBatch, hashes: Sequence[Hash], seq: int, ours: Hash, theirs: Hash
) -> ProblemDocument:
    """Stores what was sent on the other chain, with its signature, and returns the problem: where the two part."""
    inserted = connection.execute(_INSERT_FORK, {
        **identify(arrival), "first_seq": arrival.batch.header.first_seq, "hashes": list(hashes),
        "payloads": list(arrival.batch.lines), "content_digest": arrival.signature.content_digest,
        "rows_max": FORK_ROWS_MAX,
    })  # fmt: skip
    if inserted.fetchone() is not None:
        store_evidence(connection, arrival, first_seq=0)
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
