"""Errors of the ledger's own house, named by what its operator can do.

LedgerError
├── DatabaseUnavailable  PostgreSQL cannot be started or reached: see the log that it names, then start again
├── FolderInUse          another process serves this data folder: ask that one, or stop it
├── KeyNotInForce        the folder's receipt key is not the database's: copy the key that is
├── ActsDamaged          the file of acts beside the database is not what was written: restore it from a copy
├── ImportStopped        some schools of an import have their new roster: see why the next has not, then import again
├── ActsMissing          the file of acts lacks what the database knows: bring it, or state that it is lost
└── NotUnderstood        what was asked for does not exist or contradicts itself: ask for something else
"""

from sync.errors import SyncError


class LedgerError(SyncError):
    """Base of the ledger's errors; the message says what to do next."""


class DatabaseUnavailable(LedgerError):
    """PostgreSQL is not there."""


class FolderInUse(LedgerError):
    """The data folder belongs to a running process."""


class KeyNotInForce(LedgerError):
    """The folder's receipt key is not the one that this database's receipts are signed with."""


class ActsDamaged(LedgerError):
    """The file of acts holds a line that this ledger did not write, or does not understand."""


class ActsMissing(LedgerError):
    """The file of acts lacks acts that the database knows: it is an older copy, another one, or lost."""


class NotUnderstood(LedgerError):
    """An operator asked for an unknown school, a wrong day or a code that cannot be."""


class ImportStopped(LedgerError):
    """An import ended between two schools; the message names those that have their new roster."""
