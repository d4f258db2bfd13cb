"""Brings the desk's replacement cards to the ledger, and those of the school's other kiosks from it.

As with palms, a page is taken only under a roster at least as new as the ledger's own. A ledger of an earlier version
has no such page (404): it is asked again from time to time, and until then this kiosk's cards are known here alone.
"""

from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.numbered_pages import ROSTER_WAIT_S, check_page, report_page, report_unknown
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import ReplacementCardStore
from sync.contract import wire
from sync.contract.replacement_cards import (
    CARD_PAGE_BYTES_MAX,
    ReplacementCardPage,
    ReplacementCardReply,
    replacement_cards_path,
)
from sync.errors import RequestRejected

CARDS_INTERVAL_S: Final = 30.0  # a lost card must not be good for a meal at the other door for long
EARLY_MAX_S: Final = 60.0  # a rest that a new card cuts short; a longer one is for a ledger that does not know cards


class ReplacementCardRelay(PacedClient):
    """Sends the replacement cards of this kiosk and fetches those of the school's other ones."""

    name = "cards"

    def __init__(
        self,
        store: ReplacementCardStore,
        channel: LedgerChannel,
        school: str,
        pace: Pace,
        *,
        interval_s: float = CARDS_INTERVAL_S,
    ) -> None:
        super().__init__(pace, interval_s)
        self._store = store
        self._channel = channel
        self._path = replacement_cards_path(school)
        self._school = school

    def _may_go_early(self) -> bool:
        rested = self.last.outcome in (SyncOutcome.CURRENT, SyncOutcome.RECEIVED) and self.last.due_s <= EARLY_MAX_S
        return rested and self._store.next_unsent_card() is not None

    def _request(self) -> SyncStep:
        try:
            return self._send() or self._fetch()
        except RequestRejected as error:
            return report_unknown(error, "replacement cards", EARLY_MAX_S + 1)

    def _send(self) -> SyncStep | None:
        card = self._store.next_unsent_card()
        if card is None:
            return None
        reply = self._channel.post(ReplacementCardReply, self._path, wire.to_json(card))
        self._store.mark_card_relayed(card)
        why = "a card is in the ledger" if reply.stored else "a card of nobody on the roster was not taken"
        return SyncStep(SyncOutcome.SENT, 0.0, why)

    def _fetch(self) -> SyncStep:
        since = self._store.cards_version()
        page = self._channel.get(ReplacementCardPage, self._path, wire.roster_query(since), CARD_PAGE_BYTES_MAX)
        check_page(page, self._school, since, "cards")
        if page.roster > self._store.roster_version():
            return SyncStep(SyncOutcome.BEHIND, ROSTER_WAIT_S, f"waits for roster version {page.roster}")
        if page.cards or page.version != since:
            self._store.accept_cards(page.cards, page.version)
        return report_page(page, len(page.cards), "cards", self._spread_interval_s)
