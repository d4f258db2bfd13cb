"""Fetches the school's roster, page by page; hands it over whole, or not at all.

A step asks for one page. Pages wait in memory until the last one is here, so a cut connection costs one page, and a
power cut costs the pull but never leaves half a roster in force. When a page shows another version than the ones
before it, or the ledger has dropped the place (410), the pull begins again.
"""

from typing import Final

from sync.client.channel import LedgerChannel
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.ports import RosterStore
from sync.contract import wire
from sync.contract.roster import LATER_TYPES, RosterPage
from sync.errors import Deceived, RequestRejected, Unauthorised, Unreachable, Untrusted

ROSTER_INTERVAL_S: Final = 120.0
ROSTER_PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
PAGES_MAX: Final = 1_000
CHANGES_MAX: Final = 200_000  # the largest school has some 15,000 records


class RosterPull(PacedClient):
    """Keeps the roster of one school as new as the ledger's."""

    name = "roster"

    def __init__(
        self,
        store: RosterStore,
        channel: LedgerChannel,
        school: str,
        pace: Pace,
        *,
        interval_s: float = ROSTER_INTERVAL_S,
    ) -> None:
        super().__init__(pace, interval_s)
        self._store = store
        self._channel = channel
        self._school = school
        self._since: int | None = None  # the version that the pull under way asks for changes to; None: there is none
        self._pages: list[RosterPage] = []
        self._whole = False  # the next pull asks for the whole roster

    def fetch_whole(self) -> None:
        """Makes the next step ask for the complete roster, whatever the store has."""
        self._begin(whole=True)
        self.hurry()

    def _request(self) -> SyncStep:
        if self._since is None:
            self._since = 0 if self._whole else self._store.roster_version()
        try:
            return self._fetch(self._since)
        except RequestRejected as error:
            if error.status == 410:
                self._begin(whole=self._since == 0)
                raise Unreachable(f"{error}; begun again") from error
            raise
        except (Unauthorised, Untrusted, Deceived):
            self._begin(whole=False)
            raise

    def _fetch(self, since: int) -> SyncStep:
        cursor = self._pages[-1].cursor if self._pages else ""
        query = wire.roster_query(since, cursor, LATER_TYPES)
        page = self._channel.get(RosterPage, wire.roster_path(self._school), query, ROSTER_PAGE_BYTES_MAX)
        self._check(page, since)
        if self._pages and (page.version, page.whole) != (self._pages[0].version, self._pages[0].whole):
            self._begin(whole=since == 0)
            raise Unreachable("the roster changed meanwhile; begun again")
        self._pages.append(page)
        if page.more:
            return SyncStep(SyncOutcome.PAGE, 0.0, f"page {len(self._pages)} of version {page.version}")
        return self._finish(since, page)

    def _finish(self, since: int, last: RosterPage) -> SyncStep:
        pages, confirmed = tuple(self._pages), self._pace.clock()
        if last.version < since and not last.whole:
            # The ledger was restored from a backup. Its changes cannot be laid over what is newer: all of it, then.
            self._begin(whole=True)
            return SyncStep(SyncOutcome.PAGE, 0.0, f"the ledger went back to version {last.version}; fetched whole")
        self._begin(whole=False)
        if last.version == since and not any(page.changes for page in pages) and not last.whole:
            self._store.confirm_roster(confirmed)
            return SyncStep(SyncOutcome.CURRENT, self._spread_interval_s(), "nothing newer")
        self._store.apply_roster(pages, confirmed)
        return SyncStep(SyncOutcome.APPLIED, self._spread_interval_s(), f"version {last.version} is in force")

    def _check(self, page: RosterPage, since: int) -> None:
        """Raises `Deceived` for what no ledger of this school would send."""
        if page.school != self._school or page.since != since:
            raise Deceived(f"a roster page of {page.school} since {page.since}, asked for {self._school} since {since}")
        changes = len(page.changes) + sum(len(former.changes) for former in self._pages)
        if len(self._pages) >= PAGES_MAX or changes > CHANGES_MAX:
            raise Deceived(
                f"a roster of more than {PAGES_MAX} pages or {CHANGES_MAX} changes; ask the ledger's operator"
            )
        if page.more and (not page.cursor or page.cursor in {former.cursor for former in self._pages}):
            raise Deceived("a roster page that says there is more and not where; ask the ledger's operator")

    def _begin(self, *, whole: bool) -> None:
        self._since, self._pages, self._whole = None, [], whole
