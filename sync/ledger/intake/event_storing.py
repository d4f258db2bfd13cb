"""Events into the table `event`, by COPY: the way in which PostgreSQL takes many rows with the least work."""

from collections.abc import Sequence

import psycopg
from msgspec.structs import astuple

from sync.contract.chain import Hash
from sync.ledger.intake.event_rows import COLUMN_NAMES, COLUMN_TYPES, EventRow

_COPY = f"""
    COPY event (school, device, epoch, seq, payload, hash, {", ".join(COLUMN_NAMES)}) FROM STDIN (FORMAT BINARY)
"""
_TYPES = ("text", "text", "text", "int8", "bytea", "bytea", *COLUMN_TYPES)


def store_events(
    connection: psycopg.Connection, key: tuple[str, str, str], first_seq: int, payloads: Sequence[bytes],
    hashes: Sequence[Hash], rows: Sequence[EventRow],
) -> None:  # fmt: skip
    """Stores a run of events in the caller's transaction. `key`: their school, device and epoch."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for seq, (payload, digest, row) in enumerate(zip(payloads, hashes, rows, strict=True), first_seq):
            copy.write_row((*key, seq, payload, digest, *astuple(row)))
