"""Consents and their ends, noted at the desks of a school: queued with the events, and then part of its roster.

So the school's other kiosks, the palms in the ledger and a later import go by one list. The last word counts, whichever
desk it was said at and in whatever order the batches come.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import psycopg

from sync.contract.chain import DeviceId
from sync.contract.clocks import is_utc_text
from sync.contract.consents import desk_record_id, merge_words
from sync.contract.event import ConsentNoted, ConsentWithdrawn
from sync.contract.roster import Consent, from_json
from sync.contract.wire import time_text
from sync.ledger.registry import rosters

DeskWord = tuple[str, int, ConsentNoted | ConsentWithdrawn]  # epoch, number, event

_QUEUE: Final = """
    INSERT INTO desk_word (school, device, epoch, seq, person, scope, given_at, given_by, paper, withdrawn_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_TAKE: Final = (
    "DELETE FROM desk_word WHERE school = %s RETURNING person, scope, given_at, given_by, paper, withdrawn_at"
)
_READ_PRESENT: Final = """
    SELECT type, id, body FROM roster_record WHERE school = %s AND superseded IS NULL AND body IS NOT NULL
    AND (type, id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""


def note_desk_words(
    connection: psycopg.Connection, school: str, device: DeviceId, words: Sequence[DeskWord], now: datetime
) -> None:
    """Queues words, inside the caller's transaction. Waits for nothing. A word of the future counts from now on."""
    latest = time_text(now)
    for epoch, seq, event in words:
        row = _given(event) if isinstance(event, ConsentNoted) else _withdrawn(event)
        texts, moment = (event.person, event.scope, *row[1:3]), row[0] or row[3]
        if is_utc_text(moment) and event.person and not any("\0" in text for text in texts):
            given_at, given_by, paper, withdrawn_at = row
            moments = min(given_at, latest), min(withdrawn_at, latest)
            connection.execute(
                _QUEUE,
                (school, device, epoch, seq, event.person, event.scope, moments[0], given_by, paper, moments[1]),
            )


def apply_desk_words(connection: psycopg.Connection, school: str) -> None:
    """Brings the queued words into the school's roster, as one new version; of people who are on it."""
    if connection.execute("SELECT 1 FROM desk_word WHERE school = %s LIMIT 1", (school,)).fetchone() is None:
        return
    with connection.transaction():
        connection.execute("SELECT 1 FROM school WHERE school = %s FOR NO KEY UPDATE", (school,))
        words = [Consent(id=desk_record_id(row[0], row[1]), person=row[0], scope=row[1], given_at=row[2],
                         given_by=row[3], version=row[4], withdrawn_at=row[5])
                 for row in connection.execute(_TAKE, (school,)).fetchall()]  # fmt: skip
        people = sorted({word.person for word in words})
        ids = sorted({word.id for word in words})
        types = ["person"] * len(people) + ["consent"] * len(ids)
        rows = connection.execute(_READ_PRESENT, (school, types, people + ids)).fetchall()
        listed = {record_id for kind, record_id, _ in rows if kind == "person"}
        present = [record for kind, _, body in rows if isinstance(record := from_json(body), Consent)]
        merged = merge_words(present, [word for word in words if word.person in listed])
        rosters.apply_changes(connection, school, merged)


def _given(event: ConsentNoted) -> tuple[str, str, str, str]:
    return event.given_at, event.given_by, event.paper, ""


def _withdrawn(event: ConsentWithdrawn) -> tuple[str, str, str, str]:
    return "", "", "", event.withdrawn_at or event.at
