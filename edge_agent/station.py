"""One scan, its steps in order.

    identify → confirm (unknown cards only) → hours → what went before → decide → append, durable → respond

The station owns neither thread nor clock: it is called with a reading and the moment at which it came, one at a time.
What it returns may be shown, because what it says is on the disk; where the journal cannot be written, that is said.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from drivers.readings import CardRead, PersonMatched, Reading
from edge_agent.domain.confirmation import Confirmation, Limits, Verdict
from edge_agent.domain.decision import Decision, Direction, Rules, decide
from edge_agent.domain.facts import Past
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.identify import Identity, Known, PalmScore, Unknown, by_hand, identify, identify_palm
from edge_agent.domain.moment import Moment, told
from edge_agent.domain.record import ByHand, Context, record, void
from edge_agent.domain.respond import hold_again, not_recorded, respond
from edge_agent.domain.roster import Roster
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.rows import Appended
from sync.contract.chain import Epoch
from sync.contract.event import Fact, Method, PersonId

log = logging.getLogger(__name__)


class Kept(Protocol):
    """What the station needs of the journal."""

    def append(self, event: Fact) -> Appended: ...

    def append_all(self, events: Sequence[Fact]) -> Sequence[Appended]: ...

    def facts(self, person: PersonId, since: str) -> Sequence[Past]: ...

    def sighting(self, epoch: Epoch, seq: int) -> Past | None: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about scans."""

    rules: Rules
    limits: Limits
    early: timedelta
    late: timedelta
    directions: Mapping[str, Direction]  # of readers that are not for both ways


@dataclass(frozen=True, slots=True)
class PalmSight:
    """What was seen of one palm, from its coming to its decision. Scores and bounds in ten-thousandths."""

    reader: str
    scores: tuple[PalmScore, ...]  # of the people who are most alike
    accept: int
    margin: int
    copied: bool = False  # it looks like a print or a screen: nobody is searched for


class NoSuchEntry(Exception):
    """There is no entry at this place of the journal that could be taken back."""


class AlreadyVoid(Exception):
    """It has been taken back before."""


class Station:
    """Takes scans and what the staff do by hand. `roster` may be replaced at any time, from any thread."""

    def __init__(self, journal: Kept, roster: Roster, policy: Policy) -> None:
        self._journal = journal
        self._policy = policy
        self._confirmations: dict[str, Confirmation] = {}
        self.roster = roster

    def take(self, reading: Reading, moment: Moment) -> Feedback | None:
        """The feedback to one reading, durable before it is returned; None where nothing is to be said."""
        roster = self.roster
        identity = identify(reading, roster)
        if isinstance(reading, CardRead):
            match self._confirm(reading, identity):
                case Verdict.WAIT:
                    return hold_again()
                case Verdict.DROP:
                    return None
                case Verdict.COUNT:
                    pass
        if isinstance(reading, PersonMatched) and reading.seen_at is not None:
            moment = told(reading.seen_at, reading.reader, moment, suspect=reading.clock_suspect)
        return self._settle(identity, Context(moment, roster, reading.reader))

    def take_palm(self, sight: PalmSight, moment: Moment) -> Feedback:
        """The feedback to one presentation of a palm, durable before it is returned."""
        roster = self.roster
        identity: Identity = Unknown(Method.PALM, copied=True)
        if not sight.copied:
            identity = identify_palm(sight.scores, roster, accept=sight.accept, margin=sight.margin)
        return self._settle(identity, Context(moment, roster, sight.reader))

    def enter_by_hand(self, person: PersonId, moment: Moment, hand: ByHand) -> Feedback:
        """An entry that a named operator makes for a stated reason."""
        roster = self.roster
        return self._settle(by_hand(person, roster), Context(moment, roster), hand)

    def enter_class(self, group: str, moment: Moment, hand: ByHand) -> int:
        """Entries for everybody of a class, all of them or none; how many rows. Raises JournalUnwritable."""
        roster = self.roster
        context = Context(moment, roster)
        decisions = [self._decide(by_hand(person.id, roster), context, hand) for person in roster.group(group)]
        return len(self._journal.append_all([record(decision, context, hand) for decision in decisions]))

    def void(self, epoch: Epoch, seq: int, moment: Moment, hand: ByHand) -> None:
        """Take an entry back; the entry itself stays. Raises NoSuchEntry, AlreadyVoid, JournalUnwritable."""
        entry = self._journal.sighting(epoch, seq)
        if entry is None or not entry.is_entry:
            raise NoSuchEntry(f"row {seq} of epoch {epoch} is no entry")
        if entry.voided:
            raise AlreadyVoid(f"row {seq} of epoch {epoch} has been taken back before")
        context = Context(moment, self.roster)
        self._journal.append(void(context, epoch=epoch, seq=seq, person=entry.person, by_hand=hand))

    def _confirm(self, reading: CardRead, identity: Identity) -> Verdict:
        before = self._confirmations.get(reading.reader, Confirmation())
        known = not isinstance(identity, Unknown)
        after, verdict = before.step(reading, known=known, limits=self._policy.limits)
        self._confirmations[reading.reader] = after
        return verdict

    def _settle(self, identity: Identity, context: Context, hand: ByHand | None = None) -> Feedback:
        decision = self._decide(identity, context, hand)
        try:
            row = self._journal.append(record(decision, context, hand))
        except JournalUnwritable as error:
            log.error("a scan could not be recorded: %s", error)  # noqa: TRY400
            return not_recorded(decision, context.roster)
        return respond(decision, context.roster, epoch=row.epoch, seq=row.seq)

    def _decide(self, identity: Identity, context: Context, hand: ByHand | None) -> Decision:
        policy, moment = self._policy, context.moment
        hours = context.roster.timetable.at(moment.utc, early=policy.early, late=policy.late)
        past: Sequence[Past] = ()
        if isinstance(identity, Known):
            # A visit may have begun yesterday: a supper that ends after midnight, or a night's drift of the clock.
            since = (moment.utc - timedelta(days=2)).date().isoformat()
            past = self._journal.facts(PersonId(identity.person.id), since)
        # By hand the staff say that somebody came; they take an entry back rather than enter an exit.
        direction = Direction.IN if hand else policy.directions.get(context.reader, Direction.BOTH)
        return decide(identity, moment, hours, past, policy.rules, context.roster, direction=direction)
