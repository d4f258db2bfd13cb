"""Looking into a journal whose daemon is stopped: under its lock, so that none starts meanwhile, and only reading."""

from contextlib import closing
from pathlib import Path

from edge_agent.journal import rows
from edge_agent.journal.rows import Kept
from edge_agent.journal.store import ProcessLock, connect_read_only


def recent(path: Path, rows_max: int) -> list[Kept]:
    """The last rows, newest first, over every epoch. Raises JournalBusy, FileNotFoundError, sqlite3.Error."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no journal here")
    lock = ProcessLock(path.with_name(path.name + ".lock"))
    try:
        with closing(connect_read_only(path)) as connection:
            return rows.recent(connection, rows_max)
    finally:
        lock.release()
