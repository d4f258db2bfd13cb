"""A damaged journal is moved out of the way, with its WAL, and stays there: it may have rows that nobody else has.

Where the WAL itself is damaged, a copy with new checksums is put in its place, so that its rows can be read; the
original stays beside it. A note beside the journal says that its rows were brought over.
"""

import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from edge_agent.journal.damage.mark import MARK_SUFFIX
from edge_agent.journal.damage.wal_file import read_repair, replace_wal
from edge_agent.journal.epochs import read_epochs
from edge_agent.journal.errors import STORE_ERRORS
from edge_agent.journal.store import ProcessLock, connect_read_only
from sync.contract.chain import Head

_ASIDE = ".damaged-"
_IS_COMPANION = re.compile(r"(-wal|-shm|-wal\.damaged|-wal\.mended|-wal\.foreign|\.salvaged|\.mark)$")


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
        for suffix in ("", "-wal", "-shm", MARK_SUFFIX):
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.rename(target.with_name(target.name + suffix))
        target.touch(0o600)  # where the journal is gone, its log may still hold rows: it is looked through by this name
        repair = read_repair(target)
        if repair is not None:
            replace_wal(target, repair)
            target.with_name(target.name + "-shm").unlink(missing_ok=True)
    finally:
        lock.release()
    return _read_remains(target)


def hand_to_kiosk(file: Path, path: Path, now: datetime) -> Path:
    """Copies a damaged journal, with its WAL, beside the journal at `path`, so that its next start brings it over.

    Returns where it lies. Raises OSError.
    """
    target = _free_path(path, now)
    for suffix in ("-wal", ""):
        source = file.with_name(file.name + suffix)
        if source.exists():
            shutil.copyfile(source, target.with_name(target.name + suffix))
            target.with_name(target.name + suffix).chmod(0o600)
    return target


def list_unsalvaged(path: Path) -> list[Path]:
    """Returns the journals that were set aside beside the journal at `path`, and not brought over yet; oldest first."""
    aside = path.parent.glob(f"{path.name}{_ASIDE}*")
    return sorted(found for found in aside if not _IS_COMPANION.search(found.name) and not note_path(found).exists())


def note_path(aside: Path) -> Path:
    """Returns where it is noted that the rows of this journal were brought over."""
    return aside.with_name(aside.name + ".salvaged")


def _free_path(path: Path, now: datetime) -> Path:
    stem = f"{path.name}{_ASIDE}{now:%Y%m%dT%H%M%SZ}"
    names = chain([stem], (f"{stem}.{number}" for number in count(1)))
    free = (path.with_name(name) for name in names)
    return next(aside for aside in free if not any(aside.with_name(aside.name + end).exists() for end in ("", "-wal")))


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
