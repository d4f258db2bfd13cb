"""The desk's replacement cards as the uplink passes them on between the kiosks of a school."""

import logging
from collections.abc import Sequence

from edge_agent.journal.journal import Journal
from edge_agent.journal.replacement_table import StoredReplacement
from edge_agent.runtime.pin_hashes import SEALING
from edge_agent.runtime.roster_in_force import RosterInForce
from sync.contract.replacement_cards import ReplacementCardMessage

log = logging.getLogger(__name__)


class RelayedCards:
    """Implements `sync.client.ports.ReplacementCardStore`. A number under this kiosk's own key stays here."""

    def __init__(self, journal: Journal, in_force: RosterInForce) -> None:
        self._cards = journal.replacements
        self._roster = journal.roster
        self._in_force = in_force

    def next_unsent_card(self) -> ReplacementCardMessage | None:
        """Returns one that, or whose end, the ledger does not have; None: it has all."""
        card = self._cards.next_unrelayed()
        if card is None:
            return None
        return ReplacementCardMessage(
            id=card.id,
            person=card.person,
            made_at=card.made_at,
            blocked=card.blocked,
            sealed=card.sealed if card.key == SEALING and not card.ended else b"",
            ended=card.ended,
        )

    def mark_card_relayed(self, card: ReplacementCardMessage) -> None:
        """Notes that the ledger has taken this one, or will never take it."""
        self._cards.mark_relayed(card.person, card.id, ended=card.ended)

    def cards_version(self) -> int:
        """Returns the last number that was taken from the ledger; 0: none."""
        return self._cards.version()

    def accept_cards(self, cards: Sequence[ReplacementCardMessage], version: int) -> None:
        """Takes over cards of other kiosks and brings them into force. Raises JournalUnwritable."""
        before = {card.person: card.id for card in self._cards.read_all()}
        present = set(before.values())
        given = [
            StoredReplacement(card.person, card.id, card.blocked, card.sealed, SEALING, card.made_at, relayed=True)
            for card in cards
            if not card.ended and card.id not in present  # what was made here stays with its number
        ]
        self._cards.accept(given, [card.person for card in cards if card.ended], version)
        self._in_force.refresh()
        for card in self._cards.read_all():
            if before.get(card.person, card.id) != card.id:
                log.warning(
                    "two desks gave one person a card: %s counts, which came to the ledger later, and %s no longer",
                    card.id,
                    before[card.person],
                )
        log.info("replaced cards of the school's other kiosks in force: %d of %d", len(given), len(cards))

    def roster_version(self) -> int:
        """Returns the version of the roster in force; 0: none yet."""
        return self._roster.version()
