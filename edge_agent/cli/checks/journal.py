"""The journal's end, read while no daemon is there to be asked, and the library that reads it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from edge_agent.cli.checks.finding import Finding, Kiosk, fails, look, ok
from edge_agent.journal.epochs import read_epochs
from edge_agent.journal.errors import STORE_ERRORS, JournalDamaged, is_damage
from edge_agent.journal.rows import check_tail
from edge_agent.journal.store import connect_read_only
from edge_agent.runtime.opening import JOURNAL_NAME

SQLITE_MIN = (3, 37, 0)  # STRICT tables
SQLITE_SOUND = (3, 51, 3)


def journal(kiosk: Kiosk) -> Iterator[Finding]:
    part, path = "journal", kiosk.state_dir / JOURNAL_NAME
    if kiosk.status is not None:
        return  # the daemon has it open, and was asked
    if not path.exists():
        yield look(part, "there is none yet", "it is made at the daemon's first start")
        return
    path.open("rb").close()  # SQLite does not tell a file that may not be read from a broken one
    try:
        with closing(connect_read_only(path)) as connection:
            last = read_epochs(connection)[-1]
            last.check()
            check_tail(connection, last)
    except (*STORE_ERRORS, IndexError, JournalDamaged) as error:
        if isinstance(error, (IndexError, JournalDamaged)) or is_damage(error):
            yield fails(part, f"does not hold: {error}", "keep it: the next start sets it aside and begins a new epoch")
        else:
            yield look(part, f"cannot be read: {error}", "run this as root; if that does not help, look at dmesg")
        return
    yield ok(
        part,
        f"row {last.head.seq} of epoch {last.id[:6]}, {last.head.seq - last.acked.seq} not acknowledged; "
        f"the last links hold, `edge-agent journal verify` looks at all",
    )


def sqlite(_: Kiosk) -> Iterator[Finding]:
    version = sqlite3.sqlite_version_info
    if version < SQLITE_MIN:
        yield fails("sqlite", f"{sqlite3.sqlite_version} is too old", "use Debian 12 or later")
    elif version < SQLITE_SOUND:
        yield ok(
            "sqlite",
            f"{sqlite3.sqlite_version}; before 3.51.3 two writers can damage a WAL: the agent alone writes, "
            "never open the journal with another program",
        )
    else:
        yield ok("sqlite", sqlite3.sqlite_version)
