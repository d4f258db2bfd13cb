"""Errors of the journal, named by what the caller can do.

JournalError
├── JournalBusy              another process has it: ask that one, or stop it first
├── JournalDamaged           it does not hold together: set it aside and open a new one
├── JournalNewer             a later version of the agent wrote it: install that version again
├── JournalUnwritable        this row was not kept: say "not recorded", count by hand, try the next one
├── AcknowledgementDisagrees the ledger has another row at this number: open a new epoch
├── RosterMismatch           these pages do not follow on the roster in force: ask for the whole roster
└── NoConsent                this person has not agreed: use a card, and ask the parents
"""

import sqlite3
from pathlib import Path

from edge_agent.errors import AgentError, ExitCode

SET_ASIDE = "set the journal aside and open a new one"  # the next step in every message about damage


class JournalError(AgentError):
    """The base of the journal's errors; the message says what to do next."""


class JournalBusy(JournalError):
    """The journal is locked by another process, or by another `Journal` of this one."""

    exit_code = ExitCode.DAEMON


class JournalDamaged(JournalError):
    """The file, its head or its chain do not hold."""


class JournalNewer(JournalError):
    """The schema has steps that this version does not know. Nothing was changed."""


class JournalUnwritable(JournalError):
    """The disk is full or failed to write. The row is not in the journal."""


class AcknowledgementDisagrees(JournalError):
    """The ledger names an event that is not the one in this journal."""


class RosterMismatch(JournalError):
    """The roster in force and the pages offered cannot be joined. The roster in force stays as it is."""


class NoConsent(JournalError):
    """The roster in force does not have this person, or no consent of theirs to the palm. Nothing was kept."""


# What reading and writing may raise. The second is how Python's sqlite3 fails on a file in which text is no text.
STORE_ERRORS = (sqlite3.Error, UnicodeDecodeError)

# SQLITE_ERROR means SQL that does not fit the schema. Our SQL fits the schema that we made, so the file has changed.
_DAMAGE_NAMES = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_ERROR")


def is_damage(error: Exception) -> bool:
    """Returns if the error means that the file itself is damaged; otherwise another try may succeed."""
    if isinstance(error, UnicodeDecodeError):
        return True
    if isinstance(error, sqlite3.OperationalError) and "Could not decode to UTF-8" in str(error):
        return True  # made by Python, without a code
    return any(sqlite_name(error).startswith(name) for name in _DAMAGE_NAMES)


def translate_store_error(path: Path, error: Exception) -> JournalError:
    """Returns the journal's error for what SQLite or the system raised at the journal `path`."""
    if isinstance(error, JournalError):
        return error
    if is_damage(error):
        return JournalDamaged(f"{path}: {error}; {SET_ASIDE}")
    return JournalUnwritable(f"{path}: {error}; nothing was kept: free the disk or change it, then try again")


def sqlite_name(error: Exception) -> str:
    """Returns SQLite's name of the error, such as `SQLITE_FULL`; empty for an error that SQLite did not make."""
    name = getattr(error, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""
