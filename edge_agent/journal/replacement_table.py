"""The replacement cards of this school as the journal has them: written with their event, passed on, ended, deleted."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from edge_agent.journal.appending import Appender
from edge_agent.journal.marks import MarkTable, write_marks
from edge_agent.journal.rows import AppendedEvent
from edge_agent.journal.sealed_palms import overwriting_deletions
from edge_agent.journal.store import Store
from sync.contract.event import Event

REPLACEMENTS_VERSION: Final = "replacement_cards_version"  # how far the ledger's order was taken over

SELECT_CARDS = """
    SELECT person, id, blocked, sealed, key, made_at, relayed, ended FROM replacement_card ORDER BY person
"""
SELECT_UNRELAYED_CARD = """
    SELECT person, id, blocked, sealed, key, made_at, relayed, ended FROM replacement_card
    WHERE relayed = 0 OR ended = 1 ORDER BY made_at, person LIMIT 1
"""
UPSERT_CARD = """
    INSERT INTO replacement_card (person, id, blocked, sealed, key, made_at, relayed) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (person) DO UPDATE SET id = excluded.id, blocked = excluded.blocked, sealed = excluded.sealed,
        key = excluded.key, made_at = excluded.made_at, relayed = excluded.relayed, ended = 0
"""
# A card that was given here and that the ledger does not have yet comes after the ledger's in its order.
SELECT_UNSENT = "SELECT 1 FROM replacement_card WHERE person = ? AND relayed = 0"
UPDATE_RELAYED_CARD = "UPDATE replacement_card SET relayed = 1 WHERE person = ? AND id = ?"
UPDATE_ALL_UNRELAYED_CARDS = "UPDATE replacement_card SET relayed = 0"
UPDATE_ENDED_CARD = "UPDATE replacement_card SET ended = 1, sealed = x'' WHERE id = ?"
DELETE_ENDED_CARD = "DELETE FROM replacement_card WHERE person = ? AND id = ? AND ended = 1"
DELETE_CARD = "DELETE FROM replacement_card WHERE person = ?"
SELECT_IS_ON_ROSTER = "SELECT 1 FROM roster WHERE type = 'person' AND id = ?"


@dataclass(frozen=True, slots=True)
class StoredReplacement:
    """One replacement card as it lies on the disk."""

    person: str
    id: str
    blocked: tuple[str, ...]
    sealed: bytes = field(repr=False)
    key: str  # `sealing`: the school's; `kiosk`: of this kiosk alone
    made_at: str
    relayed: bool = False
    ended: bool = False


class ReplacementTable:
    """The replacement cards of one journal. Whoever calls seals and opens the numbers."""

    def __init__(self, store: Store, appender: Appender, marks: MarkTable) -> None:
        self._store = store
        self._appender = appender
        self._marks = marks

    def put(self, card: StoredReplacement, event: Event) -> AppendedEvent:
        """Stores a card in the place of the person's former replacement and appends `event`; both or none.

        Raises `JournalUnwritable`, `JournalDamaged`.
        """
        return self._appender.append_with(lambda connection: _put_card(connection, card), lambda _: [event])[1][0]

    def read_all(self) -> list[StoredReplacement]:
        """Returns the replacements in force, by person."""
        return [card for card in map(_card_from_row, self._store.read(SELECT_CARDS)) if not card.ended]

    def next_unrelayed(self) -> StoredReplacement | None:
        """Returns one of which, or of whose end, the ledger does not know; None when it knows of all."""
        rows = self._store.read(SELECT_UNRELAYED_CARD)
        return _card_from_row(rows[0]) if rows else None

    def mark_relayed(self, person: str, card_id: str, *, ended: bool) -> None:
        """Notes that the ledger knows of this card; with `ended`, of its end, and the row goes."""
        self._store.write(
            lambda connection: connection.execute(
                DELETE_ENDED_CARD if ended else UPDATE_RELAYED_CARD, (person, card_id)
            )
        )

    def end(self, card_ids: Collection[str]) -> None:
        """Ends these replacements and overwrites their numbers, because the source has the cards by itself."""

        def work(connection: sqlite3.Connection) -> None:
            with overwriting_deletions(connection):
                connection.executemany(UPDATE_ENDED_CARD, [(card_id,) for card_id in sorted(card_ids)])

        self._store.write(work)

    def version(self) -> int:
        """Returns the number up to which the ledger's cards are here."""
        return int(self._marks.read(REPLACEMENTS_VERSION) or 0)

    def accept(self, cards: Sequence[StoredReplacement], ended: Collection[str], version: int) -> None:
        """Takes over cards of the school's other kiosks and deletes those of people in `ended`, all of it or nothing.

        A version below the noted one comes from a ledger that was restored: then all are sent again.
        """
        before = self.version()

        def work(connection: sqlite3.Connection) -> None:
            if version < before:
                connection.execute(UPDATE_ALL_UNRELAYED_CARDS)
            with overwriting_deletions(connection):
                for card in cards:
                    if _may_take(connection, card.person):
                        _put_card(connection, card)
                for person in sorted(ended):
                    if connection.execute(SELECT_UNSENT, (person,)).fetchone() is None:
                        connection.execute(DELETE_CARD, (person,))
            write_marks(connection, {REPLACEMENTS_VERSION: str(version)})

        self._store.write(work)


def _may_take(connection: sqlite3.Connection, person: str) -> bool:
    is_on_roster = connection.execute(SELECT_IS_ON_ROSTER, (person,)).fetchone() is not None
    return is_on_roster and connection.execute(SELECT_UNSENT, (person,)).fetchone() is None


def _put_card(connection: sqlite3.Connection, card: StoredReplacement) -> None:
    blocked = msgspec.json.encode(card.blocked).decode()
    row = (card.person, card.id, blocked, card.sealed, card.key, card.made_at, card.relayed)
    with overwriting_deletions(connection):
        connection.execute(UPSERT_CARD, row)


def _card_from_row(row: tuple[str, str, str, bytes, str, str, int, int]) -> StoredReplacement:
    person, card_id, blocked, sealed, key, made_at, relayed, ended = row
    ids = msgspec.json.decode(blocked, type=tuple[str, ...])
    return StoredReplacement(person, card_id, ids, bytes(sealed), key, made_at, bool(relayed), bool(ended))
