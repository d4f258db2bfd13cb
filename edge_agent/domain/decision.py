"""Decisions: may this person have a meal here and now? A pure function of what is known.

The theory. A *visit* is an entry and, where there is one, its exit, within one session. What a scan means for it
follows from the person's earlier sightings and from the direction of the reader: see `sync.contract.movements`, which
the ledger asks too.

Rules for this file. Whose fault a doubt is decides its colour. A doubt of our clock, our roster or our readers is never
held against the child: it gives Review, or Granted with a mark. Only a certain fact gives Refused, and the screen shows
that in amber too. Entitlement, programme and claim choose nothing that the child can see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import msgspec

from edge_agent.domain.identify import (
    USED_CODE,
    AmbiguousPerson,
    BlockedCredential,
    Identity,
    PalmMismatch,
    RecognisedPerson,
    RecognitionNote,
    UnknownPerson,
)
from edge_agent.domain.moment import Moment, elapsed_ms
from edge_agent.domain.replacement_cards import REPLACED
from edge_agent.domain.roster import Roster
from edge_agent.domain.sighting import EarlierSighting, SightingKind
from sync.contract.entitlements import choose_entitlement
from sync.contract.event import Claim, Method
from sync.contract.movements import Direction, Movement, find_movement, is_in_slot
from sync.contract.roster import Entitlement
from sync.contract.sessions import ServedSlots, Slot, Timetable


class DecisionReason(StrEnum):
    """The reason of a decision. Events keep these codes, and the staff's catalogues hold their words."""

    ORDINARY = ""  # nothing to say
    # counted, with a remark for the staff
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
    CARD_REPLACED = "card_replaced"  # this person has been given another card
    CODE_USED = "code_used"  # a changing code that was used before, here or at another kiosk
    NO_SESSION = "no_session"
    CLOSED_DAY = "closed_day"
    # a palm that could not be read: shown, and no event
    PALM_TOO_FAR = "palm_too_far"
    PALM_TOO_NEAR = "palm_too_near"
    PALM_TURNED = "palm_turned"
    PALM_FIST = "palm_fist"
    PALM_TWO_HANDS = "palm_two_hands"
    PALM_BLURRED = "palm_blurred"
    PALM_OVER_EXPOSED = "palm_over_exposed"
    PALM_UNDER_EXPOSED = "palm_under_exposed"
    PALM_UNREAD = "palm_unread"
    # a phone, a card or a code that its reader refused: shown, and no event
    PHONE_REFUSED = "phone_refused"
    CARD_UNREAD = "card_unread"
    READER_MISSET = "reader_misset"
    # a technician's test: an event that bills nobody
    TEST_SCAN = "test_scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRules:
    """The thresholds of the rules. Their defaults stand in the settings, and nowhere here."""

    debounce_ms: int  # a second sighting of the person within this time is the same gesture
    stay_min_ms: int  # at a reader for both ways, between entry and exit and between exit and entry
    leave_ms: int  # so long after a session's end an exit still ends its visit
    roster_age_max_s: int  # older: granted all the same, and judged again later
    unplaced_ms: int  # so long a visit stays open whose session the clock could not tell


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that counts: an entry, an exit or a repeat of a recognised person."""

    identity: RecognisedPerson
    movement: Movement
    slot: Slot | None  # None: an exit or a repeat outside every session
    reason: DecisionReason = DecisionReason.ORDINARY
    notes: tuple[DecisionReason, ...] = ()  # further remarks for the staff
    programme: str = ""
    claim: Claim = Claim.NONE
    review: bool = False
    entry: EarlierSighting | None = None  # for an exit, the entry that it ends


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A decision without a visit, and rightly so by all that is known."""

    identity: Identity
    reason: DecisionReason
    slot: Slot | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that this kiosk cannot take alone.

    With `is_entry` the child eats, and the entry is judged again later. Without it the staff must look first.
    """

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
    hours: ServedSlots,
    earlier: Sequence[EarlierSighting],
    rules: DecisionRules,
    roster: Roster,
    *,
    direction: Direction = Direction.BOTH,
    is_doubted: bool = False,
) -> Decision:
    """Returns the decision on this sighting.

    `hours` holds the sessions served at `moment`, with the graces already applied. `earlier` holds the earlier
    sightings of this person on this kiosk in the order of the journal, oldest first: the last entries and exits of any
    session, and the very last sighting of any kind. `is_doubted`: nobody vouches for the moment's wall clock at all, so
    that no session is found by it.
    """
    slot = hours.slots[0] if hours.slots else None
    match identity:
        case RecognisedPerson():
            return _Judgement(identity, moment, hours, earlier, rules, roster, direction, is_doubted).decide()
        case UnknownPerson():
            reason = _unknown_reason(identity)
            if identity.method is not Method.PALM and not identity.no_consent and is_stale(roster, moment, rules):
                return Review(identity=identity, reason=reason, slot=slot)
            return Refused(identity=identity, reason=reason, slot=slot)
        case BlockedCredential(status=status) if status == USED_CODE:
            return Refused(identity=identity, reason=DecisionReason.CODE_USED, slot=slot)
        case BlockedCredential(status=status):
            reason = DecisionReason.CARD_REPLACED if status == REPLACED else DecisionReason.BLOCKED
            return Review(identity=identity, reason=reason, slot=slot)
        case AmbiguousPerson():
            return Refused(identity=identity, reason=DecisionReason.AMBIGUOUS, slot=slot)
        case PalmMismatch(copied=copied):
            return Refused(
                identity=identity, reason=DecisionReason.PALM_COPY if copied else DecisionReason.MISMATCH, slot=slot
            )
        case _:
            assert_never(identity)


def decide_on_paper(
    identity: RecognisedPerson, moment: Moment, slot: Slot, rules: DecisionRules, roster: Roster
) -> Decision:
    """Returns the decision on somebody of a printed list, who ate in this session and has no entry of it yet.

    The moment is that of the writing and places nothing; a clock that is doubted makes the claim wait all the same.
    """
    hours = ServedSlots((slot,))
    return _Judgement(identity, moment, hours, (), rules, roster, Direction.IN, False).enter()


def is_stale(roster: Roster, moment: Moment, rules: DecisionRules) -> bool:
    """Returns True when the roster is so old, or so unconfirmed, that a person it lacks may still be a pupil."""
    age_s = roster.age_s(moment.utc)
    return roster.version == 0 or age_s < 0 or age_s > rules.roster_age_max_s


def _unknown_reason(identity: UnknownPerson) -> DecisionReason:
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
        case Method.MANUAL | Method.PAPER:
            return DecisionReason.UNKNOWN_PERSON
        case _:
            assert_never(identity.method)


class _Judgement:
    """One sighting of a recognised person, and the questions of the rules about it."""

    def __init__(
        self,
        identity: RecognisedPerson,
        moment: Moment,
        hours: ServedSlots,
        earlier: Sequence[EarlierSighting],
        rules: DecisionRules,
        roster: Roster,
        direction: Direction,
        is_doubted: bool,
    ) -> None:
        self._identity = identity
        self._moment = moment
        self._hours = hours
        self._rules = rules
        self._roster = roster
        self._direction = direction
        self._timetable = Timetable(roster.timetable.tz) if is_doubted else roster.timetable
        self._sightings = [
            sighting for sighting in earlier if not sighting.voided and sighting.kind is not SightingKind.REFUSAL
        ]
        self._stale = is_stale(roster, moment, rules)

    def decide(self) -> Decision:
        step = find_movement(
            self._sightings,
            lambda earlier: elapsed_ms(earlier, self._moment),
            self._moment.utc,
            self._hours.slots,
            self._timetable,
            self._rules,
            self._direction,
        )
        if step.movement is Movement.ENTRY:
            return self.enter()
        is_exit = step.movement is Movement.EXIT
        return Granted(
            identity=self._identity,
            movement=step.movement,
            slot=self._find_slot(step.about) if step.about is not None else step.slot,
            reason=DecisionReason(step.reason.value),
            entry=step.about if is_exit else None,
        )

    def _find_slot(self, earlier: EarlierSighting) -> Slot | None:
        if not earlier.session:
            return None
        return self._roster.timetable.slot(earlier.session, earlier.service_date)

    def enter(self) -> Decision:
        """Returns the decision on an entry, whatever was before."""
        if not self._hours.slots:
            return self._enter_outside_hours()
        slot, entitlement = self._choose_slot()
        claim = self._claim(slot, entitlement)
        remarks = tuple(self._remarks(claim, entitlement))
        return Granted(
            identity=self._identity,
            movement=Movement.ENTRY,
            slot=slot,
            reason=remarks[0] if remarks else DecisionReason.ORDINARY,
            notes=remarks[1:],
            programme=entitlement.programme if entitlement else "",
            claim=claim,
            review=self._is_doubtful(),
        )

    def _enter_outside_hours(self) -> Decision:
        if not self._moment.is_trusted:
            reason = DecisionReason.CLOCK_UNCERTAIN
        elif not self._roster.timetable.windows:
            reason = DecisionReason.NO_TIMETABLE
        else:
            closed = DecisionReason.CLOSED_DAY if self._hours.closed else DecisionReason.NO_SESSION
            if self._stale:
                return Review(identity=self._identity, reason=closed)  # a newer roster may have a meal
            return Refused(identity=self._identity, reason=closed)
        # Session and date are unknown: the event names the first programme, and the ledger chooses again.
        first = min(
            self._roster.entitlements(self._identity.person.id),
            key=lambda entitlement: (entitlement.priority, entitlement.id),
            default=None,
        )
        guest = self._roster.is_guest(self._identity.person)
        return Review(
            identity=self._identity,
            reason=reason,
            is_entry=True,
            programme=first.programme if first else "",
            claim=Claim.PENDING if guest else Claim.HELD if first else Claim.NONE,
        )

    # The claim: may the meal be billed?

    def _choose_slot(self) -> tuple[Slot, Entitlement | None]:
        """Returns one of the running sessions: the first due and not yet eaten, else the first due, else the first."""
        entitlements = self._roster.entitlements(self._identity.person.id)
        options = [
            (slot, choose_entitlement(entitlements, slot.session, slot.service_date)) for slot in self._hours.slots
        ]
        entitled = [(slot, entitlement) for slot, entitlement in options if entitlement is not None]
        fresh = [(slot, entitlement) for slot, entitlement in entitled if not self._has_eaten(slot)]
        return (fresh or entitled or options)[0]

    def _has_eaten(self, slot: Slot) -> bool:
        return any(
            is_in_slot(sighting, slot) and sighting.claim in (Claim.CLAIMABLE, Claim.HELD, Claim.PENDING)
            for sighting in self._sightings
        )

    def _claim(self, slot: Slot, entitlement: Entitlement | None) -> Claim:
        guest = self._roster.is_guest(self._identity.person)
        if entitlement is None and not guest:
            return Claim.NONE
        if self._has_eaten(slot):
            return Claim.SECOND
        if guest:
            return Claim.PENDING
        return Claim.CLAIMABLE if self._moment.is_trusted else Claim.HELD

    def _is_doubtful(self) -> bool:
        return not self._moment.is_trusted or self._stale or RecognitionNote.UNCONFIRMED in self._identity.notes

    def _remarks(self, claim: Claim, entitlement: Entitlement | None) -> Sequence[DecisionReason]:
        """Returns remarks for the staff on this entry, the weightiest first."""
        guest = self._roster.is_guest(self._identity.person)
        remarks = (
            (DecisionReason.SECOND_MEAL, claim is Claim.SECOND),
            (DecisionReason.GUEST, guest),
            (DecisionReason.NO_ENTITLEMENT, entitlement is None and not guest),
            (DecisionReason.PALM_UNCONFIRMED, RecognitionNote.UNCONFIRMED in self._identity.notes),
            (DecisionReason.CLOCK_UNCERTAIN, not self._moment.is_trusted),
            (DecisionReason.STALE_ROSTER, self._stale),
            (DecisionReason.PARTIAL_NUMBER, RecognitionNote.PARTIAL in self._identity.notes),
        )
        return [reason for reason, applies in remarks if applies]
