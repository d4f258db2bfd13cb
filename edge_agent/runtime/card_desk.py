"""New cards in the place of lost ones: the desk waits for a card, and the station brings the one that is shown.

Only a card that is nobody's becomes a new one. Everybody else goes on through the station meanwhile as ever. All former
cards of the person are blocked from then on, here at once and at the school's other kiosks by way of the ledger.
"""

import logging
import secrets
import threading
from dataclasses import dataclass, replace
from typing import Final

from drivers.readings import CardRead, Uid
from edge_agent.domain.card_seal import SealedNumbers
from edge_agent.domain.identify import Identity, UnknownPerson
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.domain.record import EventContext, build_origin
from edge_agent.domain.replacement_cards import copy_number, parse_printed_number, write_number
from edge_agent.domain.respond import full_name
from edge_agent.domain.roster import Roster
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.replacement_table import ReplacementTable, StoredReplacement
from edge_agent.runtime.card_numbers import CardNumbers
from edge_agent.runtime.inbox import Inbox, StationBusy
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.runtime.roster_in_force import RosterInForce
from edge_agent.screen.card_ports import CARD_WAIT_S, CardProblem, CardProgress, CardState
from edge_agent.station.station import Station
from sync.contract.event import CardReplaced, PersonId
from sync.contract.replacement_cards import BLOCKED_MAX

log = logging.getLogger(__name__)

_WAIT_MS: Final = CARD_WAIT_S * 1000


@dataclass(frozen=True, slots=True)
class _CardWait:
    person: PersonId
    operator: str
    until_ms: int
    progress: CardProgress


class CardDesk:
    """Implements `screen.card_ports.CardActions` and `station.ports.NewCardTaker`."""

    def __init__(
        self,
        station: Station,
        inbox: Inbox,
        cards: ReplacementTable,
        numbers: CardNumbers,
        in_force: RosterInForce,
        guard: JournalGuard,
        now: MomentSource,
    ) -> None:
        self._station = station
        self._inbox = inbox
        self._cards = cards
        self._numbers = numbers
        self._in_force = in_force
        self._guard = guard
        self._now = now
        self._lock = threading.Lock()
        self._wait: _CardWait | None = None

    def start_card(self, person: PersonId, operator: str) -> CardProgress | CardProblem:
        """Waits from now on for a card to be shown, which becomes this person's."""
        known = self._station.roster.people.get(person)
        if known is None:
            return CardProblem.UNKNOWN_PERSON
        with self._lock:
            current = self._current()
            if current is not None and current.progress.state is CardState.WAITING and current.operator != operator:
                return CardProblem.BUSY
            progress = CardProgress(CardState.WAITING, full_name(known), known.group, CARD_WAIT_S)
            self._wait = _CardWait(person, operator, self._now().mono_ms + _WAIT_MS, progress)
            return progress

    def read_card(self) -> CardProgress:
        """Returns how far it is."""
        with self._lock:
            current = self._current()
            if current is None:
                return CardProgress()
            left_ms = max(0, current.until_ms - self._now().mono_ms)
            return replace(current.progress, seconds=-(-left_ms // 1000))

    def type_card(self, number: str, operator: str) -> CardProgress | CardProblem:
        """Gives the card with this printed number to the person for whom one is waited."""
        printed = parse_printed_number(number)
        uid = printed.read() if printed is not None else None
        if not isinstance(uid, Uid):
            return CardProblem.NO_NUMBER
        try:
            self._inbox.run_work(lambda: int(self._take(uid, "", self._now(), self._judge(uid))))
        except StationBusy:
            return CardProblem.BUSY
        progress = self.read_card()
        return progress if progress.state is not CardState.NONE else CardProblem.NOT_WAITING

    def stop_card(self, operator: str) -> CardProgress:
        """Waits no longer."""
        with self._lock:
            if self._wait is not None and self._wait.operator == operator:
                self._wait = None
        return self.read_card()

    def offer_card(self, reading: CardRead, identity: Identity, moment: Moment) -> bool:
        """Returns True where this card was waited for and is somebody's new one from now on."""
        if self._waiting() is None:
            return False
        problem = None if isinstance(identity, UnknownPerson) else self._judge(reading.uid)
        return self._take(reading.uid, reading.reader, moment, problem)

    def _current(self) -> _CardWait | None:
        """Returns what is waited for, or what came of it, while its time lasts. The caller holds the lock."""
        if self._wait is not None and self._now().mono_ms >= self._wait.until_ms:
            self._wait = None
        return self._wait

    def _waiting(self) -> _CardWait | None:
        with self._lock:
            current = self._current()
            return current if current is not None and current.progress.state is CardState.WAITING else None

    def _judge(self, uid: Uid) -> tuple[CardProblem, str] | None:
        """Returns why this card cannot be anybody's new one, and the class of whose it is; None: it can."""
        waiting, roster = self._waiting(), self._station.roster
        cards = roster.find_cards(uid)
        others = [roster.people[card.person] for card in cards if waiting is None or card.person != waiting.person]
        if others:
            return CardProblem.TAKEN, ", ".join(sorted({person.group for person in others}))
        if not cards:
            return None
        return (CardProblem.BLOCKED if any(card.blocked for card in cards) else CardProblem.OWN), ""

    def _take(self, uid: Uid, reader: str, moment: Moment, problem: tuple[CardProblem, str] | None) -> bool:
        """Gives a card to the person for whom one is waited. Returns True where it is theirs now."""
        waiting = self._waiting()
        if waiting is None:
            return False
        if problem is not None:
            self._report(waiting, replace(waiting.progress, problem=problem[0], owner_group=problem[1]))
            return False
        roster = self._station.roster
        try:
            blocked = self._give(waiting, uid, reader, moment, roster)
        except JournalUnwritable as error:
            self._guard.note_refusal(str(error))
            self._report(waiting, replace(waiting.progress, problem=CardProblem.NOT_RECORDED, owner_group=""))
            return False
        except OSError as error:
            log.warning("the key of the new cards cannot be stored: %s", error)
            self._report(waiting, replace(waiting.progress, problem=CardProblem.NOT_RECORDED, owner_group=""))
            return False
        self._in_force.refresh()
        self._report(waiting, replace(waiting.progress, state=CardState.DONE, blocked=blocked, problem=""))
        return True

    def _give(self, waiting: _CardWait, uid: Uid, reader: str, moment: Moment, roster: Roster) -> int:
        """Records the new card, and returns how many former cards are blocked by it.

        Raises JournalUnwritable, and OSError for a key that cannot be stored.
        """
        cards = roster.find_person_cards(waiting.person)
        former = [card for card in cards if not card.blocked][:BLOCKED_MAX]
        older = [card for card in cards if card.blocked][: BLOCKED_MAX - len(former)]
        credential = "rc-" + secrets.token_hex(8)
        numbers = SealedNumbers(write_number(uid), tuple(copy_number(card) for card in (*former, *older)))
        key, sealed = self._numbers.seal(numbers, credential, waiting.person)
        ids = tuple(card.id for card in (*former, *older))
        event = CardReplaced(
            **build_origin(EventContext(moment, roster)),
            person=waiting.person,
            credential=credential,
            digest=self._numbers.digest(uid),
            operator=waiting.operator,
            blocked=",".join(ids),
            reader=reader,
        )
        self._cards.put(StoredReplacement(waiting.person, credential, ids, sealed, key, moment.text), event)
        return len(former)

    def _report(self, waiting: _CardWait, progress: CardProgress) -> None:
        """Notes what came of a card, unless somebody has ended the wait meanwhile."""
        with self._lock:
            if self._wait is waiting:
                self._wait = replace(waiting, progress=progress)
