"""The erasure of a person from everything that the ledger has of them. Chains and proofs stay whole."""

from dataclasses import dataclass
from datetime import datetime

import psycopg

from sync.ledger.billing.categories import erase_category
from sync.ledger.billing.count_uploads import forget_child_in_counts
from sync.ledger.billing.payers import forget_child
from sync.ledger.billing.terms import lock_school
from sync.ledger.errors import NotUnderstood
from sync.ledger.family.codes import delete_family_codes
from sync.ledger.judgement.contests import erase_notes
from sync.ledger.recovery.acts import ActKind, note_act
from sync.ledger.registry import erased_records
from sync.ledger.registry.surrogates import find_source_ids, forget_source_id
from sync.ledger.transparency.statements import erase_person
from sync.ledger.transparency.webhooks import forget_news


@dataclass(frozen=True, slots=True)
class ErasedTraces:
    """How many records of the roster, rows of statements, notes of contests and versions' categories were erased."""

    records: int
    rows: int
    notes: int
    categories: int


def erase_from_ledger(connection: psycopg.Connection, school: str, person: str, now: datetime) -> ErasedTraces:
    """Erases a person, by the ledger's name of them, and notes it for a restore.

    Raises NotUnderstood for a name that was never on the school's roster.
    """
    with connection.transaction():
        if connection.execute(_SELECT_EVER, (school, person)).fetchone() is None:
            raise NotUnderstood(
                f"nobody on a roster of school {school!r} was ever {person!r}",
                "take the name that the ledger's pages show, or find it with `edge-agent ledger person`",
            )
        erased = repeat_erasure(connection, school, person, now)
        note_act(connection, ActKind.ERASURE, school, {"person": person, "at": now.isoformat()})
    return erased


_SELECT_EVER = "SELECT 1 FROM roster_record WHERE school = %s AND type = 'person' AND id = %s LIMIT 1"


def repeat_erasure(connection: psycopg.Connection, school: str, person: str, at: datetime) -> ErasedTraces:
    """Erases a person; from then on no statement names them, whatever comes late or again."""
    with connection.transaction():
        # Other schools first: whoever works at this one waits the shorter.
        source_id = find_source_ids(connection, school, [person]).get(person)
        if source_id is not None:
            erased_records.forget_source_rows_elsewhere(connection, school, source_id)
        lock_school(connection, school)
        connection.execute(
            "INSERT INTO erased_person (school, person, erased_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (school, person, at),
        )
        forget_child_in_counts(connection, school, person)  # first: it finds the child by the names of the roster
        records = erased_records.end_records(connection, school, person)
        erased_records.redact_former_records(connection, school, person)
        erased_records.forget_source_rows(connection, school, source_id or person)
        forget_source_id(connection, school, person)
        delete_family_codes(connection, school, person)
        notes = erase_notes(connection, school, person)
        rows = erase_person(connection, school, person)
        categories = erase_category(connection, school, person)
        forget_news(connection, school, person)
        forget_child(connection, school, person)
    return ErasedTraces(records, rows, notes, categories)
