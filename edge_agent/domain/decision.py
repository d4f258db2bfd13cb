"""May this person have a meal here and now: the decision, a pure function of what is known.

The theory. A *visit* is an entry and, where one is seen, its exit, within one session. What a scan means follows from
the person's earlier sightings and from the direction of the reader:

    nothing open, reader in or both   → entry
    open visit, reader out or both    → exit
    too soon after the last sighting  → repeat: kept as evidence, changes nothing

Rules for this file. Whose fault a doubt is decides its colour: what our clock, our roster or our readers cannot tell
is never held against the child (Review, or Granted and marked); only what is certain is Refused, and that too is shown
in amber. Entitlement, programme and claim choose nothing that the child can see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

import msgspec

from edge_agent.domain.identify import (
    AmbiguousPerson,
    BlockedCredential,
    Identity,
    PalmMismatch,
    RecognisedPerson,
    RecognitionNote,
    UnknownPerson,
)
from edge_agent.domain.moment import Moment, elapsed_ms
from edge_agent.domain.roster import Roster
from edge_agent.domain.sighting import EarlierSighting, SightingKind
from sync.contract.entitlements import due
from sync.contract.event import Claim, Method
from sync.contract.roster import Entitlement
from sync.contract.sessions import Hours, Slot


class DecisionReason(StrEnum):
    """Why it was decided so; these codes are kept in facts and worded in the staff's catalogues."""

    ORDINARY = ""  # nothing to say
    # counted, with something to know
    SECOND_MEAL = "second_meal"
    GUEST = "guest"
    NO_ENTITLEMENT = "no_entitlement"
    STALE_ROSTER = "stale_roster"
    CLOCK_UNCERTAIN = "clock_uncertain"
    NO_TIMETABLE = "no_timetable"
    PARTIAL_NUMBER = "partial_number"
    PALM_UNCONFIRMED = "palm_unconfirmed"
    EXIT_WITHOUT_ENTRY = "exit_without_entry"
    # already noted
    DEBOUNCE = "debounce"
    MIN_STAY = "min_stay"
    ALREADY_IN = "already_in"
    ALREADY_OUT = "already_out"
    # not counted
    UNKNOWN_CARD = "unknown_card"
    UNKNOWN_CODE = "unknown_code"
    UNKNOWN_NUMBER = "unknown_number"
    UNKNOWN_PERSON = "unknown_person"
    PALM_UNKNOWN = "palm_unknown"
    PALM_COPY = "palm_copy"  # looks like a print or a screen held up instead of a hand
    NO_CONSENT = "no_consent"
    AMBIGUOUS = "ambiguous"
    MISMATCH = "mismatch"
    BLOCKED = "blocked"
    NO_SESSION = "no_session"
    CLOSED_DAY = "closed_day"
    # a palm that could not be read; shown, and no fact
    PALM_TOO_FAR = "palm_too_far"
    PALM_TOO_NEAR = "palm_too_near"
    PALM_TURNED = "palm_turned"
    PALM_FIST = "palm_fist"
    PALM_TWO_HANDS = "palm_two_hands"
    PALM_BLURRED = "palm_blurred"
    PALM_OVER_EXPOSED = "palm_over_exposed"
    PALM_UNDER_EXPOSED = "palm_under_exposed"
    PALM_UNREAD = "palm_unread"


class Direction(StrEnum):
    """What a scan at a reader can mean."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


class Movement(StrEnum):
    ENTRY = "entry"
    EXIT = "exit"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRules:
    """The thresholds. The settings hold their defaults; there are none here."""

    debounce_ms: int  # after any sighting of the person: the same gesture
    stay_min_ms: int  # at a reader for both ways, between entry and exit and between exit and entry
    leave_ms: int  # how long after a session's end an exit still ends its visit
    roster_age_max_s: int  # older: granted all the same, and judged again later
    unplaced_ms: int  # how long a visit stays open of which the clock could not say the session


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    identity: RecognisedPerson
    movement: Movement
    slot: Slot | None  # None: an exit or a repeat outside every session
    reason: DecisionReason = DecisionReason.ORDINARY
    notes: tuple[DecisionReason, ...] = ()  # what else the staff should know
    programme: str = ""
    claim: Claim = Claim.NONE
    review: bool = False
    entry: EarlierSighting | None = None  # of an exit: the entry that it ends


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """No visit came of it, and by what we know rightly so."""

    identity: Identity
    reason: DecisionReason
    slot: Slot | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """It cannot be decided here. With `entry` the child eats and the entry is kept; else the staff must look first."""

    identity: Identity
    reason: DecisionReason
    slot: Slot | None = None
    is_entry: bool = False
    programme: str = ""
    claim: Claim = Claim.NONE


Decision = Granted | Refused | Review


def decide(
    identity: Identity,
    moment: Moment,
    hours: Hours,
    earlier: Sequence[EarlierSighting],
    rules: DecisionRules,
    roster: Roster,
    *,
    direction: Direction = Direction.BOTH,
) -> Decision:
    """What this sighting means.

    `hours`: what is served at `moment`, with the graces already applied. `past`: the earlier sightings of this person
    on this kiosk, oldest first as they were journaled: the last entries and exits, whatever their session, and the
    very last sighting of any kind.
    """
    slot = hours.slots[0] if hours.slots else None
    match identity:
        case RecognisedPerson():
            return _Judgement(identity, moment, hours, earlier, rules, roster, direction).decide()
        case UnknownPerson():
            reason = _unknown(identity)
            if identity.method is not Method.PALM and not identity.no_consent and is_stale(roster, moment, rules):
                return Review(identity=identity, reason=reason, slot=slot)
            return Refused(identity=identity, reason=reason, slot=slot)
        case BlockedCredential():
            return Review(identity=identity, reason=DecisionReason.BLOCKED, slot=slot)
        case AmbiguousPerson():
            return Refused(identity=identity, reason=DecisionReason.AMBIGUOUS, slot=slot)
        case PalmMismatch(copied=copied):
            return Refused(
                identity=identity, reason=DecisionReason.PALM_COPY if copied else DecisionReason.MISMATCH, slot=slot
            )
        case _:
            assert_never(identity)


def is_stale(roster: Roster, moment: Moment, rules: DecisionRules) -> bool:
    """Whether the roster is so old, or so unconfirmed, that what it does not know is no proof."""
    age_s = roster.age_s(moment.utc)
    return roster.version == 0 or age_s < 0 or age_s > rules.roster_age_max_s


def _unknown(identity: UnknownPerson) -> DecisionReason:
    if identity.no_consent:
        return DecisionReason.NO_CONSENT
    match identity.method:
        case Method.CARD:
            return DecisionReason.UNKNOWN_CARD
        case Method.CODE:
            return DecisionReason.UNKNOWN_CODE
        case Method.TERMINAL:
            return DecisionReason.UNKNOWN_NUMBER
        case Method.PALM:
            return DecisionReason.PALM_COPY if identity.copied else DecisionReason.PALM_UNKNOWN
        case Method.MANUAL:
            return DecisionReason.UNKNOWN_PERSON
        case _:
            assert_never(identity.method)


class _Judgement:
    """One sighting of a known person, and the questions that the rules put to it."""

    def __init__(
        self,
        who: RecognisedPerson,
        moment: Moment,
        hours: Hours,
        past: Sequence[EarlierSighting],
        rules: DecisionRules,
        roster: Roster,
        direction: Direction,
    ) -> None:
        self._who = who
        self._moment = moment
        self._hours = hours
        self._rules = rules
        self._roster = roster
        self._direction = direction
        self._past = [each for each in past if not each.voided and each.kind is not SightingKind.REFUSAL]
        self._stale = is_stale(roster, moment, rules)

    def decide(self) -> Decision:
        inside = self._open_visit()
        if self._within(self._past[-1] if self._past else None, self._rules.debounce_ms):
            return self._repeat(DecisionReason.DEBOUNCE)
        if inside is not None:
            return self._again_while_inside(inside)
        if self._direction is Direction.OUT:
            return self._leave_without_entry()
        if self._direction is Direction.BOTH and self._within(self._last_exit(), self._rules.stay_min_ms):
            return self._repeat(DecisionReason.ALREADY_OUT)
        return self._enter()

    # what went before

    def _within(self, earlier: EarlierSighting | None, milliseconds: int) -> bool:
        if earlier is None:
            return False
        elapsed = elapsed_ms(earlier, self._moment)
        return elapsed is not None and elapsed < milliseconds

    def _last_exit(self) -> EarlierSighting | None:
        exits = [each for each in self._past if each.kind is SightingKind.EXIT]
        return exits[-1] if exits else None

    def _open_visit(self) -> EarlierSighting | None:
        """The last entry, when nothing has ended it and its session still allows an exit."""
        entries = [each for each in self._past if each.kind in (SightingKind.ENTRY, SightingKind.MANUAL)]
        if not entries:
            return None
        entry = entries[-1]
        if any((each.entry_epoch, each.entry_seq) == (entry.epoch, entry.seq) for each in self._past):
            return None
        return entry if self._can_still_end(entry) else None

    def _can_still_end(self, entry: EarlierSighting) -> bool:
        if not entry.session:
            return self._within(entry, self._rules.unplaced_ms)
        if any(_in_slot(entry, slot) for slot in self._hours.slots):
            return True
        if self._hours.slots and self._direction is not Direction.OUT:
            return False  # the next session is being served: whoever comes now comes for it
        slot = self._roster.timetable.slot(entry.session, entry.service_date)
        if slot is None:
            return False
        return slot.starts <= self._moment.utc < slot.ends + timedelta(milliseconds=self._rules.leave_ms)

    # what it means

    def _again_while_inside(self, entry: EarlierSighting) -> Decision:
        match self._direction:
            case Direction.IN:
                return self._repeat(DecisionReason.ALREADY_IN)
            case Direction.OUT:
                return self._exit(entry)
            case Direction.BOTH:
                elapsed = elapsed_ms(entry, self._moment)
                if elapsed is None or elapsed < self._rules.stay_min_ms:
                    return self._repeat(DecisionReason.MIN_STAY)
                return self._exit(entry)
            case _:
                assert_never(self._direction)

    def _repeat(self, reason: DecisionReason) -> Granted:
        last = self._past[-1]
        return Granted(identity=self._who, movement=Movement.REPEAT, slot=self._slot_of(last), reason=reason)

    def _exit(self, entry: EarlierSighting) -> Granted:
        return Granted(identity=self._who, movement=Movement.EXIT, slot=self._slot_of(entry), entry=entry)

    def _leave_without_entry(self) -> Granted:
        last = self._past[-1] if self._past else None
        slots = self._hours.slots
        if not slots:
            # The entry is perhaps on another kiosk: name the session that has just ended, so that the two are paired.
            slots = self._roster.timetable.at(self._moment.utc, late=timedelta(milliseconds=self._rules.leave_ms)).slots
        slot = slots[0] if slots else None
        if (
            last is not None
            and last.kind in (SightingKind.EXIT, SightingKind.REPEAT)
            and slot is not None
            and _in_slot(last, slot)
        ):
            return self._repeat(DecisionReason.ALREADY_OUT)
        return Granted(identity=self._who, movement=Movement.EXIT, slot=slot, reason=DecisionReason.EXIT_WITHOUT_ENTRY)

    def _slot_of(self, earlier: EarlierSighting) -> Slot | None:
        if not earlier.session:
            return None
        return self._roster.timetable.slot(earlier.session, earlier.service_date)

    def _enter(self) -> Decision:
        if not self._hours.slots:
            return self._enter_outside_hours()
        slot, entitlement = self._choose_slot()
        claim = self._claim(slot, entitlement)
        remarks = tuple(self._remarks(claim, entitlement))
        return Granted(
            identity=self._who,
            movement=Movement.ENTRY,
            slot=slot,
            reason=remarks[0] if remarks else DecisionReason.ORDINARY,
            notes=remarks[1:],
            programme=entitlement.programme if entitlement else "",
            claim=claim,
            review=self._doubtful(),
        )

    def _enter_outside_hours(self) -> Decision:
        if not self._moment.is_trusted:
            reason = DecisionReason.CLOCK_UNCERTAIN
        elif not self._roster.timetable.windows:
            reason = DecisionReason.NO_TIMETABLE
        else:
            closed = DecisionReason.CLOSED_DAY if self._hours.closed else DecisionReason.NO_SESSION
            if self._stale:
                return Review(identity=self._who, reason=closed)  # a newer roster may know of a meal
            return Refused(identity=self._who, reason=closed)
        # Neither session nor date can be told: the first programme is noted, and the ledger chooses again.
        first = min(
            self._roster.entitlements(self._who.person.id), key=lambda each: (each.priority, each.id), default=None
        )
        guest = self._roster.is_guest(self._who.person)
        return Review(
            identity=self._who,
            reason=reason,
            is_entry=True,
            programme=first.programme if first else "",
            claim=Claim.PENDING if guest else Claim.HELD if first else Claim.NONE,
        )

    # what may be billed

    def _choose_slot(self) -> tuple[Slot, Entitlement | None]:
        """Of sessions at the same time the first that is due and not yet eaten, else the first due, else the first."""
        entitlements = self._roster.entitlements(self._who.person.id)
        options = [(slot, due(entitlements, slot.session, slot.service_date)) for slot in self._hours.slots]
        entitled = [each for each in options if each[1] is not None]
        fresh = [each for each in entitled if not self._eaten(each[0])]
        return (fresh or entitled or options)[0]

    def _eaten(self, slot: Slot) -> bool:
        return any(
            _in_slot(each, slot) and each.claim in (Claim.CLAIMABLE, Claim.HELD, Claim.PENDING) for each in self._past
        )

    def _claim(self, slot: Slot, entitlement: Entitlement | None) -> Claim:
        guest = self._roster.is_guest(self._who.person)
        if entitlement is None and not guest:
            return Claim.NONE
        if self._eaten(slot):
            return Claim.SECOND
        if guest:
            return Claim.PENDING
        return Claim.CLAIMABLE if self._moment.is_trusted else Claim.HELD

    def _doubtful(self) -> bool:
        return not self._moment.is_trusted or self._stale or RecognitionNote.UNCONFIRMED in self._who.notes

    def _remarks(self, claim: Claim, entitlement: Entitlement | None) -> Sequence[DecisionReason]:
        """What the staff should know of this entry, the weightiest first."""
        guest = self._roster.is_guest(self._who.person)
        remarks = (
            (DecisionReason.SECOND_MEAL, claim is Claim.SECOND),
            (DecisionReason.GUEST, guest),
            (DecisionReason.NO_ENTITLEMENT, entitlement is None and not guest),
            (DecisionReason.PALM_UNCONFIRMED, RecognitionNote.UNCONFIRMED in self._who.notes),
            (DecisionReason.CLOCK_UNCERTAIN, not self._moment.is_trusted),
            (DecisionReason.STALE_ROSTER, self._stale),
            (DecisionReason.PARTIAL_NUMBER, RecognitionNote.PARTIAL in self._who.notes),
        )
        return [reason for reason, applies in remarks if applies]


def _in_slot(past: EarlierSighting, slot: Slot) -> bool:
    return (past.session, past.service_date) == (slot.session, slot.service_date)
