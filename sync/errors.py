"""Errors of the wire, named by what the caller can do.

SyncError
├── Unreachable      no answer, or none that can be used now: try again later; `retry_after_s` when the ledger said when
├── RequestRejected  the ledger answers and says no: do what the problem document says
├── Unauthorised     the ledger does not (or no longer) trust this kiosk: stop sending, tell the technician
├── Untrusted        we cannot trust the ledger: certificate, clock or key; stop sending, tell the technician
├── Deceived         an answer that cannot be true: mark nothing, tell the technician
├── SplitLog         the ledger's log contradicts this kiosk's journal or itself: evidence is stored, tell an auditor
├── EpochsRefused    the ledger takes none of the epochs that were opened: stop sending, tell the technician
└── KeyUnusable      the kiosk's own key cannot be read or made: nothing can be sent, tell the technician
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Final

from sync.contract.wire import ProblemDocument


class SyncAlarm(StrEnum):
    """The reason why a technician should look at the kiosk's line to the ledger."""

    NONE = ""
    UNAUTHORISED = "unauthorised"
    UNTRUSTED = "untrusted"  # certificate or clock
    DECEIVED = "deceived"
    REFUSED = "refused"  # the ledger does not understand our requests at all
    SPLIT_LOG = "split-log"  # the ledger shows a log that cannot be true; the evidence is on this kiosk
    FORK = "fork"  # the ledger had something else under our numbers: restored card, or two kiosks with one identity
    DEFERRED = "deferred"  # an event was refused, and not by the ledger's signed word: it is offered again daily
    LEDGER_BEHIND = "ledger-behind"  # it has lost events that it had signed for; they are sent again


class Wording:
    """A text of the pages' catalogues by its key, and the values that stand in it: a reason in every language."""

    __slots__ = ("key", "values")

    def __init__(self, key: str, **values: object) -> None:
        self.key: Final = key
        self.values: Final[Mapping[str, object]] = values


class SyncError(Exception):
    """Base of all errors of the wire. The message is `reason; next_step`, and says what to do next.

    `next_step` is empty where the reason names it already. `wording` says both on the pages, in the reader's language;
    None where no page can meet this error.
    """

    alarm: ClassVar[SyncAlarm] = SyncAlarm.NONE
    default_wording: ClassVar[Wording | None] = None

    def __init__(self, reason: str = "", next_step: str = "", wording: Wording | None = None) -> None:
        super().__init__(f"{reason}; {next_step}" if next_step else reason)
        self.reason = reason
        self.next_step = next_step
        self.wording = wording or self.default_wording


class Unreachable(SyncError):
    """Refused, timed out, cut off, overloaded. Nothing is known about what the ledger did with the request."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RequestRejected(SyncError):
    """A 4xx about this request. `problem` is the ledger's own account, or one made from the bare status.

    `is_signed`: the ledger has signed it. Otherwise it may be the word of whoever stands on the way.
    """

    alarm = SyncAlarm.REFUSED

    def __init__(self, status: int, problem: ProblemDocument, *, is_signed: bool = False) -> None:
        super().__init__(f"{status} {problem.title or problem.type}: {problem.detail}".rstrip(": "))
        self.status = status
        self.problem = problem
        self.is_signed = is_signed


class Unauthorised(SyncError):
    """401 or 403: the key is unknown, suspended or revoked."""

    alarm = SyncAlarm.UNAUTHORISED

    def __init__(self, reason: str = "", next_step: str = "", *, problem: ProblemDocument | None = None) -> None:
        """`problem`: the ledger's own account."""
        super().__init__(reason, next_step)
        self.problem = problem


class Untrusted(SyncError):
    """TLS failed: certificate not yet valid, expired, of another name or authority."""

    alarm = SyncAlarm.UNTRUSTED

    def __init__(self, reason: str = "", next_step: str = "", *, verify_code: int = 0) -> None:
        """`verify_code`: OpenSSL's verdict on the certificate; 0 where it was not asked."""
        super().__init__(reason, next_step)
        self.verify_code = verify_code


class Deceived(SyncError):
    """The answer contradicts what this kiosk knows for certain, or its signature is not the ledger's."""

    alarm = SyncAlarm.DECEIVED


class SplitLog(SyncError):
    """The ledger's log contradicts itself, or what this kiosk has written and the ledger has signed for."""

    alarm = SyncAlarm.SPLIT_LOG


class EpochsRefused(SyncError):
    """The ledger holds another chain, and takes none of the epochs that this kiosk has opened since."""

    alarm = SyncAlarm.FORK


class KeyUnusable(SyncError):
    """Missing rights, a damaged file, or a key that others can read."""
