"""Errors of money, named by what the caller can do. Each message says what to do next.

MoneyError
├── TermsWrong       a calendar, tariff, form or column map cannot be read: mend the file
├── TermsMissing     a month without a calendar, a meal without a tariff: import what is missing
├── SheetUnreadable  these bytes are no sheet: ask the other side for the bytes that it has signed
├── ActRefused       the sheet's state does not allow this: do what the message says first
└── PayerFileWrong   the payer's file cannot be read: correct the column map or ask for another file
"""

from sync.errors import SyncError, Wording


class MoneyError(SyncError):
    """Base of the errors of money."""


class TermsWrong(MoneyError):
    """A file of terms contradicts itself or cannot be read."""

    default_wording = Wording("refusal.terms_wrong")


class TermsMissing(MoneyError):
    """No calendar speaks for a month, or no tariff for a meal."""


class SheetUnreadable(MoneyError):
    """Some bytes are no sheet of a known format, or are not in its canonical form."""

    default_wording = Wording("refusal.sheet_unreadable")


class ActRefused(MoneyError):
    """An act does not fit the state of its sheet."""


class PayerFileWrong(MoneyError):
    """A payer's file has no rows that can be read under this column map."""
