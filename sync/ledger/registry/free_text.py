"""Reasons that are signed, or stand in a sheet's history, for ever: they name nobody of the school's roster."""

import psycopg

from sync.contract.free_text import names_somebody
from sync.contract.roster import Person
from sync.errors import Wording
from sync.ledger.errors import NotUnderstood
from sync.ledger.registry import rosters


def refuse_names(connection: psycopg.Connection, school: str, text: str) -> None:
    """Raises NotUnderstood where a word of the text is a name on the roster in force."""
    people = (record for record in rosters.read_records(connection, school) if isinstance(record, Person))
    if text and names_somebody(text, people):
        raise NotUnderstood(
            "the reason has a name of the roster in it, and it is kept for ever", "write it without names",
            Wording("refusal.names"),
        )  # fmt: skip
