"""A damaged journal is moved out of the way and kept, with its WAL: there may be rows in it that nobody else has."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge_agent.journal import rows
from edge_agent.journal.errors import STORE_ERRORS
from edge_agent.journal.store import ProcessLock, connect_read_only
from sync.contract.chain import Head


@dataclass(frozen=True, slots=True)
class SetAside:
    """Where the journal is kept, and what could still be read of it: its last epoch and where that stood."""

    path: Path
    epoch: str = ""
    head: Head | None = None
    acked: Head | None = None

    @property
    def kept_as(self) -> str:
        return self.path.name


def set_aside(path: Path, now: datetime) -> SetAside:
    """Move the journal and its WAL beside themselves. Hand the result to `Journal.open(after=…)`.

    Raises `JournalBusy` while somebody has it open, OSError when the folder cannot be written.
    """
    lock = ProcessLock(path.with_name(path.name + ".lock"))
    try:
        target = _free_name(path, now)
        # The journal goes first: one without its WAL would open as a whole but older one, a WAL alone does not open.
        for suffix in ("", "-wal", "-shm"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.rename(target.with_name(target.name + suffix))
    finally:
        lock.release()
    return _remains(target)


def _free_name(path: Path, now: datetime) -> Path:
    stem = f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}"
    taken = len(list(path.parent.glob(f"{stem}*")))
    return path.with_name(f"{stem}.{taken}" if taken else stem)


def _remains(path: Path) -> SetAside:
    if not path.exists():
        return SetAside(path)
    try:
        connection = connect_read_only(path)
        try:
            last = rows.epochs(connection)[-1]
        finally:
            connection.close()
    except (*STORE_ERRORS, IndexError):
        return SetAside(path)
    return SetAside(path, last.id, last.head, last.acked)
