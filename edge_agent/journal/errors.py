"""Errors of the journal, named by what the caller can do.

JournalError
├── JournalBusy              another process has it: ask that one, or stop it first
├── JournalDamaged           it does not hold together: set it aside and open a new one
├── JournalNewer             a later version of the agent wrote it: install that version again
├── JournalUnwritable        this row was not kept: say "not recorded", count by hand, try the next one
├── AcknowledgementDisagrees the ledger has another row at this number: open a new epoch
└── RosterMismatch           these pages do not follow on what is here: ask for the whole roster
"""

from sqlite3 import Error as SqliteError

from edge_agent.errors import AgentError, ExitCode


class JournalError(AgentError):
    """Base of the journal's errors; the message says what to do next."""


class JournalBusy(JournalError):
    """Locked by another process, or by another `Journal` of this one."""

    exit_code = ExitCode.DAEMON


class JournalDamaged(JournalError):
    """The file, its head or its chain do not hold."""


class JournalNewer(JournalError):
    """Its schema has steps that this version does not know. Nothing was changed."""


class JournalUnwritable(JournalError):
    """Disk full, or it failed to write. The row is not in the journal."""


class AcknowledgementDisagrees(JournalError):
    """What the ledger says it has is not what this journal has."""


class RosterMismatch(JournalError):
    """The roster here and the pages offered cannot be joined. The old roster stays in force."""


_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"})


def damaged(error: SqliteError) -> bool:
    """Whether SQLite means the file itself, not the moment."""
    name = getattr(error, "sqlite_errorname", "")
    return any(name == known or name.startswith(known + "_") for known in _DAMAGED)


def disk_full(error: SqliteError) -> bool:
    return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
