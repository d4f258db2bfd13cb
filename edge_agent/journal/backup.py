"""A copy of a journal, live or not, proven after it was made.

SQLite's online backup in one step, from a read-only connection: a consistent copy at the moment it began, and the
writer is not held up. Copying the file with other means would miss the WAL, and closing a second handle to it in the
daemon's process would drop SQLite's locks.

Palms are left out, sealed though they are: a copy is carried about, and a consent withdrawn later does not reach it.

A copy put back in place is an old journal under the same identity: the ledger shows it to be one at the first
contact, and the agent goes on in a new epoch.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.journal import template_store
from edge_agent.journal.errors import JournalDamaged
from edge_agent.journal.rows import SET_ASIDE
from edge_agent.journal.store import connect_read_only
from edge_agent.journal.verify import Verdict, verify


def backup(path: Path, target: Path) -> Verdict:
    """Copy the journal at `path` to a new file and walk the copy's chain; its verdict.

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
        template_store.delete_all(copy)
    verdict = verify(part)
    if verdict.broken is not None:
        broken = verdict.broken
        raise JournalDamaged(f"epoch {broken.epoch}, row {broken.seq}: {broken.what}; {SET_ASIDE}")
    part.rename(target)
    return verdict
