"""One scan, and its steps in order.

    identify → confirm (unknown cards only) → hours → earlier sightings → decide → append, durable → respond
                    │ a card whose owner is asked for the palm as well waits here; `end_waits` ends the wait

The station owns neither thread nor clock. Its caller brings one reading at a time, with the moment of the reading. Its
feedback may be shown at once, because the event is on the disk. If the journal cannot be written, the scan waits in
memory, the feedback says so, and `write_waiting` records it later as if no time had passed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from drivers.readings import Authenticity, CardRead, CodeRead, PersonMatched, Reading
from edge_agent.domain import pairing
from edge_agent.domain.confirmation import Confirmation, ConfirmationVerdict
from edge_agent.domain.decision import Decision, Granted, Review, decide, decide_on_paper
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.identify import (
    AmbiguousPerson,
    Identity,
    RecognisedPerson,
    UnknownPerson,
    identify,
    identify_by_hand,
    identify_palm,
)
from edge_agent.domain.moment import Moment, arrange_sightings, terminal_boot, terminal_moment
from edge_agent.domain.pairing import Waiting, WaitingCard, WaitingPalm
from edge_agent.domain.record import (
    EventContext,
    SightingEvent,
    StaffAct,
    build_clock_confirmation,
    build_guest_meals,
    build_sighting,
    build_test_scan,
    build_void,
)
from edge_agent.domain.respond import (
    ask_for_palm,
    ask_to_hold_again,
    respond,
    respond_not_recorded,
    respond_waiting,
)
from edge_agent.domain.roster import Roster
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.rows import AppendedEvent
from edge_agent.station.ports import (
    CodeJudge,
    EntryAlreadyVoid,
    HeldInMemory,
    NewCardTaker,
    NoMealNow,
    NoSuchEntry,
    NoSuchRun,
    PalmAvailability,
    PalmPresentation,
    StationJournal,
    StationPolicy,
    TerminalRunBook,
    UncertainMoment,
)
from edge_agent.station.waiting_scans import IdentifiedScan, WaitingScans
from sync.contract.chain import Epoch
from sync.contract.event import Method, PersonId
from sync.contract.movements import Direction, Movement, ScanRules, is_in_slot
from sync.contract.sessions import ServedSlots, Slot
from sync.contract.timelines import is_terminal_boot

WRITTEN_AT_ONCE = 50  # of the scans that waited: a child may be at the kiosk meanwhile
_MILLISECOND = timedelta(milliseconds=1)


class Station:
    """Takes scans and staff acts, one at a time. Any thread may replace `roster` at any time."""

    def __init__(
        self,
        journal: StationJournal,
        roster: Roster,
        policy: StationPolicy,
        palms: PalmAvailability | None = None,
        runs: TerminalRunBook | None = None,
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._policy = policy
        self._confirmations: dict[str, Confirmation] = {}
        # One wait for each direction: a gate in and a gate out at one kiosk are two places.
        self._waiting: dict[Direction, Waiting] = {}
        self.waiting_scans = WaitingScans()
        self.palms = palms
        self.codes: CodeJudge | None = None
        self.new_cards: NewCardTaker | None = None
        self.roster = roster

    def take_reading(self, reading: Reading, moment: Moment) -> Feedback | None:
        """Returns the feedback of one reading, after its event is durable; None if the screen shows nothing new."""
        roster = self.roster
        identity = identify(reading, roster)
        if isinstance(reading, CodeRead) and isinstance(identity, UnknownPerson) and self.codes is not None:
            identity = self.codes.identify(reading, roster, moment) or identity
        if isinstance(reading, CardRead):
            match self._confirm(reading, identity):
                case ConfirmationVerdict.WAIT:
                    return ask_to_hold_again()
                case ConfirmationVerdict.DROP:
                    return None
                case ConfirmationVerdict.COUNT:
                    pass
            if self.new_cards is not None and self.new_cards.offer_card(reading, identity, moment):
                return None
        authenticity = reading.authenticity if isinstance(reading, CardRead | CodeRead) else Authenticity.BARE
        context = EventContext(moment, roster, reading.reader, authenticity=authenticity)
        if isinstance(reading, PersonMatched) and reading.seen_at is not None:
            context = self._terminal_context(reading, reading.seen_at, moment, roster)
        if (
            self.palms is not None
            and isinstance(identity, RecognisedPerson)
            and isinstance(reading, CardRead | CodeRead)
        ):
            return self._take_card(identity, context, self.palms)
        return self._settle(identity, context)

    def take_test_scan(self, reader: str, moment: Moment) -> AppendedEvent:
        """Returns the place of the event of a technician's test, once it is durable. Raises JournalUnwritable."""
        self._check_turn()
        return self._journal.append(build_test_scan(EventContext(moment, self.roster, reader)))

    def _terminal_context(self, reading: PersonMatched, seen_at: datetime, now: Moment, roster: Roster) -> EventContext:
        confirmed_ms = None
        if reading.clock_suspect and self._runs is not None:
            confirmed_ms = self._runs.confirmed_ms(terminal_boot(reading))
        moment = terminal_moment(reading, seen_at, now, confirmed_ms)
        is_doubted = reading.clock_suspect and confirmed_ms is None
        return EventContext(moment, roster, reading.reader, offset_s=reading.offset_s, is_doubted=is_doubted)

    def confirm_clock(self, boot: str, offset_s: int | None, moment: Moment, staff_act: StaffAct) -> int:
        """Confirms how far a terminal's clock was ahead in a run, in seconds; None: as it was measured.

        Returns how many rows were held for it. Raises NoSuchRun, UncertainMoment and JournalUnwritable.
        """
        held = {run.boot: run for run in self._runs.held()} if self._runs is not None else {}
        run = held.get(boot)
        if run is None:
            raise NoSuchRun(f"no rows are held for {boot!r}; list them again: edge-agent devices clocks")
        if not moment.is_trusted:
            raise UncertainMoment("this kiosk's own clock is not synchronised; wait until it is, then confirm again")
        offset_ms = 1000 * (run.offset_s if offset_s is None else offset_s)
        context = EventContext(moment, self.roster)
        self._journal.append(build_clock_confirmation(context, boot=boot, offset_ms=offset_ms, staff_act=staff_act))
        return run.rows

    def take_palm(self, presentation: PalmPresentation, moment: Moment) -> Feedback:
        """Returns the feedback of one palm before the camera, after its event is durable."""
        roster, gate = self.roster, self._gate(presentation.reader)
        palm: Identity = UnknownPerson(Method.PALM, copied=True)
        if not presentation.looks_copied:
            palm = identify_palm(
                presentation.scores,
                roster,
                accept_score=presentation.accept_score,
                margin_score=presentation.margin_score,
            )
        waiting = self._waiting.get(gate)
        if isinstance(waiting, WaitingCard) and _belongs_to_card(palm, presentation, waiting):
            del self._waiting[gate]
            owner = presentation.expected_person
            owner_score = max((score.score for score in presentation.scores if score.person == owner), default=0)
            identity = pairing.confirm_card(
                waiting.card, palm, owner_score=owner_score, accept_score=presentation.confirm_score
            )
            later = max(moment, waiting.moment, key=lambda candidate: candidate.mono_ms)
            return self._settle(
                identity, EventContext(later, roster, waiting.reader, authenticity=waiting.authenticity)
            )
        feedback = self._settle(palm, EventContext(moment, roster, presentation.reader))
        if isinstance(palm, AmbiguousPerson) and not isinstance(waiting, WaitingCard):
            self._waiting[gate] = WaitingPalm(palm, moment)
        elif isinstance(waiting, WaitingPalm):
            del self._waiting[gate]
        return feedback

    def awaited_person(self, reader: str) -> PersonId | None:
        """Returns the person whose palm a card waits for at this camera, or None. Any thread may call it."""
        return pairing.awaited_person(self._waiting.get(self._gate(reader)))

    @property
    def has_waits(self) -> bool:
        """True while a card or a palm waits for the other."""
        return bool(self._waiting)

    def end_waits(self, now: Moment, newcomer: Reading | None = None) -> list[Feedback]:
        """Ends the waits whose time is up, and the wait that the card of a newcomer ends.

        Returns the feedback for the owners of the waiting cards, after their events are durable.
        """
        feedbacks: list[Feedback] = []
        for gate, waiting in list(self._waiting.items()):
            displaced = newcomer is not None and self._displaces(newcomer, gate, waiting)
            if displaced or pairing.is_overdue(waiting, now, self._policy.pairing_ms):
                feedbacks += self._end_wait(gate, waiting)
        return feedbacks

    def end_all_waits(self) -> list[Feedback]:
        """Ends every wait, because the kiosk stops. Returns what `end_waits` returns."""
        return [feedback for gate, waiting in list(self._waiting.items()) for feedback in self._end_wait(gate, waiting)]

    def enter_by_hand(self, person: PersonId, moment: Moment, staff_act: StaffAct) -> Feedback:
        """Enters a person by hand. Returns the feedback, after the event is durable."""
        roster = self.roster
        return self._settle(identify_by_hand(person, roster), EventContext(moment, roster), staff_act)

    def enter_class(self, group: str, moment: Moment, staff_act: StaffAct) -> int:
        """Enters everybody of a class, all of them or nobody. Returns the number of rows.

        Raises HeldInMemory where they wait for the journal, and JournalUnwritable where there is no room for that.
        """
        roster = self.roster
        context = EventContext(moment, roster)
        scans = tuple(
            IdentifiedScan(identify_by_hand(PersonId(person.id), roster), context, staff_act)
            for person in roster.group_members(group)
        )
        try:
            self._check_turn()
            return len(self._journal.append_all([self._build_event(scan, self._decide(scan)) for scan in scans]))
        except JournalUnwritable:
            if not self.waiting_scans.add_all(scans):
                raise
        raise HeldInMemory(len(scans))

    def find_slots(self, moment: Moment) -> ServedSlots:
        """Returns the sessions that are served at this moment."""
        return self._find_slots(self.roster, moment)

    def write_waiting(self) -> bool:
        """Writes scans that waited, oldest first and at most `WRITTEN_AT_ONCE`. Returns True where none waits any more.

        Raises JournalUnwritable; what was written by then is in the journal and waits no longer.
        """
        waiting = self.waiting_scans
        for scan in waiting.scans[:WRITTEN_AT_ONCE]:
            self._journal.append(self._build_event(scan, self._decide(scan), written_late=True))
            waiting.drop_oldest()
        return not waiting.scans

    def enter_people(self, people: Sequence[PersonId], moment: Moment, staff_act: StaffAct) -> int:
        """Enters these people, all of them or nobody; whoever is in already is left alone.

        Returns how many were entered. Raises NoMealNow, HeldInMemory where they wait for the journal, and
        JournalUnwritable where there is no room for that.
        """
        context = EventContext(moment, self.roster)
        scans = [IdentifiedScan(identify_by_hand(person, self.roster), context, staff_act) for person in people]
        try:
            decided = [(scan, self._decide(scan)) for scan in scans]
        except JournalUnwritable:
            decided = [(scan, self._decide(scan, remembered=False)) for scan in scans]
        entries = [(scan, decision) for scan, decision in decided if _is_entry(decision)]
        if not entries and not all(isinstance(decision, Granted) for _, decision in decided):
            raise NoMealNow("no meal is served at this time; look at the timetable of the roster")
        if not entries:
            return 0
        try:
            self._check_turn()
            return len(self._journal.append_all([self._build_event(scan, decision) for scan, decision in entries]))
        except JournalUnwritable:
            if not self.waiting_scans.add_all(tuple(scan for scan, _ in entries)):
                raise
        raise HeldInMemory(len(entries))

    def enter_paper(self, people: Sequence[PersonId], slot: Slot, moment: Moment, staff_act: StaffAct) -> int:
        """Enters people of a printed list, all or nobody; whoever has an entry of this meal already is left alone.

        Returns how many were entered. Raises JournalUnwritable.
        """
        self._check_turn()
        rules = self._policy.rules
        events = []
        for person in dict.fromkeys(people):
            identity = identify_by_hand(person, self.roster)
            earlier = self._journal.earlier_sightings(person, slot.service_date)
            is_in = any(each.is_entry and not each.voided and is_in_slot(each, slot) for each in earlier)
            if not is_in and isinstance(identity, RecognisedPerson):
                decision = decide_on_paper(identity, moment, slot, rules, self.roster)
                events.append(build_sighting(decision, EventContext(moment, self.roster), staff_act))
        return len(self._journal.append_all(events)) if events else 0

    def enter_guests(self, counted: int, payer: str, moment: Moment, staff_act: StaffAct) -> int:
        """Enters meals of guests whom nobody knows. Returns the number of rows.

        Raises NoMealNow and JournalUnwritable.
        """
        slots = self.find_slots(moment).slots
        if not slots and moment.is_trusted:
            raise NoMealNow("no meal is served at this time; look at the timetable of the roster")
        self._check_turn()
        context, slot = EventContext(moment, self.roster), slots[0] if slots else None
        self._journal.append(build_guest_meals(context, slot, counted=counted, payer=payer, staff_act=staff_act))
        return 1

    def void_entry(self, epoch: Epoch, seq: int, moment: Moment, staff_act: StaffAct) -> None:
        """Voids an entry: it stays in the journal and no longer counts.

        Raises NoSuchEntry, EntryAlreadyVoid and JournalUnwritable.
        """
        entry = self._journal.sighting(epoch, seq)
        if entry is None or not entry.is_voidable:
            raise NoSuchEntry(f"row {seq} of epoch {epoch} is no entry; choose the entry on the staff page again")
        if entry.voided:
            raise EntryAlreadyVoid(f"row {seq} of epoch {epoch} has been voided before; nothing is left to do")
        context = EventContext(moment, self.roster)
        self._journal.append(build_void(context, epoch=epoch, seq=seq, person=entry.person, staff_act=staff_act))

    def _confirm(self, reading: CardRead, identity: Identity) -> ConfirmationVerdict:
        before = self._confirmations.get(reading.reader, Confirmation())
        on_roster = not isinstance(identity, UnknownPerson)
        after, verdict = before.judge_frame(reading, on_roster=on_roster, limits=self._policy.confirmation_limits)
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
            self._waiting[gate] = WaitingCard(card, context.reader, context.moment, context.authenticity)
        return ask_for_palm(card.person)

    def _wants_palm(self, card: RecognisedPerson, context: EventContext, palms: PalmAvailability) -> bool:
        """Returns True when the scan would be an entry, of a person with consent and a template here."""
        person = PersonId(card.person.id)
        if not context.roster.has_consent(person) or not palms.has_template(person):
            return False
        try:
            return _is_entry(self._decide(IdentifiedScan(card, context)))
        except JournalUnwritable:
            return False  # nobody can be asked what was before: the card alone will do

    def _end_wait(self, gate: Direction, waiting: Waiting) -> list[Feedback]:
        del self._waiting[gate]
        if isinstance(waiting, WaitingPalm):
            return []
        context = EventContext(waiting.moment, self.roster, waiting.reader, authenticity=waiting.authenticity)
        return [self._settle(pairing.mark_unconfirmed(waiting.card), context)]

    def _displaces(self, newcomer: Reading, gate: Direction, waiting: Waiting) -> bool:
        if not isinstance(waiting, WaitingCard) or self._gate(newcomer.reader) is not gate:
            return False
        identity = identify(newcomer, self.roster)
        return isinstance(identity, RecognisedPerson) and identity.person.id != waiting.card.person.id

    def _gate(self, reader: str) -> Direction:
        return self._policy.directions.get(reader, Direction.BOTH)

    def _settle(self, identity: Identity, context: EventContext, staff_act: StaffAct | None = None) -> Feedback:
        scan = IdentifiedScan(identity, context, staff_act)
        try:
            self._check_turn()
            decision = self._decide(scan)
            row = self._journal.append(self._build_event(scan, decision))
        except JournalUnwritable:
            return self._hold(scan)
        return respond(decision, context.roster, epoch=row.epoch, seq=row.seq)

    def _check_turn(self) -> None:
        """Raises JournalUnwritable where others wait for the journal: nobody is recorded before them."""
        if self.waiting_scans.scans:
            raise JournalUnwritable("scans before this one wait for the journal; this one waits behind them")

    def _hold(self, scan: IdentifiedScan) -> Feedback:
        """Holds a scan in memory, behind those that wait already. What it shows is judged by what can be read."""
        try:
            decision = self._decide(scan)
        except JournalUnwritable:
            decision = self._decide(scan, remembered=False)
        if not self.waiting_scans.add_all((scan,)):
            return respond_not_recorded(decision, scan.context.roster)
        return respond_waiting(decision, scan.context.roster)

    def _build_event(self, scan: IdentifiedScan, decision: Decision, *, written_late: bool = False) -> SightingEvent:
        rules = self._state_rules(scan.context, scan.staff_act)
        return build_sighting(decision, scan.context, scan.staff_act, rules, written_late=written_late)

    def _decide(self, scan: IdentifiedScan, *, remembered: bool = True) -> Decision:
        """Returns the decision on a scan. `remembered` False: as if its person had never been seen before."""
        identity, context, moment = scan.identity, scan.context, scan.context.moment
        hours = self._find_slots(context.roster, moment)
        if context.is_doubted:
            hours = ServedSlots()  # by a clock that nobody vouches for no child is put into any meal
        earlier: Sequence[EarlierSighting] = ()
        if remembered and isinstance(identity, RecognisedPerson):
            # The visit may have begun yesterday: a supper ends after midnight, or the clock drifted in the night.
            since = (moment.utc - timedelta(days=2)).date().isoformat()
            earlier = arrange_sightings(self._journal.earlier_sightings(PersonId(identity.person.id), since), moment)
        direction = self._direction(context, scan.staff_act)
        return decide(
            identity, moment, hours, earlier, self._policy.rules, context.roster, direction=direction,
            is_doubted=context.is_doubted,
        )  # fmt: skip

    def _find_slots(self, roster: Roster, moment: Moment) -> ServedSlots:
        policy = self._policy
        return roster.timetable.find_slots(moment.utc, early=policy.early_grace, late=policy.late_grace)

    def _direction(self, context: EventContext, staff_act: StaffAct | None) -> Direction:
        # An act by hand says that somebody came. The staff void an entry; they never enter an exit.
        return Direction.IN if staff_act else self._policy.directions.get(context.reader, Direction.BOTH)

    def _state_rules(self, context: EventContext, staff_act: StaffAct | None) -> str:
        """Returns the rules of this scan as its event keeps them; empty where nothing comes late."""
        policy, rules = self._policy, self._policy.rules
        if not policy.keeps_rules and not is_terminal_boot(context.moment.boot):
            return ""
        return ScanRules(
            self._direction(context, staff_act), rules.debounce_ms, rules.stay_min_ms, rules.leave_ms,
            rules.unplaced_ms, policy.early_grace // _MILLISECOND, policy.late_grace // _MILLISECOND,
        ).text  # fmt: skip


def _is_entry(decision: Decision) -> bool:
    match decision:
        case Granted(movement=Movement.ENTRY) | Review(is_entry=True):
            return True
        case _:
            return False


def _belongs_to_card(palm: Identity, presentation: PalmPresentation, waiting: WaitingCard) -> bool:
    """Returns True when the palm was shown for the waiting card, and False for another visitor's palm."""
    owner = waiting.card.person.id
    return presentation.expected_person == owner or (isinstance(palm, RecognisedPerson) and palm.person.id == owner)
