"""Fetch the school's roster, page by page; hand it over whole, or not at all.

`step` asks for one page. Pages wait in memory until the last one is there, so a cut connection costs one page, and a
power cut costs the pull but never leaves half a roster in force. When a page shows another version than the ones
before it, or the ledger has dropped its place (410), the pull begins again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import Final

from sync.client.channel import Channel
from sync.client.policy import CAP_S, Backoff
from sync.client.ports import RosterStore
from sync.contract import wire
from sync.contract.roster import Page
from sync.errors import Deceived, Rejected, Unauthorised, Unreachable, Untrusted

PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
PAGES_MAX: Final = 1_000
CHANGES_MAX: Final = 200_000  # the largest school has some 15,000 records


class PullOutcome(StrEnum):
    WAITING = "waiting"
    PAGE = "page"  # one more of several
    APPLIED = "applied"
    CURRENT = "current"  # nothing newer
    UNREACHABLE = "unreachable"
    STOPPED = "stopped"  # a person must act; the roster in force stays


@dataclass(frozen=True, slots=True)
class Pull:
    outcome: PullOutcome
    due_s: float
    why: str
    version: int = 0  # in force


class RosterPull:
    def __init__(
        self,
        store: RosterStore,
        channel: Channel,
        school: str,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        dice: Random,
        interval_s: float = 120.0,
        retry_max_s: float = CAP_S,
    ) -> None:
        self._store = store
        self._channel = channel
        self._school = school
        self._clock = clock
        self._monotonic = monotonic
        self._dice = dice
        self._interval_s = interval_s
        self._backoff = Backoff(dice, cap_s=retry_max_s)
        self._since: int | None = None  # None: no pull is under way
        self._pages: list[Page] = []
        self._whole = False
        self._next_at = monotonic()

    def hurry(self) -> None:
        """The ledger has something newer, or a person asks: do not wait for the interval."""
        self._next_at = self._monotonic()

    def whole(self) -> None:
        """Ask for the complete roster next, whatever is here."""
        self._begin(whole=True)
        self.hurry()

    def step(self) -> Pull:
        """Do at most one request. Errors of the store pass through."""
        wait_s = self._next_at - self._monotonic()
        if wait_s > 0:
            return self._pull(PullOutcome.WAITING, wait_s, "not due yet")
        pull = self._attempt()
        self._next_at = self._monotonic() + pull.due_s
        return pull

    def _attempt(self) -> Pull:
        if self._since is None:
            self._since = 0 if self._whole else self._store.roster_version()
        try:
            return self._fetch(self._since)
        except Unreachable as error:
            return self._pull(PullOutcome.UNREACHABLE, self._backoff.failed(error.retry_after_s), str(error))
        except Rejected as error:
            if error.status == 410:
                self._begin(whole=self._since == 0)
                return self._pull(PullOutcome.UNREACHABLE, self._backoff.failed(), f"{error}; begun again")
            return self._pull(PullOutcome.STOPPED, self._backoff.stopped(), str(error))
        except (Unauthorised, Untrusted, Deceived) as error:
            self._begin(whole=False)
            return self._pull(PullOutcome.STOPPED, self._backoff.stopped(), str(error))

    def _fetch(self, since: int) -> Pull:
        cursor = self._pages[-1].cursor if self._pages else ""
        query = wire.roster_query(since, cursor)
        page = self._channel.get(Page, wire.roster_path(self._school), query, PAGE_BYTES_MAX)
        self._check(page, since)
        if self._pages and (page.version, page.whole) != (self._pages[0].version, self._pages[0].whole):
            self._begin(whole=since == 0)
            return self._pull(
                PullOutcome.UNREACHABLE, self._backoff.failed(), "the roster changed meanwhile; begun again"
            )
        self._pages.append(page)
        if page.more:
            return self._pull(PullOutcome.PAGE, 0.0, f"page {len(self._pages)} of version {page.version}")
        return self._finish(since, page)

    def _finish(self, since: int, last: Page) -> Pull:
        pages, now = tuple(self._pages), self._clock()
        self._begin(whole=False)
        self._backoff.succeeded()
        if last.version < since and not last.whole:
            # The ledger was restored from a backup. Its changes cannot be laid over what is newer: all of it, then.
            self._begin(whole=True)
            return self._pull(PullOutcome.PAGE, 0.0, f"the ledger went back to version {last.version}; fetched whole")
        if last.version == since and not any(page.changes for page in pages) and not last.whole:
            self._store.confirm_roster(now)
            return self._pull(PullOutcome.CURRENT, self._spread_s(), "nothing newer")
        self._store.apply_roster(pages, now)
        return self._pull(PullOutcome.APPLIED, self._spread_s(), f"version {last.version} is in force")

    def _check(self, page: Page, since: int) -> None:
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

    def _spread_s(self) -> float:
        """The interval, a tenth up or down, so that a city's kiosks do not ask in step."""
        return self._interval_s * self._dice.uniform(0.9, 1.1)

    def _pull(self, outcome: PullOutcome, due_s: float, why: str) -> Pull:
        return Pull(outcome, due_s, why, self._store.roster_version())
