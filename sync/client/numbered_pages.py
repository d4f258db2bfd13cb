"""Pages of a school's news by number, as a kiosk fetches them: of palms, used codes and replacement cards."""

from collections.abc import Callable
from typing import Final, Protocol

from sync.client.paced import SyncOutcome, SyncStep
from sync.errors import Deceived, RequestRejected

ROSTER_WAIT_S: Final = 5.0
RESTORED_WAIT_S: Final = 5.0  # a ledger that goes back again and again is not asked without a pause
OLD_LEDGER_WAIT_S: Final = 3_600.0
STRANGER_WAIT_S: Final = 60.0


class NumberedPage(Protocol):
    """A page of what came after the number `since`, up to `version`."""

    @property
    def school(self) -> str:
        """Returns whose news it is."""
        ...

    @property
    def since(self) -> int:
        """Returns the number behind which it was asked for."""
        ...

    @property
    def version(self) -> int:
        """Returns the number of the last news in it."""
        ...

    @property
    def more(self) -> bool:
        """Returns True where there are more behind it."""
        ...


def check_page(page: NumberedPage, school: str, since: int, what: str) -> None:
    """Raises Deceived for a page that is no answer to this question, or that would be asked for without an end."""
    if page.school != school or page.since != since or (page.more and page.version == since):
        raise Deceived(
            f"{what} of {page.school} since {page.since}, asked for {school} since {since}; ask the operator"
        )


def report_page(page: NumberedPage, number: int, what: str, rest_s: Callable[[], float]) -> SyncStep:
    """Returns the step behind a page with this `number` of news: the next page soon, or a rest."""
    if page.more or page.version < page.since:
        wait_s = RESTORED_WAIT_S if page.version < page.since else 0.0
        return SyncStep(SyncOutcome.RECEIVED, wait_s, f"{number} {what}, and there are more")
    return SyncStep(SyncOutcome.RECEIVED if number else SyncOutcome.CURRENT, rest_s(), f"{number} {what}")


def report_unknown(error: RequestRejected, what: str, stranger_wait_s: float = STRANGER_WAIT_S) -> SyncStep:
    """Returns the step behind a page that a ledger of an earlier version does not have. Raises any other error."""
    if error.status != 404:
        raise error
    # Without a signature it may be the word of a proxy, which is gone sooner.
    wait_s = OLD_LEDGER_WAIT_S if error.is_signed else stranger_wait_s
    return SyncStep(SyncOutcome.CURRENT, wait_s, f"this ledger does not know {what}")
