"""Brings a journal's schema up to date, in a process of its own.

    python -m edge_agent.journal.migrate PATH [--lock DESCRIPTOR]

The daemon looks with plain sqlite3 if a step is missing, and only then starts this program, before it opens its own
connection. So the daemon never loads sqlite-utils and NumPy, and one process at a time has the journal open for
writing. The daemon holds the journal's lock and lends it to this program: if the daemon dies meanwhile, the journal
stays locked until this program has ended, too.

Each step is one transaction: a power cut leaves the old schema or the new one. An error is one line of JSON on
standard output; `migrate_in_child` raises it again.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from edge_agent.journal import schema
from edge_agent.journal.errors import (
    STORE_ERRORS,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalNewer,
    JournalUnwritable,
    translate_store_error,
)
from edge_agent.journal.store import ProcessLock, connect, connect_read_only

# -P: a folder in which the agent happens to stand must not lend it modules.
PROGRAM = (sys.executable, "-P", "-m", "edge_agent.journal.migrate")

_ERRORS = {error.__name__: error for error in (JournalBusy, JournalDamaged, JournalNewer, JournalUnwritable)}


class MigrationError(msgspec.Struct, frozen=True):
    """The line that tells of an error: the class of `edge_agent.journal.errors` and its message."""

    error: str
    message: str


def is_up_to_date(path: Path) -> bool:
    """Returns if the journal at `path` has every step that this version knows.

    Raises `JournalNewer`, `JournalDamaged`, sqlite3.Error.
    """
    if not path.exists():
        return False
    with closing(connect_read_only(path)) as connection:
        return not schema.read_missing_steps(connection)


def migrate_in_child(path: Path, lock: ProcessLock, *, program: Sequence[str] = PROGRAM) -> None:
    """Has a child process take the missing steps, if any are; nobody may have a connection to the journal meanwhile.

    Raises the journal's error that the child met; `JournalError` when the child ended without a word; sqlite3.Error.
    """
    if is_up_to_date(path):
        return
    child = subprocess.run(
        [*program, str(path), "--lock", str(lock.descriptor)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pass_fds=(lock.descriptor,),
        check=False,
    )
    lock.write_pid()  # the child wrote its own
    if child.returncode == 0:
        return
    try:
        report = msgspec.json.decode(child.stdout, type=MigrationError)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalError(
            f"{path}: the program that brings its schema up to date ended with {_describe(child.returncode)}; "
            "no step is half taken: see its last lines in the log, then start the agent again"
        ) from error
    raise _ERRORS.get(report.error, JournalError)(report.message)


def _describe(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"


def migrate(path: Path, connect: Callable[[Path], sqlite3.Connection] = connect) -> None:
    """Takes the missing steps, in this process. The caller holds the journal's lock.

    Raises `JournalError`, sqlite3.Error, OSError.
    """
    # It brings a good deal with it: see above.
    from sqlite_utils import Database

    from edge_agent.journal.schema.migrations import migrations

    with closing(connect(path)) as connection:
        if schema.read_missing_steps(connection):
            schema.check_steps()
            migrations.apply(Database(connection))


def main(connect: Callable[[Path], sqlite3.Connection] = connect) -> int:
    import argparse  # the daemon imports this page and would keep it

    # sqlite-utils loads NumPy where that is installed, and needs none of it here. A child may be waiting at the kiosk.
    sys.modules["numpy"] = None  # type: ignore[assignment]  # as the import system has it for what must not be found
    parser = argparse.ArgumentParser(description="Bring a journal's schema up to date.")
    parser.add_argument("path", type=Path, help="the journal's file; it is made if there is none")
    parser.add_argument(
        "--lock",
        type=int,
        metavar="DESCRIPTOR",
        help="the open lock file of whoever starts this; else it is taken here",
    )
    options = parser.parse_args()
    path: Path = options.path
    try:
        lock = ProcessLock.take(path) if options.lock is None else ProcessLock(options.lock)
        try:
            migrate(path, connect)
        finally:
            lock.release()
    except JournalError as error:
        return _report(error)
    except (*STORE_ERRORS, OSError) as error:
        return _report(translate_store_error(path, error))
    return 0


def _report(error: JournalError) -> int:
    sys.stdout.write(msgspec.json.encode(MigrationError(type(error).__name__, str(error))).decode() + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
