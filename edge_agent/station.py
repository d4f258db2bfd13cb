"""One scan, its steps in order.

    identify → confirm (unknown cards only) → hours → what went before → decide → append, durable → respond
                    │ a card whose owner is asked for the palm as well waits here for it; `lapse` ends the wait

The station owns neither thread nor clock: it is called with a reading and the moment at which it came, one at a time.
What it returns may be shown, because what it says is on the disk; where the journal cannot be written, that is said.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from drivers.readings import CardRead, CodeRead, PersonMatched, Reading
from edge_agent.domain import pairing
from edge_agent.domain.confirmation import Confirmation, ConfirmationLimits, ConfirmationVerdict
from edge_agent.domain.decision import Decision, DecisionRules, Direction, Granted, Movement, Review, decide
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.identify import (
    AmbiguousPerson,
    Identity,
    PalmScore,
    RecognisedPerson,
    UnknownPerson,
    identify,
    identify_by_hand,
    identify_palm,
)
from edge_agent.domain.moment import Moment, terminal_moment
from edge_agent.domain.pairing import Waiting, WaitingCard, WaitingPalm
from edge_agent.domain.record import EventContext, StaffAct, build_sighting, build_void
from edge_agent.domain.respond import ask_for_palm, ask_to_hold_again, respond, respond_not_recorded
from edge_agent.domain.roster import Roster
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.rows import Appended
from sync.contract.chain import Epoch
from sync.contract.event import Event, Method, PersonId

log = logging.getLogger(__name__)


class StationJournal(Protocol):
    """What the station needs of the journal."""

    def append(self, event: Event) -> Appended: ...

    def append_all(self, events: Sequence[Event]) -> Sequence[Appended]: ...

    def earlier_sightings(self, person: PersonId, since: str) -> Sequence[EarlierSighting]: ...

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None: ...


class PalmAvailability(Protocol):
    """What the station asks of the palms before it makes a card wait for one."""

    def has_template(self, person: PersonId) -> bool:
        """Whether this person can be recognised by the palm here."""
        ...

    def has_camera(self) -> bool:
        """Whether a camera is there to show it to."""
        ...


@dataclass(frozen=True, slots=True)
class StationPolicy:
    """What the settings say about scans."""

    rules: DecisionRules
    confirmation_limits: ConfirmationLimits
    early_grace: timedelta
    late_grace: timedelta
    palm_with_card: bool  # who comes by card, and is known by the palm, is asked for it before an entry
    pairing_ms: int  # so long card and palm of one visitor belong together
    directions: Mapping[str, Direction]  # of readers that are not for both ways


@dataclass(frozen=True, slots=True)
class PalmPresentation:
    """What was seen of one palm, from its coming to its decision. Scores and bounds in ten-thousandths."""

    reader: str
    scores: tuple[PalmScore, ...]  # of the people who are most alike
    accept_score: int
    margin_score: int
    looks_copied: bool = False  # it looks like a print or a screen: nobody is searched for
    expected_person: PersonId | None = None  # whose card waited for it: that person is among the scores, 1:1
    confirm_score: int = 0  # what is enough of that person's score


class EntryNotFound(Exception):
    """There is no entry at this place of the journal that could be taken back."""


class EntryAlreadyVoid(Exception):
    """It has been taken back before."""


class Station:
    """Takes scans and what the staff do by hand. `roster` may be replaced at any time, from any thread."""

    def __init__(
        self, journal: StationJournal, roster: Roster, policy: StationPolicy, palms: PalmAvailability | None = None
    ) -> None:
        self._journal = journal
        self._policy = policy
        self._confirmations: dict[str, Confirmation] = {}
        self._waiting: dict[Direction, Waiting] = {}  # a gate in and a gate out at one kiosk are two places
        self.palms = palms
        self.roster = roster

    def take_reading(self, reading: Reading, moment: Moment) -> Feedback | None:
        """The feedback to one reading, durable before it is returned; None where nothing is to be said."""
        roster = self.roster
        identity = identify(reading, roster)
        if isinstance(reading, CardRead):
            match self._confirm(reading, identity):
                case ConfirmationVerdict.WAIT:
                    return ask_to_hold_again()
                case ConfirmationVerdict.DROP:
                    return None
                case ConfirmationVerdict.COUNT:
                    pass
        if isinstance(reading, PersonMatched) and reading.seen_at is not None:
            moment = terminal_moment(reading.seen_at, reading.reader, moment, suspect=reading.clock_suspect)
        context = EventContext(moment, roster, reading.reader)
        if (
            self.palms is not None
            and isinstance(identity, RecognisedPerson)
            and isinstance(reading, CardRead | CodeRead)
        ):
            return self._take_card(identity, context, self.palms)
        return self._settle(identity, context)

    def take_palm(self, sight: PalmPresentation, moment: Moment) -> Feedback:
        """The feedback to one presentation of a palm, durable before it is returned."""
        roster, gate = self.roster, self._gate(sight.reader)
        palm: Identity = UnknownPerson(Method.PALM, copied=True)
        if not sight.looks_copied:
            palm = identify_palm(sight.scores, roster, accept=sight.accept_score, margin=sight.margin_score)
        waiting = self._waiting.get(gate)
        if isinstance(waiting, WaitingCard) and _belongs(palm, sight, waiting):
            del self._waiting[gate]
            score = max((each.score for each in sight.scores if each.person == sight.expected_person), default=0)
            identity = pairing.confirm_card(waiting.card, palm, score=score, accept=sight.confirm_score)
            later = max(moment, waiting.moment, key=lambda each: each.mono_ms)
            return self._settle(identity, EventContext(later, roster, waiting.reader))
        feedback = self._settle(palm, EventContext(moment, roster, sight.reader))
        if isinstance(palm, AmbiguousPerson) and not isinstance(waiting, WaitingCard):
            self._waiting[gate] = WaitingPalm(palm, moment)
        elif isinstance(waiting, WaitingPalm):
            del self._waiting[gate]
        return feedback

    def awaited_person(self, reader: str) -> PersonId | None:
        """Whose palm is waited for at this camera; from any thread."""
        return pairing.awaited_person(self._waiting.get(self._gate(reader)))

    @property
    def has_waits(self) -> bool:
        return bool(self._waiting)

    def end_waits(self, now: Moment, newcomer: Reading | None = None) -> list[Feedback]:
        """End the waits whose time is up, or whose place the owner of another card takes: what the cards' owners are
        told, durable before it is returned."""
        told: list[Feedback] = []
        for gate, waiting in list(self._waiting.items()):
            taken = newcomer is not None and self._takes_place(newcomer, gate, waiting)
            if taken or pairing.is_overdue(waiting, now, self._policy.pairing_ms):
                told += self._end(gate, waiting)
        return told

    def end_all_waits(self) -> list[Feedback]:
        """As `lapse`, for everybody: the kiosk stops."""
        return [each for gate, waiting in list(self._waiting.items()) for each in self._end(gate, waiting)]

    def enter_by_hand(self, person: PersonId, moment: Moment, hand: StaffAct) -> Feedback:
        """An entry that a named operator makes for a stated reason."""
        roster = self.roster
        return self._settle(identify_by_hand(person, roster), EventContext(moment, roster), hand)

    def enter_class(self, group: str, moment: Moment, hand: StaffAct) -> int:
        """Entries for everybody of a class, all of them or none; how many rows. Raises JournalUnwritable."""
        roster = self.roster
        context = EventContext(moment, roster)
        decisions = [
            self._decide(identify_by_hand(person.id, roster), context, hand) for person in roster.group_members(group)
        ]
        return len(self._journal.append_all([build_sighting(decision, context, hand) for decision in decisions]))

    def void_entry(self, epoch: Epoch, seq: int, moment: Moment, hand: StaffAct) -> None:
        """Take an entry back; the entry itself stays. Raises NoSuchEntry, AlreadyVoid, JournalUnwritable."""
        entry = self._journal.sighting(epoch, seq)
        if entry is None or not entry.is_entry:
            raise EntryNotFound(f"row {seq} of epoch {epoch} is no entry")
        if entry.voided:
            raise EntryAlreadyVoid(f"row {seq} of epoch {epoch} has been taken back before")
        context = EventContext(moment, self.roster)
        self._journal.append(build_void(context, epoch=epoch, seq=seq, person=entry.person, staff_act=hand))

    def _confirm(self, reading: CardRead, identity: Identity) -> ConfirmationVerdict:
        before = self._confirmations.get(reading.reader, Confirmation())
        known = not isinstance(identity, UnknownPerson)
        after, verdict = before.judge_frame(reading, known=known, limits=self._policy.confirmation_limits)
        self._confirmations[reading.reader] = after
        return verdict

    def _take_card(self, card: RecognisedPerson, context: EventContext, palms: PalmAvailability) -> Feedback:
        gate = self._gate(context.reader)
        waiting = self._waiting.get(gate)
        if isinstance(waiting, WaitingPalm):
            del self._waiting[gate]
            settled = pairing.settle_by_card(card, waiting.palm)
            if settled is not None:
                return self._settle(settled, context)
            if not self._policy.palm_with_card:
                return self._settle(pairing.mark_unconfirmed(card), context)
        if not self._policy.palm_with_card or not self._wants_palm(card, context, palms):
            return self._settle(card, context)
        if not palms.has_camera():
            return self._settle(pairing.mark_unconfirmed(card), context)
        if not isinstance(waiting, WaitingCard):
            self._waiting[gate] = WaitingCard(card, context.reader, context.moment)
        return ask_for_palm(card.person)

    def _wants_palm(self, card: RecognisedPerson, context: EventContext, palms: PalmAvailability) -> bool:
        """Only where a meal is at stake, and only of those who have agreed: without a palm the card is as good."""
        person = PersonId(card.person.id)
        if not context.roster.has_consent(person) or not palms.has_template(person):
            return False
        match self._decide(card, context, None):
            case Granted(movement=Movement.ENTRY) | Review(is_entry=True):
                return True
            case _:
                return False

    def _end(self, gate: Direction, waiting: Waiting) -> list[Feedback]:
        del self._waiting[gate]
        if isinstance(waiting, WaitingPalm):
            return []
        context = EventContext(waiting.moment, self.roster, waiting.reader)
        return [self._settle(pairing.mark_unconfirmed(waiting.card), context)]

    def _takes_place(self, newcomer: Reading, gate: Direction, waiting: Waiting) -> bool:
        if not isinstance(waiting, WaitingCard) or self._gate(newcomer.reader) is not gate:
            return False
        identity = identify(newcomer, self.roster)
        return isinstance(identity, RecognisedPerson) and identity.person.id != waiting.card.person.id

    def _gate(self, reader: str) -> Direction:
        return self._policy.directions.get(reader, Direction.BOTH)

    def _settle(self, identity: Identity, context: EventContext, hand: StaffAct | None = None) -> Feedback:
        decision = self._decide(identity, context, hand)
        try:
            row = self._journal.append(build_sighting(decision, context, hand))
        except JournalUnwritable as error:
            log.error("a scan could not be recorded: %s", error)  # noqa: TRY400
            return respond_not_recorded(decision, context.roster)
        return respond(decision, context.roster, epoch=row.epoch, seq=row.seq)

    def _decide(self, identity: Identity, context: EventContext, hand: StaffAct | None) -> Decision:
        policy, moment = self._policy, context.moment
        hours = context.roster.timetable.at(moment.utc, early=policy.early_grace, late=policy.late_grace)
        past: Sequence[EarlierSighting] = ()
        if isinstance(identity, RecognisedPerson):
            # A visit may have begun yesterday: a supper that ends after midnight, or a night's drift of the clock.
            since = (moment.utc - timedelta(days=2)).date().isoformat()
            past = self._journal.earlier_sightings(PersonId(identity.person.id), since)
        # By hand the staff say that somebody came; they take an entry back rather than enter an exit.
        direction = Direction.IN if hand else policy.directions.get(context.reader, Direction.BOTH)
        return decide(identity, moment, hours, past, policy.rules, context.roster, direction=direction)


def _belongs(palm: Identity, sight: PalmPresentation, waiting: WaitingCard) -> bool:
    """Whether it was shown for the card that waits; else it is another visitor's, begun before the card came."""
    owner = waiting.card.person.id
    return sight.expected_person == owner or (isinstance(palm, RecognisedPerson) and palm.person.id == owner)
