"""Reads a journal whose daemon is stopped: under its lock, so that no daemon starts meanwhile."""

from contextlib import closing
from pathlib import Path

from edge_agent.journal.rows import StoredRow, read_recent_rows
from edge_agent.journal.store import ProcessLock, connect_read_only


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
