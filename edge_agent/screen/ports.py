"""What the screen asks of the runtime, in its own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sync.contract.chain import Epoch
from sync.contract.event import PersonId

ROSTER_PEOPLE_MAX = 20


class EntryReason(StrEnum):
    """Stock reasons for an entry by hand; the staff may also type their own words."""

    FORGOT_CARD = "forgot_card"
    LOST_CARD = "lost_card"
    PALM_UNREAD = "palm_unread"
    NEW_PUPIL = "new_pupil"
    READER_DOWN = "reader_down"


class VoidReason(StrEnum):
    """Stock reasons for taking an entry back."""

    WRONG_PERSON = "wrong_person"
    DID_NOT_EAT = "did_not_eat"
    TWICE = "twice"


@dataclass(frozen=True, slots=True)
class RosterPerson:
    """One person, as a staff member tells people apart."""

    person: PersonId
    name: str
    group: str


class FailureReason(StrEnum):
    """Why nothing, or not everything, was done. The catalogues hold the words, and what to do next."""

    UNKNOWN_PERSON = "unknown_person"
    UNKNOWN_GROUP = "unknown_group"
    UNKNOWN_ENTRY = "unknown_entry"
    ALREADY_VOID = "already_void"
    ALREADY_IN = "already_in"
    NO_SESSION = "no_session"
    NOT_RECORDED = "not_recorded"  # the journal cannot be written: count on the page
    BUSY = "busy"  # try again


@dataclass(frozen=True, slots=True)
class ActionDone:
    rows: int  # written to the journal, durable


@dataclass(frozen=True, slots=True)
class ActionFailed:
    reason: FailureReason


ActionResult = ActionDone | ActionFailed


class StaffActions(Protocol):
    """What staff can do by hand. Called from the screen's worker threads, one call at a time.

    Each returns within about two seconds, with `ActionFailed(FailureReason.BUSY)` when the station has no time. What
    it reports as `ActionDone` is on disk. `reason` is an `EntryReason` or `VoidReason` code, or the operator's own
    words.
    """

    def find_people(self, text: str) -> Sequence[RosterPerson]:
        """People whose name or class begins like `text`; at most `ROSTER_PEOPLE_MAX`, best first."""
        ...

    def list_groups(self) -> Sequence[str]: ...

    def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult: ...

    def enter_class(self, group: str, operator: str, reason: str) -> ActionResult: ...

    def void_entry(self, epoch: Epoch, seq: int, operator: str, reason: str) -> ActionResult: ...
