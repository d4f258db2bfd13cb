"""Replacement cards of each school: stored while their people are on the roster, handed to the school's kiosks."""

from typing import Final

import msgspec
import psycopg

from sync.contract.replacement_cards import (
    PAGE_CARDS,
    ReplacementCardMessage,
    ReplacementCardPage,
    ReplacementCardReply,
)

_NEXT_VERSION: Final = """
    INSERT INTO replacement_card_head (school, version) VALUES (%s, 1)
    ON CONFLICT (school) DO UPDATE SET version = replacement_card_head.version + 1 RETURNING version
"""
_STORE: Final = """
    INSERT INTO replacement_card (school, person, version, id, blocked, sealed, ended, made_at, device)
    VALUES (%(school)s, %(person)s, %(version)s, %(id)s, %(blocked)s, %(sealed)s, %(ended)s, %(made_at)s, %(device)s)
    ON CONFLICT (school, person) DO UPDATE SET version = excluded.version, id = excluded.id, blocked = excluded.blocked,
        sealed = excluded.sealed, ended = excluded.ended, made_at = excluded.made_at, device = excluded.device
"""
_IS_ON_ROSTER: Final = (
    "SELECT 1 FROM roster_record WHERE school = %s AND type = 'person' AND id = %s AND superseded IS NULL"
    " AND body IS NOT NULL"
)


def store_card(
    connection: psycopg.Connection, school: str, device: str, card: ReplacementCardMessage
) -> tuple[ReplacementCardReply, bool]:
    """Stores a card in the place of its person's former one. Returns also whether the person has a new card by it.

    A card that comes again changes nothing, nor does the end of one that is not the person's last.
    """
    with connection.transaction():
        # A roster changes under this lock, too: nobody leaves the roster while it is read.
        connection.execute("SELECT 1 FROM school WHERE school = %s FOR UPDATE", (school,))
        if connection.execute(_IS_ON_ROSTER, (school, card.person)).fetchone() is None:
            return ReplacementCardReply(version=_read_version(connection, school), stored=False), False
        stored = connection.execute(
            "SELECT id, ended FROM replacement_card WHERE school = %s AND person = %s", (school, card.person)
        ).fetchone()
        stored_id, has_ended = stored or ("", False)
        is_new = stored_id != card.id
        if (card.ended and (is_new or has_ended)) or not (card.ended or is_new):
            return ReplacementCardReply(version=_read_version(connection, school), stored=True), False
        row = connection.execute(_NEXT_VERSION, (school,)).fetchone()
        assert row is not None
        connection.execute(_STORE, {
            "school": school, "person": card.person, "version": row[0], "id": card.id,
            "blocked": msgspec.json.encode(card.blocked).decode(),
            "sealed": None if card.ended else card.sealed or None, "ended": card.ended, "made_at": card.made_at,
            "device": device,
        })  # fmt: skip
    return ReplacementCardReply(version=row[0], stored=True), is_new


def read_page(connection: psycopg.Connection, school: str, since: int, limit: int = PAGE_CARDS) -> ReplacementCardPage:
    """Returns the cards after number `since`. A kiosk ahead of the ledger (one that was restored) gets everything."""
    newest = _read_version(connection, school)
    roster = connection.execute("SELECT roster_version FROM school WHERE school = %s", (school,)).fetchone()
    assert roster is not None, "a device has a school"
    rows = connection.execute(
        "SELECT person, version, id, blocked, sealed, ended, made_at FROM replacement_card"
        " WHERE school = %s AND version > %s AND version <= %s ORDER BY version LIMIT %s",
        (school, since if since <= newest else 0, newest, limit + 1),
    ).fetchall()
    cards = tuple(
        ReplacementCardMessage(
            id=card_id, person=person, made_at=made_at, blocked=msgspec.json.decode(blocked, type=tuple[str, ...]),
            sealed=bytes(sealed or b""), ended=ended,
        )
        for person, _, card_id, blocked, sealed, ended, made_at in rows[:limit]
    )  # fmt: skip
    more = len(rows) > limit
    version = int(rows[limit - 1][1]) if more else newest
    return ReplacementCardPage(
        school=school, since=since, version=version, roster=int(roster[0]), cards=cards, more=more
    )  # fmt: skip


def read_made_at(connection: psycopg.Connection, school: str, person: str) -> str:
    """Returns when a person's replacement was given, in UTC as in messages; empty: they have none, or it has ended."""
    row = connection.execute(
        "SELECT made_at FROM replacement_card WHERE school = %s AND person = %s AND NOT ended", (school, person)
    ).fetchone()
    return row[0] if row else ""


def forget_absent_cards(connection: psycopg.Connection, school: str) -> None:
    """Deletes the cards of people who are not on the school's roster, inside the caller's transaction.

    The kiosks need no message about it: they go by the same roster.
    """
    connection.execute(
        "DELETE FROM replacement_card c WHERE c.school = %(school)s AND NOT EXISTS (SELECT 1 FROM roster_record r"
        " WHERE r.school = %(school)s AND r.type = 'person' AND r.id = c.person AND r.superseded IS NULL"
        " AND r.body IS NOT NULL)",
        {"school": school},
    )


def _read_version(connection: psycopg.Connection, school: str) -> int:
    row = connection.execute("SELECT version FROM replacement_card_head WHERE school = %s", (school,)).fetchone()
    return int(row[0]) if row else 0
