"""A damaged journal is moved out of the way, with its WAL, and stays there: it may have rows that nobody else has."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge_agent.journal.epochs import read_epochs
from edge_agent.journal.errors import STORE_ERRORS
from edge_agent.journal.store import ProcessLock, connect_read_only
from sync.contract.chain import Head


@dataclass(frozen=True, slots=True)
class JournalSetAside:
    """Where the damaged journal lies, and as much of its last epoch as could still be read."""

    path: Path
    epoch: str = ""
    head: Head | None = None
    acked: Head | None = None


def set_journal_aside(path: Path, now: datetime) -> JournalSetAside:
    """Moves the journal and its WAL to a free name in the same folder. Hand the result to `Journal.open(after=…)`.

    Raises `JournalBusy` while somebody has it open, OSError when the folder cannot be written.
    """
    lock = ProcessLock.take(path)
    try:
        target = _free_path(path, now)
        # The journal goes first: one without its WAL would open as a whole but older one, a WAL alone does not open.
        for suffix in ("", "-wal", "-shm"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.rename(target.with_name(target.name + suffix))
    finally:
        lock.release()
    return _read_remains(target)


def _free_path(path: Path, now: datetime) -> Path:
    stem = f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}"
    used = len(list(path.parent.glob(f"{stem}*")))
    return path.with_name(f"{stem}.{used}" if used else stem)


def _read_remains(path: Path) -> JournalSetAside:
    if not path.exists():
        return JournalSetAside(path)
    try:
        connection = connect_read_only(path)
        try:
            last_epoch = read_epochs(connection)[-1]
        finally:
            connection.close()
    except (*STORE_ERRORS, IndexError):
        return JournalSetAside(path)
    return JournalSetAside(path, last_epoch.id, last_epoch.head, last_epoch.acked)
