"""What the staff do by hand: carried to the station's thread, and waited for, but not for long."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime

from edge_agent.domain.feedback import Child, Feedback
from edge_agent.domain.moment import Now
from edge_agent.domain.record import ByHand
from edge_agent.journal.errors import JournalError
from edge_agent.runtime.inbox import Inbox, Job
from edge_agent.screen.ports import FOUND_MAX, Done, Found, NotDone, Outcome, Why
from edge_agent.station import AlreadyVoid, NoSuchEntry, Station
from sync.contract.chain import Epoch
from sync.contract.event import PersonId

ANSWER_S = 2.0


class StaffDesk:
    """`screen.ports.StaffActions` over the station."""

    def __init__(self, station: Station, inbox: Inbox, now: Now, show: Callable[[Feedback], None]) -> None:
        self._station = station
        self._inbox = inbox
        self._now = now
        self._show = show

    def find(self, text: str) -> Sequence[Found]:
        wanted = text.casefold().split()
        found = [
            Found(PersonId(person.id), f"{person.given_name} {person.family_name}".strip(), person.group)
            for person in self._station.roster.people.values()
            if wanted and _fits(wanted, f"{person.given_name} {person.family_name} {person.group}".casefold().split())
        ]
        return sorted(found, key=lambda one: (one.name, one.group, one.person))[:FOUND_MAX]

    def groups(self) -> Sequence[str]:
        return sorted({person.group for person in self._station.roster.people.values() if person.group})

    def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> Outcome:
        if person not in self._station.roster.people:
            return NotDone(Why.UNKNOWN_PERSON)

        def work() -> Outcome:
            feedback = self._station.enter_by_hand(person, self._now(), ByHand(operator, reason))
            self._show(feedback)
            return _outcome(feedback)

        return self._carry(work)

    def enter_class(self, group: str, operator: str, reason: str) -> Outcome:
        if group not in self.groups():
            return NotDone(Why.UNKNOWN_GROUP)
        hand = ByHand(operator, reason, group=secrets.token_hex(8))
        return self._carry(lambda: Done(self._station.enter_class(group, self._now(), hand)))

    def void(self, epoch: Epoch, seq: int, operator: str, reason: str) -> Outcome:
        def work() -> Outcome:
            self._station.void(epoch, seq, self._now(), ByHand(operator, reason))
            return Done(1)

        return self._carry(work)

    def _carry(self, work: Callable[[], Outcome]) -> Outcome:
        result: Future[Outcome] = Future()
        if not self._inbox.put(Job(work, result), ANSWER_S / 2):
            return NotDone(Why.BUSY)
        try:
            return _answer(result, ANSWER_S)
        except NotInTime:
            # Once it has begun it cannot be called back, and to say "busy" then would have it done twice.
            return NotDone(Why.BUSY) if result.cancel() else _answer(result, None)


def _answer(result: "Future[Outcome]", wait_s: float | None) -> Outcome:
    try:
        return result.result(wait_s)
    except NoSuchEntry:
        return NotDone(Why.UNKNOWN_ENTRY)
    except AlreadyVoid:
        return NotDone(Why.ALREADY_VOID)
    except JournalError:
        return NotDone(Why.NOT_RECORDED)


def _outcome(feedback: Feedback) -> Outcome:
    match feedback.child:
        case Child.WELCOME:
            return Done(1)
        case Child.NOTED:
            return NotDone(Why.ALREADY_IN)
        case Child.NOT_RECORDED:
            return NotDone(Why.NOT_RECORDED)
        case _:
            return NotDone(Why.NO_SESSION)


def _fits(wanted: Sequence[str], words: Sequence[str]) -> bool:
    return all(any(word.startswith(part) for word in words) for part in wanted)
