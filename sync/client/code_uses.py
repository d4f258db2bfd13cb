"""Fetches the steps of changing codes that were used at the school's other kiosks.

A ledger of an earlier version has no such page (404): it is asked again from time to time, and until then this kiosk
knows its own uses alone.
"""

from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import CodeUseStore
from sync.contract import wire
from sync.contract.dynamic_codes import CODE_USES_PAGE_BYTES_MAX, CodeUsePage, code_uses_path
from sync.errors import Deceived, RequestRejected

CODE_USES_INTERVAL_S: Final = 15.0  # half a step: a copy of a code is known before it has become worthless by itself
OLD_LEDGER_WAIT_S: Final = 3_600.0
STRANGER_WAIT_S: Final = 60.0
RESTORED_WAIT_S: Final = 5.0


class CodeUsePull(PacedClient):
    """Keeps the used steps of one school as new as the ledger's."""

    name = "code uses"

    def __init__(
        self,
        store: CodeUseStore,
        channel: LedgerChannel,
        school: str,
        pace: Pace,
        *,
        interval_s: float = CODE_USES_INTERVAL_S,
    ) -> None:
        super().__init__(pace, interval_s)
        self._store = store
        self._channel = channel
        self._school = school

    def _request(self) -> SyncStep:
        if not self._store.wants_code_uses():
            return SyncStep(SyncOutcome.CURRENT, self._spread_interval_s(), "nobody here has a changing code")
        since = self._store.code_uses_version()
        try:
            page = self._channel.get(
                CodeUsePage, code_uses_path(self._school), wire.roster_query(since), CODE_USES_PAGE_BYTES_MAX
            )
        except RequestRejected as error:
            if error.status == 404:
                # Without a signature it may be the word of a proxy, which is gone sooner.
                wait_s = OLD_LEDGER_WAIT_S if error.is_signed else STRANGER_WAIT_S
                return SyncStep(SyncOutcome.CURRENT, wait_s, "this ledger does not know changing codes")
            raise
        if page.school != self._school or page.since != since or (page.more and page.version == since):
            raise Deceived(
                f"uses of {page.school} since {page.since}, asked for {self._school} since {since}; ask the operator"
            )
        if page.uses or page.version != since:
            self._store.accept_code_uses(page.uses, page.version)
        if page.more or page.version < since:
            wait_s = RESTORED_WAIT_S if page.version < since else 0.0
            return SyncStep(SyncOutcome.RECEIVED, wait_s, f"{len(page.uses)} uses, and there are more")
        outcome = SyncOutcome.RECEIVED if page.uses else SyncOutcome.CURRENT
        return SyncStep(outcome, self._spread_interval_s(), f"{len(page.uses)} uses")
