"""Looking into a journal whose daemon is stopped: under its lock, so that none starts meanwhile, and only reading."""

from contextlib import closing
from pathlib import Path

from edge_agent.journal.rows import Kept
from edge_agent.journal.store import ProcessLock, connect_read_only
from sync.contract.chain import Hash


def recent(path: Path, rows_max: int) -> list[Kept]:
    """The last rows, newest first, over every epoch. Raises JournalBusy, FileNotFoundError, sqlite3.Error."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no journal here")
    lock = ProcessLock(path.with_name(path.name + ".lock"))
    try:
        with closing(connect_read_only(path)) as connection:
            found = connection.execute(
                "SELECT p.id, e.seq, e.payload, e.hash FROM event AS e JOIN epoch AS p ON p.ordinal = e.epoch"
                " ORDER BY e.epoch DESC, e.seq DESC LIMIT ?",
                (rows_max,),
            ).fetchall()
    finally:
        lock.release()
    return [Kept(epoch, seq, payload, Hash(own)) for epoch, seq, payload, own in found]
