"""The judged part of a roster, as bytes that name nobody by name: what an auditor needs to judge entries again.

Sessions, closed days, entitlements, the school's time zone; and of people only id, kind, grade, group and home school.
Names, cards, consents and hints are left out: an export for an auditor needs none of them.
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from sync.contract.roster import ClosedDay, Entitlement, MealSession, Person, Record, School, record_type, to_json

_JUDGED = (ClosedDay, Entitlement, MealSession, Person, School)


def redact(record: Record) -> Record | None:
    """Returns the record without what no judgement needs; None where none of it is needed."""
    if not isinstance(record, _JUDGED):
        return None
    if isinstance(record, Person):
        return msgspec.structs.replace(record, given_name="", family_name="", hints=(), language="")
    return record


def encode_judged(records: Iterable[Record]) -> bytes:
    """Returns the judged part of a roster: one JSON record a line, by type and id."""
    judged = [redacted for record in records if (redacted := redact(record)) is not None]
    judged.sort(key=lambda record: (record_type(record), record.id))
    return b"".join(to_json(record) + b"\n" for record in judged)


def digest_judged(records: Iterable[Record]) -> bytes:
    """Returns the SHA-256 of the judged part of a roster, as its version's leaf holds it."""
    return sha256(encode_judged(records)).digest()
