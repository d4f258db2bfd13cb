"""Fetches the steps of changing codes that were used at the school's other kiosks.

A ledger of an earlier version has no such page (404): it is asked again from time to time, and until then this kiosk
knows its own uses alone.
"""

from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.numbered_pages import check_page, report_page, report_unknown
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import CodeUseStore
from sync.contract import wire
from sync.contract.dynamic_codes import CODE_USES_PAGE_BYTES_MAX, CodeUsePage, code_uses_path
from sync.errors import RequestRejected

CODE_USES_INTERVAL_S: Final = 15.0  # half a step: a copy of a code is known before it has become worthless by itself


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
            return report_unknown(error, "changing codes")
        check_page(page, self._school, since, "uses")
        if page.uses or page.version != since:
            self._store.accept_code_uses(page.uses, page.version)
        return report_page(page, len(page.uses), "uses", self._spread_interval_s)
