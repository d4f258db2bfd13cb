"""The logs of each school: leaves in, numbers and checkpoints by the checkpointer, proofs out.

A leaf is added by one statement in the transaction of what it speaks of, and waits. Whoever holds the lock of the log's
head numbers what waits, in the order in which it came, stores the subtrees that are complete now, and signs. So ingest
never waits for another kiosk's, and a leaf that is committed is under a checkpoint a moment later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from sync.contract.chain import DeviceId, Epoch, Head
from sync.proof.checkpoints import open_checkpoint, read_cosignature
from sync.proof.leaves import LogName, VersionedKind, batch_leaf, version_leaf
from sync.proof.notes import BadNote, NoteKey, SignedNote, parse_note
from sync.proof.signer import LogSigner
from sync.proof.tree import (
    SubtreeName,
    TreeFrontier,
    consistency_parts,
    hash_leaf,
    hash_part,
    inclusion_parts,
    subtrees,
)

SEALED_LEAVES_MAX = 5_000  # under one lock


@dataclass(frozen=True, slots=True)
class LogHead:
    """Where a log stands: its newest checkpoint and the newest that a witness has cosigned; None: none yet."""

    size: int
    checkpoint: SignedNote | None
    cosigned_size: int
    cosigned: SignedNote | None


def append_leaf(connection: psycopg.Connection, school: str, log: LogName, leaf: bytes, device: str = "") -> int:
    """Adds a leaf to a log in the caller's transaction, and returns its entry: not its place, which it gets later."""
    row = connection.execute(f"{_INSERT_LEAF} RETURNING entry", (school, log, leaf, device)).fetchone()
    assert row is not None
    return int(row[0])


_INSERT_LEAF = "INSERT INTO log_leaf (school, log, leaf, device) VALUES (%s, %s, %s, %s)"


def append_batch(connection: psycopg.Connection, school: str, device: DeviceId, epoch: Epoch, head: Head) -> None:
    """Adds the leaf of a batch that is accepted up to `head`. Does not wait for the database."""
    leaf = batch_leaf(device, epoch, head)
    connection.execute(_INSERT_LEAF, (school, LogName.EVENTS, leaf, device))


def append_version(
    connection: psycopg.Connection, school: str, kind: VersionedKind, name: str, number: int, digest: bytes
) -> None:
    """Adds the leaf of a calendar, tariff or categories in force. `digest`: SHA-256 of the canonical bytes."""
    append_leaf(connection, school, LogName.EVENTS, version_leaf(kind, name, number, digest))


def list_waiting(connection: psycopg.Connection) -> list[tuple[str, LogName]]:
    """Returns the logs that have leaves without a number."""
    # Of the city: whichever school has such a log.
    rows = connection.execute("SELECT DISTINCT school, log FROM log_leaf WHERE number IS NULL ORDER BY school, log")
    return [(school, LogName(log)) for school, log in rows]


def seal_log(connection: psycopg.Connection, school: str, log: LogName, signer: LogSigner, now: datetime) -> int:
    """Numbers the leaves that wait, signs the checkpoint with them, and returns how many there were."""
    name = (school, log)
    with connection.transaction():
        connection.execute("INSERT INTO log_head (school, log) VALUES (%s, %s) ON CONFLICT DO NOTHING", name)
        head = connection.execute(
            "SELECT size, hashes FROM log_head WHERE school = %s AND log = %s FOR UPDATE", name
        ).fetchone()
        assert head is not None
        leaves = connection.execute(
            "SELECT entry, leaf FROM log_leaf WHERE school = %s AND log = %s AND number IS NULL"
            " ORDER BY entry LIMIT %s",
            (*name, SEALED_LEAVES_MAX),
        ).fetchall()
        if not leaves:
            return 0
        frontier, completed = TreeFrontier(head[0], tuple(head[1])), []
        for _, leaf in leaves:
            frontier, subtrees_of_leaf = frontier.append(hash_leaf(leaf))
            completed += subtrees_of_leaf
        connection.execute(_NUMBER, (head[0], [entry for entry, _ in leaves], *name))
        levels, numbers = [level for (level, _), _ in completed], [number for (_, number), _ in completed]
        connection.execute(_INSERT_SUBTREES, (*name, levels, numbers, [hashed for _, hashed in completed]))
        note = signer.sign(school, log, frontier.size, frontier.root())
        connection.execute(
            "UPDATE log_head SET size = %s, hashes = %s, checkpoint = %s, sealed_at = %s"
            " WHERE school = %s AND log = %s",
            (frontier.size, list(frontier.hashes), str(note), now, *name),
        )
    return len(leaves)


_NUMBER = """
    UPDATE log_leaf SET number = %s + n - 1 FROM unnest(%s::int8[]) WITH ORDINALITY AS waiting (entry, n)
    WHERE school = %s AND log = %s AND log_leaf.entry = waiting.entry
"""
_INSERT_SUBTREES = """
    INSERT INTO log_subtree (school, log, level, number, hash)
    SELECT %s, %s, * FROM unnest(%s::int4[], %s::int8[], %s::bytea[])
"""


def renew_checkpoints(connection: psycopg.Connection, signer: LogSigner, witness_key: NoteKey | None = None) -> int:
    """Signs all logs anew whose checkpoint is not of this key and name, or whose cosignature is not of this witness.

    Returns how many there were.

    So a ledger begins logs of a new name: after a restored backup, which the witness of the old ones never cosigns, or
    when the key was lost. Leaves and numbers stay; cosignatures begin again.
    """
    renewed = 0
    # Of the city: all logs have the name and the witness of the city.
    heads = connection.execute(
        "SELECT school, log, checkpoint, cosigned FROM log_head WHERE size > 0 ORDER BY school, log"
    )
    for school, log, checkpoint, cosigned in heads.fetchall():
        name = LogName(log)
        try:
            open_checkpoint(checkpoint.encode(), signer.log_key(school, name))
            if cosigned and witness_key is not None:
                read_cosignature(parse_note(cosigned.encode()), witness_key)
        except BadNote:
            _renew_checkpoint(connection, school, name, signer)
            renewed += 1
    return renewed


def _renew_checkpoint(connection: psycopg.Connection, school: str, log: LogName, signer: LogSigner) -> None:
    with connection.transaction():
        row = connection.execute(
            "SELECT size, hashes FROM log_head WHERE school = %s AND log = %s FOR UPDATE", (school, log)
        ).fetchone()
        assert row is not None, "a log's head is never deleted"
        note = signer.sign(school, log, row[0], TreeFrontier(row[0], tuple(row[1])).root())
        connection.execute(
            "UPDATE log_head SET checkpoint = %s, cosigned = '', cosigned_size = 0 WHERE school = %s AND log = %s",
            (str(note), school, log),
        )


def read_log_head(connection: psycopg.Connection, school: str, log: LogName) -> LogHead:
    """Returns where a log stands; size 0 and no checkpoint before its first leaf."""
    row = connection.execute(
        "SELECT size, checkpoint, cosigned_size, cosigned FROM log_head WHERE school = %s AND log = %s", (school, log)
    ).fetchone()
    size, checkpoint, cosigned_size, cosigned = row or (0, "", 0, "")
    return LogHead(size, _optional_note(checkpoint), cosigned_size, _optional_note(cosigned))


def _optional_note(text: str) -> SignedNote | None:
    return parse_note(text.encode()) if text else None


def store_cosigned(connection: psycopg.Connection, school: str, log: LogName, size: int, note: SignedNote) -> None:
    """Stores a checkpoint of `size` under which a witness has signed. An older one than the stored changes nothing."""
    connection.execute(
        "UPDATE log_head SET cosigned = %s, cosigned_size = %s WHERE school = %s AND log = %s AND cosigned_size <= %s",
        (str(note), size, school, log, size),
    )


def find_number(connection: psycopg.Connection, school: str, log: LogName, entry: int) -> int | None:
    """Returns the place of a leaf in its log; None while it waits for one."""
    row = connection.execute(
        "SELECT number FROM log_leaf WHERE school = %s AND log = %s AND entry = %s", (school, log, entry)
    ).fetchone()
    return None if row is None else row[0]


def find_newest_batch(connection: psycopg.Connection, school: str, device: str, size: int) -> tuple[int, bytes] | None:
    """Returns place and leaf of a device's newest batch among the first `size` leaves of the events; None: no batch."""
    row = connection.execute(
        "SELECT number, leaf FROM log_leaf WHERE school = %s AND log = 'events' AND device = %s AND number < %s"
        " ORDER BY number DESC LIMIT 1",
        (school, device, size),
    ).fetchone()
    return None if row is None else (row[0], bytes(row[1]))


def prove_inclusion(connection: psycopg.Connection, school: str, log: LogName, index: int, size: int) -> list[bytes]:
    """Returns the path from a leaf to the root of the log's first `size` leaves. Raises IndexError."""
    return _hash_parts(connection, school, log, inclusion_parts(index, size))


def prove_consistency(connection: psycopg.Connection, school: str, log: LogName, old: int, size: int) -> list[bytes]:
    """Returns the path that shows that the log's first `size` leaves continue its first `old`. Raises IndexError."""
    return _hash_parts(connection, school, log, consistency_parts(old, size))


def _hash_parts(connection: psycopg.Connection, school: str, log: LogName, parts: Sequence[range]) -> list[bytes]:
    names = sorted({name for part in parts for name in subtrees(part)})
    rows = connection.execute(_SELECT_SUBTREES, {
        "school": school, "log": log, "levels": [level for level, _ in names],
        "numbers": [number for _, number in names],
    })  # fmt: skip
    hashes: dict[SubtreeName, bytes] = {(level, number): hashed for level, number, hashed in rows}
    return [hash_part(part, hashes.__getitem__) for part in parts]


_SELECT_SUBTREES = """
    SELECT level, number, hash FROM log_subtree
    JOIN unnest(%(levels)s::int4[], %(numbers)s::int8[]) AS wanted (level, number) USING (level, number)
    WHERE school = %(school)s AND log = %(log)s
"""
