"""How a journal stands, read beside the daemon or without one."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge_agent.journal import rows
from edge_agent.journal.errors import STORE_ERRORS, JournalDamaged, damaged
from edge_agent.journal.roster_store import CONFIRMED_AT, VERSION
from edge_agent.journal.store import connect_read_only
from sync.contract.chain import DeviceId, Epoch, Head
from sync.contract.wire import read_time


@dataclass(frozen=True, slots=True)
class Status:
    device: DeviceId
    epochs: int
    epoch: Epoch  # the current one; so are the next three
    kept_from: int  # the first seq that is still here
    head: Head
    acknowledged: Head
    quarantined: int
    roster_version: int  # 0: none yet
    roster_confirmed_at: datetime | None
    file_bytes: int
    wal_bytes: int
    ballast: bool  # False: given up since the disk was full, or never wanted

    @property
    def queue(self) -> int:
        """Events that no receipt covers."""
        return self.head.seq - self.acknowledged.seq


def status(path: Path) -> Status:
    """Raises FileNotFoundError, `JournalDamaged`."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no journal here")
    with closing(connect_read_only(path)) as connection:
        try:
            return _status(path, connection)
        except (*STORE_ERRORS, IndexError) as error:
            if isinstance(error, IndexError) or damaged(error):
                raise JournalDamaged(f"{path}: {error}; {rows.SET_ASIDE}") from error
            raise


def _status(path: Path, connection: sqlite3.Connection) -> Status:
    connection.execute("BEGIN")
    epochs = rows.epochs(connection)
    current = epochs[-1]
    marks = dict(connection.execute("SELECT key, value FROM state"))
    (quarantined,) = connection.execute("SELECT count(*) FROM quarantine").fetchone()
    wal = path.with_name(path.name + "-wal")
    confirmed_at = marks.get(CONFIRMED_AT)
    return Status(
        device=current.device,
        epochs=len(epochs),
        epoch=current.id,
        kept_from=current.anchor.seq + 1,
        head=current.head,
        acknowledged=current.acked,
        quarantined=quarantined,
        roster_version=int(marks.get(VERSION, 0)),
        roster_confirmed_at=read_time(confirmed_at) if confirmed_at else None,
        file_bytes=path.stat().st_size,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        ballast=path.with_name(path.name + ".ballast").exists(),
    )
