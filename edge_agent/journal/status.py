"""How a journal stands, read beside the daemon or without one."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge_agent.journal.epochs import read_epochs
from edge_agent.journal.errors import SET_ASIDE, STORE_ERRORS, JournalDamaged, is_damage
from edge_agent.journal.marks import ROSTER_CONFIRMED, ROSTER_VERSION, read_all_marks
from edge_agent.journal.store import connect_read_only
from sync.contract.chain import DeviceId, Epoch, Head
from sync.contract.wire import read_time

COUNT_QUARANTINE = "SELECT count(*) FROM quarantine"


@dataclass(frozen=True, slots=True)
class JournalFileStatus:
    """The journal's epochs, head and sizes at one moment."""

    device: DeviceId
    epochs: int
    epoch: Epoch  # the current one; so are the next three
    first_seq: int  # of the rows in the table; those before it were pruned
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
        """Returns the number of events that no receipt covers."""
        return self.head.seq - self.acknowledged.seq


def read_status(path: Path) -> JournalFileStatus:
    """Returns the status of the journal at `path`. Raises FileNotFoundError, `JournalDamaged`."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no journal here")
    with closing(connect_read_only(path)) as connection:
        try:
            return _read_status(path, connection)
        except (*STORE_ERRORS, IndexError) as error:
            if isinstance(error, IndexError) or is_damage(error):
                raise JournalDamaged(f"{path}: {error}; {SET_ASIDE}") from error
            raise


def _read_status(path: Path, connection: sqlite3.Connection) -> JournalFileStatus:
    connection.execute("BEGIN")  # one snapshot, whatever is appended meanwhile
    epochs = read_epochs(connection)
    current = epochs[-1]
    marks = read_all_marks(connection)
    (quarantined,) = connection.execute(COUNT_QUARANTINE).fetchone()
    wal = path.with_name(path.name + "-wal")
    roster_confirmed = marks.get(ROSTER_CONFIRMED)
    return JournalFileStatus(
        device=current.device,
        epochs=len(epochs),
        epoch=current.id,
        first_seq=current.anchor.seq + 1,
        head=current.head,
        acknowledged=current.acked,
        quarantined=quarantined,
        roster_version=int(marks.get(ROSTER_VERSION, 0)),
        roster_confirmed_at=read_time(roster_confirmed) if roster_confirmed else None,
        file_bytes=path.stat().st_size,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        ballast=path.with_name(path.name + ".ballast").exists(),
    )
