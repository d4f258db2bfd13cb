"""The erasure of a person from everything that the ledger states of them. Chains and proofs stay whole."""

from dataclasses import dataclass
from datetime import datetime

import psycopg

from sync.ledger.billing.categories import erase_category
from sync.ledger.billing.payers import forget_child
from sync.ledger.family.codes import revoke_family_codes
from sync.ledger.judgement.contests import erase_notes
from sync.ledger.recovery.acts import ActKind, note_act
from sync.ledger.registry.erased_names import forget_erased_names
from sync.ledger.transparency.statements import erase_person


@dataclass(frozen=True, slots=True)
class ErasedTraces:
    """How many rows of statements, notes of contests and versions' categories were erased."""

    rows: int
    notes: int
    categories: int


def erase_from_ledger(connection: psycopg.Connection, school: str, person: str, now: datetime) -> ErasedTraces:
    """Erases a person from statements, contests, categories and the payer's matches, and notes it for a restore."""
    with connection.transaction():
        erased = repeat_erasure(connection, school, person, now)
        note_act(connection, ActKind.ERASURE, school, {"person": person, "at": now.isoformat()})
    return erased


def repeat_erasure(connection: psycopg.Connection, school: str, person: str, at: datetime) -> ErasedTraces:
    """Erases a person; from then on no statement names them, whatever comes late or again."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO erased_person (school, person, erased_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (school, person, at),
        )
        revoke_family_codes(connection, school, person, at)
        notes = erase_notes(connection, school, person)
        rows = erase_person(connection, school, person)
        categories = erase_category(connection, school, person)
        forget_child(connection, school, person)
        forget_erased_names(connection, school)
    return ErasedTraces(rows, notes, categories)
