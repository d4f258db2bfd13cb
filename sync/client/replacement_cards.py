"""Brings the desk's replacement cards to the ledger, and those of the school's other kiosks from it.

As with palms, a page is taken only under a roster at least as new as the ledger's own. A ledger of an earlier version
has no such page (404): it is asked again from time to time, and until then this kiosk's cards are known here alone.
"""

from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import ReplacementCardStore
from sync.contract import wire
from sync.contract.replacement_cards import (
    CARD_PAGE_BYTES_MAX,
    ReplacementCardPage,
    ReplacementCardReply,
    replacement_cards_path,
)
from sync.errors import Deceived, RequestRejected

CARDS_INTERVAL_S: Final = 30.0  # a lost card must not be good for a meal at the other door for long
ROSTER_BEHIND_WAIT_S: Final = 5.0
UNKNOWING_LEDGER_WAIT_S: Final = 3_600.0
PROXY_WAIT_S: Final = 60.0
RESTORED_LEDGER_WAIT_S: Final = 5.0


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
        rested = self.last.outcome in (SyncOutcome.CURRENT, SyncOutcome.RECEIVED) and self.last.due_s <= 60.0
        return rested and self._store.next_unsent_card() is not None

    def _request(self) -> SyncStep:
        try:
            return self._send() or self._fetch()
        except RequestRejected as error:
            if error.status == 404:
                # Without a signature it may be the word of a proxy, which is gone sooner.
                wait_s = UNKNOWING_LEDGER_WAIT_S if error.is_signed else PROXY_WAIT_S + 1
                return SyncStep(SyncOutcome.CURRENT, wait_s, "this ledger does not know replacement cards")
            raise

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
        if page.school != self._school or page.since != since or (page.more and page.version == since):
            raise Deceived(
                f"cards of {page.school} since {page.since}, asked for {self._school} since {since}; ask the operator"
            )
        if page.roster > self._store.roster_version():
            return SyncStep(SyncOutcome.BEHIND, ROSTER_BEHIND_WAIT_S, f"waits for roster version {page.roster}")
        if page.cards or page.version != since:
            self._store.accept_cards(page.cards, page.version)
        if page.more or page.version < since:
            wait_s = RESTORED_LEDGER_WAIT_S if page.version < since else 0.0
            return SyncStep(SyncOutcome.RECEIVED, wait_s, f"{len(page.cards)} cards, and there are more")
        outcome = SyncOutcome.RECEIVED if page.cards else SyncOutcome.CURRENT
        return SyncStep(outcome, self._spread_interval_s(), f"{len(page.cards)} cards")
