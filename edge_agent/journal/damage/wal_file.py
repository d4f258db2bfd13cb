"""The write-ahead log (WAL) beside a journal: mended before SQLite reads it.

Where every fault is one flipped bit, the log is put right in its place and nothing is lost; the damaged one stays
beside it. Where there is more, and rows that were kept lie behind it, the journal is damaged: SQLite would go on
without them and give their numbers away again.
"""

import logging
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from edge_agent.journal.damage.carving import ReadPage, carve_epochs, carve_events
from edge_agent.journal.damage.chain_proof import Candidates, choose_rows
from edge_agent.journal.damage.wal import WalRepair, read_pages, repair_wal
from edge_agent.journal.epochs import EpochRow, read_epochs
from edge_agent.journal.errors import SET_ASIDE, STORE_ERRORS, JournalDamaged
from sync.contract.chain import Epoch

log = logging.getLogger(__name__)

PAGE_BYTES_DEFAULT = 4096
DAMAGED_LOG_SUFFIX = "-wal.damaged"
FOREIGN_LOG_SUFFIX = "-wal.foreign"


@dataclass(frozen=True, slots=True)
class WalMended:
    """A log that was put right, and what SQLite would have dropped."""

    commits: int
    kept_as: Path


def mend_wal(path: Path) -> WalMended | None:
    """Puts the log of the journal at `path` right; returns what was done, None where there was nothing to do.

    A log of another journal is moved out of the way. The caller has the journal's lock, and no connection is open.
    Raises `JournalDamaged`, OSError.
    """
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size and not (path.exists() and path.stat().st_size):
        # SQLite would delete a log beside an empty file.
        raise JournalDamaged(f"{path}: only its WAL is there, the journal itself is gone; {SET_ASIDE}")
    if _is_foreign(path, wal):
        kept_as = path.with_name(path.name + FOREIGN_LOG_SUFFIX)
        wal.replace(kept_as)
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        log.error("%s is the log of another journal: it is kept as %s; whose it is may lack rows", wal, kept_as)
        return None
    repair = read_repair(path)
    if repair is None or repair.commits_behind == 0:
        return None
    if not repair.exact:
        if _hides_rows(path, repair):
            raise JournalDamaged(f"{path}: its WAL is damaged, and rows that were kept lie behind it; {SET_ASIDE}")
        return None  # a commit that the power cut in the middle: nobody was told that it was kept
    kept_as = replace_wal(path, repair)
    log.error("%s: a flipped bit in the WAL would have dropped %d commits; it is mended", path, repair.commits_behind)
    return WalMended(repair.commits_behind, kept_as)


def _is_foreign(path: Path, wal: Path) -> bool:
    """Returns True where the log has another epoch under an ordinal of the journal's file: epochs are never replaced.

    SQLite knows no difference, and would put the other journal's pages over this one's.
    """
    if not wal.exists():
        return False
    own = _read_file_epochs(path)
    with path.open("rb") as file:
        pages = list(read_pages(wal.read_bytes(), read_page_bytes(file.read(18))))
    by_number = dict(pages)
    logged = (epoch for _, page in pages for epoch in carve_epochs(page, lambda number: by_number.get(number, b"")))
    return any(own.get(epoch.ordinal, epoch.id) != epoch.id for epoch in logged)


def _read_file_epochs(path: Path) -> dict[int, Epoch]:
    """Returns the epochs by their ordinals as the file alone has them; none where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
            return {epoch.ordinal: epoch.id for epoch in read_epochs(connection)}
    except STORE_ERRORS:
        return {}


def read_repair(path: Path) -> WalRepair | None:
    """Returns what mending the log of the journal at `path` would give; None where there is nothing to mend."""
    wal = path.with_name(path.name + "-wal")
    if not path.exists() or not wal.exists():
        return None
    with path.open("rb") as file:
        page_bytes = read_page_bytes(file.read(18))
        return repair_wal(wal.read_bytes(), page_bytes, page_reader(file.fileno(), page_bytes))


def replace_wal(path: Path, repair: WalRepair) -> Path:
    """Puts the mended log in the place of the damaged one; returns where that one is kept."""
    wal = path.with_name(path.name + "-wal")
    fresh = path.with_name(path.name + "-wal.mended")
    kept_as = path.with_name(path.name + DAMAGED_LOG_SUFFIX)
    descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(repair.content)
        file.flush()
        os.fsync(file.fileno())
    kept_as.unlink(missing_ok=True)
    os.link(wal, kept_as)
    fresh.replace(wal)
    return kept_as


def read_page_bytes(header: bytes) -> int:
    """Returns the size of a page by the first bytes of a journal's file; SQLite's default where they are damaged."""
    size = int.from_bytes(header[16:18], "big")
    return size if size >= 512 and size & (size - 1) == 0 else PAGE_BYTES_DEFAULT


def page_reader(descriptor: int, page_bytes: int) -> ReadPage:
    """Returns a function that reads the page of a number, from 1, out of an open file."""

    def read_page(number: int) -> bytes:
        return os.pread(descriptor, page_bytes, (number - 1) * page_bytes) if number > 0 else b""

    return read_page


def _hides_rows(path: Path, repair: WalRepair) -> bool:
    """Returns True where rows behind the fault go on from the head that SQLite would show."""
    current = _read_shown_epoch(path)
    if current is None:
        return True
    with path.open("rb") as file:
        page_bytes = read_page_bytes(file.read(18))
        pages = [page for _, page in read_pages(repair.content, page_bytes)]
        by_number = dict(read_pages(repair.content, page_bytes))
        from_file = page_reader(file.fileno(), page_bytes)
        candidates = Candidates()
        for page in pages[repair.frames_before :]:
            for row in carve_events(page, lambda number: by_number.get(number) or from_file(number)):
                if row.ordinal == current.ordinal and row.seq > current.head.seq:
                    candidates.add(row.seq, row.payload, row.hash)
    return any(row.proven for row in choose_rows(candidates, current.head, candidates.last_seq).rows)


def _read_shown_epoch(path: Path) -> EpochRow | None:
    """Returns the current epoch as SQLite shows it without what it drops; None where it cannot be read."""
    from edge_agent.journal.store import connect_read_only

    try:
        with closing(connect_read_only(path)) as connection:
            return read_epochs(connection)[-1]
    except (*STORE_ERRORS, IndexError):
        return None
