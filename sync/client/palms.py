"""Brings sealed palms to the ledger, and those of the school's other kiosks from it.

First what is to be sent goes out, one by one; then a page of what is new is fetched. A page is taken only under a
roster at least as new as the ledger's own: an older one may not know yet who has agreed, and what is passed over once
does not come again.
"""

from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.numbered_pages import RESTORED_WAIT_S, ROSTER_WAIT_S, check_page, report_page
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import PalmStore
from sync.contract import wire
from sync.contract.palms import PALM_PAGE_BYTES_MAX, SealedPalmPage, SealedPalmReply, palms_path

PALMS_INTERVAL_S: Final = 120.0


class PalmRelay(PacedClient):
    """Sends the palms of this kiosk and fetches those of the school's other ones."""

    name = "palms"

    def __init__(
        self, store: PalmStore, channel: LedgerChannel, school: str, pace: Pace, *, interval_s: float = PALMS_INTERVAL_S
    ) -> None:
        super().__init__(pace, interval_s)
        self._store = store
        self._channel = channel
        self._school = school

    def _request(self) -> SyncStep:
        return self._send() or self._fetch()

    def _send(self) -> SyncStep | None:
        palm = self._store.next_unsent_palm()
        if palm is None:
            return None
        reply = self._channel.post(SealedPalmReply, palms_path(self._school), wire.to_json(palm))
        self._store.mark_relayed(palm)
        why = "a palm is in the ledger" if reply.stored else "a palm of somebody who has not agreed was not taken"
        return SyncStep(SyncOutcome.SENT, 0.0, why)

    def _fetch(self) -> SyncStep:
        since = self._store.palms_version()
        page = self._channel.get(
            SealedPalmPage, palms_path(self._school), wire.roster_query(since), PALM_PAGE_BYTES_MAX
        )
        check_page(page, self._school, since, "palms")
        if page.roster > self._store.roster_version():
            return SyncStep(SyncOutcome.BEHIND, ROSTER_WAIT_S, f"waits for roster version {page.roster}")
        if page.palms or page.version != since:
            self._store.accept_palms(page.palms, page.version)
        if page.version < since:
            why = f"the ledger went back to {page.version}, and begins again"
            return SyncStep(SyncOutcome.RECEIVED, RESTORED_WAIT_S, why)
        return report_page(page, len(page.palms), "palms", self._spread_interval_s)
