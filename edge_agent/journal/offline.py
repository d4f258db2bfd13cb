"""Reads a journal without its daemon: while it is stopped, under its lock, or one row beside it."""

from contextlib import closing
from pathlib import Path

from edge_agent.journal.rows import StoredRow, read_recent_rows
from edge_agent.journal.store import ProcessLock, connect_read_only

SELECT_PAYLOAD_BY_NAME = (
    "SELECT payload FROM event JOIN epoch ON epoch.ordinal = event.epoch WHERE epoch.id = ? AND seq = ?"
)


def read_payload_beside(path: Path, epoch: str, seq: int) -> bytes | None:
    """Returns the bytes of one row while the daemon has the journal; None where there is no such row.

    Raises sqlite3.Error.
    """
    with closing(connect_read_only(path)) as connection:
        found = connection.execute(SELECT_PAYLOAD_BY_NAME, (epoch, seq)).fetchone()
    return bytes(found[0]) if found is not None else None


def read_recent_offline(path: Path, rows_max: int) -> list[StoredRow]:
    """Returns the last rows, newest first, over every epoch.

    Raises `JournalBusy` while a daemon has the journal, FileNotFoundError, sqlite3.Error.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no journal here")
    lock = ProcessLock.take(path)
    try:
        with closing(connect_read_only(path)) as connection:
            return read_recent_rows(connection, rows_max)
    finally:
        lock.release()
