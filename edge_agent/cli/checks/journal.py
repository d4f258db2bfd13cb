"""Checks of the journal's last rows while no daemon runs, and of the SQLite library."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, attention, failure, good
from edge_agent.cli.phrases import phrase
from edge_agent.journal.epochs import read_epochs
from edge_agent.journal.errors import STORE_ERRORS, JournalDamaged, is_damage
from edge_agent.journal.rows import check_tail
from edge_agent.journal.store import connect_read_only
from edge_agent.runtime.opening import JOURNAL_NAME

SQLITE_MIN = (3, 37, 0)  # STRICT tables
SQLITE_SOUND = (3, 51, 3)


def check_journal(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the last epoch and its last links; none while a daemon runs."""
    part, path = "journal", kiosk.state_dir / JOURNAL_NAME
    if kiosk.status is not None:
        return  # the daemon has it open, and has answered for it
    if not path.exists():
        yield attention(part, phrase("there is none yet"), phrase("the daemon makes it at its first start"))
        return
    path.open("rb").close()  # SQLite reports a file without the right to read as a broken one
    try:
        with closing(connect_read_only(path)) as connection:
            last = read_epochs(connection)[-1]
            last.check()
            check_tail(connection, last)
    except (*STORE_ERRORS, IndexError, JournalDamaged) as error:
        if isinstance(error, (IndexError, JournalDamaged)) or is_damage(error):
            yield failure(
                part,
                phrase("is damaged: {error}", error=error),
                phrase("keep it: the next start sets it aside and begins a new epoch"),
            )
        else:
            yield attention(
                part,
                phrase("cannot be read: {error}", error=error),
                phrase("run this as root; if that does not help, look at dmesg"),
            )
        return
    yield good(
        part,
        phrase(
            "row {row} of epoch {epoch}, {queue} not acknowledged; the last links hold, "
            "`edge-agent journal verify` checks all",
            row=last.head.seq,
            epoch=last.id[:6],
            queue=last.head.seq - last.acked.seq,
        ),
    )


def check_sqlite(_: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the version of SQLite."""
    version = sqlite3.sqlite_version_info
    if version < SQLITE_MIN:
        yield failure(
            "sqlite",
            phrase("{version} is too old", version=sqlite3.sqlite_version),
            phrase("use Debian 12 or later"),
        )
    elif version < SQLITE_SOUND:
        yield good(
            "sqlite",
            phrase(
                "{version}; before 3.51.3 two writers can damage a WAL: the agent alone writes, "
                "never open the journal with another program",
                version=sqlite3.sqlite_version,
            ),
        )
    else:
        yield good("sqlite", sqlite3.sqlite_version)
