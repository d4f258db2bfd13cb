"""Errors of the journal, named by what the caller can do.

JournalError
├── JournalBusy              another process has it: ask that one, or stop it first
├── JournalDamaged           it does not hold together: set it aside and open a new one
├── JournalNewer             a later version of the agent wrote it: install that version again
├── JournalUnwritable        this row was not kept: say "not recorded", count by hand, try the next one
├── AcknowledgementDisagrees the ledger has another row at this number: open a new epoch
├── RosterMismatch           these pages do not follow on what is here: ask for the whole roster
└── NoConsent                this person has not agreed: use a card, and ask the parents
"""

import sqlite3

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


class NoConsent(JournalError):
    """By the roster in force this person is not here or has not agreed to the palm. Nothing was kept."""


# What reading and writing may raise. The second is how Python's sqlite3 fails on a file in which text is no text.
STORE_ERRORS = (sqlite3.Error, UnicodeDecodeError)

# SQLITE_ERROR is SQL that does not fit the schema. Ours fits the one we made, so it is that which has changed.
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_ERROR")


def damaged(error: Exception) -> bool:
    """Whether the file itself is meant, not the moment."""
    if isinstance(error, UnicodeDecodeError):
        return True
    if isinstance(error, sqlite3.OperationalError) and "Could not decode to UTF-8" in str(error):
        return True  # made by Python, without a code
    return any(sqlite_name(error).startswith(name) for name in _DAMAGED)


def sqlite_name(error: Exception) -> str:
    """`SQLITE_FULL`; empty for an error that SQLite did not make."""
    name = getattr(error, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""
