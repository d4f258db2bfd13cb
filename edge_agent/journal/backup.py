"""Copies a journal, live or not, and proves the copy.

SQLite's online backup, in one step and from a read-only connection, makes a consistent copy of the moment at which it
begins, and does not hold up the writer. A plain copy of the file would miss the WAL, and closing a second handle to it
in the daemon's process would drop SQLite's locks.

Palms are left out, although they are sealed: a copy is carried about, and a consent withdrawn later does not reach it.

A copy that is put back in place is an old journal under the same identity. The ledger shows that at the first contact,
and the agent goes on in a new epoch.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from edge_agent.journal.errors import SET_ASIDE, JournalDamaged
from edge_agent.journal.sealed_palms import delete_everything
from edge_agent.journal.store import connect_read_only
from edge_agent.journal.verify import ChainCheck, verify_journal


def back_up_journal(
    path: Path, target: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> ChainCheck:
    """Copies the journal at `path` to a new file, walks the copy's chain and returns the verdict on it.

    `progress` is told, page by page, how many rows of the copy were walked and how many there are.

    Raises FileExistsError, `JournalDamaged` when the copy does not hold (it is left as `<target>.part`), sqlite3.Error.
    """
    if target.exists():
        raise FileExistsError(f"{target} is already there; name another file")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(connect_read_only(path)) as source, closing(sqlite3.connect(part, isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, no WAL beside it, to be carried away
        delete_everything(copy)
    verdict = verify_journal(part, progress=progress)
    if verdict.broken is not None:
        broken = verdict.broken
        raise JournalDamaged(f"epoch {broken.epoch}, row {broken.seq}: {broken.what}; {SET_ASIDE}")
    part.rename(target)
    return verdict
