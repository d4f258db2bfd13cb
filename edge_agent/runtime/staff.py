"""What the staff do by hand: carried to the station's thread, and waited for, but not for long."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime

from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.moment import MomentSource
from edge_agent.domain.record import StaffAct
from edge_agent.journal.errors import JournalError
from edge_agent.runtime.inbox import Inbox, Job
from edge_agent.screen.ports import (
    ROSTER_PEOPLE_MAX,
    ActionDone,
    ActionFailed,
    ActionResult,
    FailureReason,
    RosterPerson,
)
from edge_agent.station import EntryAlreadyVoid, NoSuchEntry, Station
from sync.contract.chain import Epoch
from sync.contract.event import PersonId

ANSWER_S = 2.0


class StaffDesk:
    """`screen.ports.StaffActions` over the station."""

    def __init__(self, station: Station, inbox: Inbox, now: MomentSource) -> None:
        self._station = station
        self._inbox = inbox
        self._now = now

    def find_people(self, text: str) -> Sequence[RosterPerson]:
        wanted = text.casefold().split()
        found = [
            RosterPerson(PersonId(person.id), f"{person.given_name} {person.family_name}".strip(), person.group)
            for person in self._station.roster.people.values()
            if wanted and _fits(wanted, f"{person.given_name} {person.family_name} {person.group}".casefold().split())
        ]
        return sorted(found, key=lambda one: (one.name, one.group, one.person))[:ROSTER_PEOPLE_MAX]

    def list_groups(self) -> Sequence[str]:
        return sorted({person.group for person in self._station.roster.people.values() if person.group})

    def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult:
        if person not in self._station.roster.people:
            return ActionFailed(FailureReason.UNKNOWN_PERSON)

        hand = StaffAct(operator, reason)
        return self._carry(lambda: self._station.enter_by_hand(person, self._now(), hand))

    def enter_class(self, group: str, operator: str, reason: str) -> ActionResult:
        if group not in self.list_groups():
            return ActionFailed(FailureReason.UNKNOWN_GROUP)
        hand = StaffAct(operator, reason, group=secrets.token_hex(8))
        return self._carry(lambda: self._station.enter_class(group, self._now(), hand))

    def void_entry(self, epoch: Epoch, seq: int, operator: str, reason: str) -> ActionResult:
        def work() -> int:
            self._station.void_entry(epoch, seq, self._now(), StaffAct(operator, reason))
            return 1

        return self._carry(work)

    def _carry(self, work: Callable[[], Feedback | int]) -> ActionResult:
        result: Future[Feedback | int] = Future()
        if not self._inbox.put(Job(work, result), ANSWER_S / 2):
            return ActionFailed(FailureReason.BUSY)
        try:
            return _answer(result, ANSWER_S)
        except NotInTime:
            # Once it has begun it cannot be called back, and to say "busy" then would have it done twice.
            return ActionFailed(FailureReason.BUSY) if result.cancel() else _answer(result, None)


def _answer(result: "Future[Feedback | int]", wait_s: float | None) -> ActionResult:
    try:
        done = result.result(wait_s)
    except NoSuchEntry:
        return ActionFailed(FailureReason.UNKNOWN_ENTRY)
    except EntryAlreadyVoid:
        return ActionFailed(FailureReason.ALREADY_VOID)
    except JournalError:
        return ActionFailed(FailureReason.NOT_RECORDED)
    return _outcome(done) if isinstance(done, Feedback) else ActionDone(done)


def _outcome(feedback: Feedback) -> ActionResult:
    match feedback.kind:
        case FeedbackKind.WELCOME:
            return ActionDone(1)
        case FeedbackKind.NOTED:
            return ActionFailed(FailureReason.ALREADY_IN)
        case FeedbackKind.NOT_RECORDED:
            return ActionFailed(FailureReason.NOT_RECORDED)
        case _:
            return ActionFailed(FailureReason.NO_SESSION)


def _fits(wanted: Sequence[str], words: Sequence[str]) -> bool:
    return all(any(word.startswith(part) for word in words) for part in wanted)
