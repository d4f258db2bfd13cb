"""Events of sightings: from a decision to the event that the journal keeps of it.

Equal arguments give equal events, and so equal bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict, assert_never

import msgspec

from drivers.readings import Authenticity
from edge_agent.domain.decision import Decision, DecisionReason, Granted, Refused, Review
from edge_agent.domain.identify import (
    AmbiguousPerson,
    BlockedCredential,
    Identity,
    PalmMismatch,
    RecognisedPerson,
    UnknownPerson,
)
from edge_agent.domain.moment import Moment
from edge_agent.domain.roster import Roster
from sync.contract.chain import Epoch
from sync.contract.event import ClockQuality, ClockStep, Entry, Exit, GuestMeals, Manual, Method, Refusal, Repeat, Void
from sync.contract.movements import Movement
from sync.contract.sessions import Slot

EVENT_CANDIDATES_MAX = 20  # ids that an event keeps of an ambiguity
NOTE_CHARS_MAX = 200

SightingEvent = Entry | Manual | Exit | Repeat | Refusal


class EventContext(msgspec.Struct, frozen=True):
    """The moment, the roster in force and the reader of one scan; every event of the scan shares them."""

    moment: Moment
    roster: Roster
    reader: str = ""
    offset_s: int = 0  # of the doubted clock of a terminal, as measured
    authenticity: Authenticity = Authenticity.BARE  # of the card that was read
    is_doubted: bool = False  # the moment is of a terminal's clock that nobody vouches for: no meal is found by it


@dataclass(frozen=True, slots=True)
class StaffAct:
    """An act of the staff: its operator and its reason. `group` is one id for all entries of a whole class.
    `paper`, `eaten_from` and `eaten_until`: of a printed list, as in `Manual`.

    Raises ValueError without operator or reason.
    """

    operator: str
    note: str
    group: str = ""
    paper: str = ""
    eaten_from: str = ""
    eaten_until: str = ""

    def __post_init__(self) -> None:
        if not self.operator.strip() or not self.note.strip():
            raise ValueError("an entry by hand names its operator and its reason; fill in both")


class EventOrigin(TypedDict):
    """The fields by which every event names its moment and the roster in force."""

    school: str
    at: str
    boot: str
    mono_ms: int
    clock: ClockQuality
    roster: int
    roster_age_s: int


class _PersonFields(TypedDict, total=False):
    person: str
    method: Method
    credential: str
    score: int
    code_step: int


class _SightingFields(TypedDict):
    session: str
    service_date: str
    reader: str
    reason: str
    operator: str
    note: str
    scan_rules: str
    authenticity: str
    offset_s: int
    written_late: bool


def build_sighting(
    decision: Decision,
    context: EventContext,
    staff_act: StaffAct | None = None,
    scan_rules: str = "",
    *,
    written_late: bool = False,
) -> SightingEvent:
    """Returns the event of this decision. `scan_rules`: where it may have to be judged again among late ones.

    `written_late`: it waited in memory for the journal.

    `staff_act` belongs to identities of `identify.identify_by_hand`, and to no others. Raises ValueError when one
    comes without the other: the caller made a mistake, and nothing must be kept of it.
    """
    if (_method(decision.identity) is Method.MANUAL) != (staff_act is not None):
        raise ValueError("an identity by hand, and no other, has operator and reason; pass `staff_act` for these alone")
    origin = build_origin(context)
    sighting = _sighting_fields(decision.slot, context, decision.reason.value, staff_act, scan_rules, written_late)
    person = _person_fields(decision.identity)
    match decision:
        case Granted(movement=Movement.EXIT, entry=entry):
            return Exit(
                **origin,
                **sighting,
                **person,
                entry_epoch=entry.epoch if entry else "",
                entry_seq=entry.seq if entry else 0,
            )
        case Granted(movement=Movement.REPEAT):
            return Repeat(**origin, **sighting, **person)
        case Granted():
            return _build_entry(decision, origin, sighting, decision.review, staff_act)
        case Review(is_entry=True):
            return _build_entry(decision, origin, sighting, True, staff_act)
        case Review():
            candidates = _candidates(decision.identity)
            return Refusal(**origin, **sighting, **person, review=True, candidates=candidates)
        case Refused():
            return Refusal(**origin, **sighting, **person, candidates=_candidates(decision.identity))
        case _:
            assert_never(decision)


def build_test_scan(context: EventContext) -> Refusal:
    """Returns the event of a reading that a technician made to try the kiosk: it names nobody, and bills nothing."""
    return Refusal(**build_origin(context), reader=context.reader, reason=DecisionReason.TEST_SCAN.value)


def build_guest_meals(
    context: EventContext, slot: Slot | None, *, counted: int, payer: str, staff_act: StaffAct
) -> GuestMeals:
    """Returns the event of guests' meals in a session; `slot` None where the clock cannot tell which one."""
    return GuestMeals(
        **build_origin(context),
        counted=counted,
        payer=payer,
        operator=staff_act.operator,
        note=staff_act.note[:NOTE_CHARS_MAX],
        session=slot.session if slot else "",
        service_date=slot.service_date if slot else "",
    )


def build_void(context: EventContext, *, epoch: Epoch, seq: int, person: str, staff_act: StaffAct) -> Void:
    """Returns the event by which an operator takes back the entry `seq` of `epoch`."""
    return Void(
        **build_origin(context),
        void_epoch=epoch,
        void_seq=seq,
        person=person,
        operator=staff_act.operator,
        note=staff_act.note[:NOTE_CHARS_MAX],
    )


def build_clock_confirmation(context: EventContext, *, boot: str, offset_ms: int, staff_act: StaffAct) -> ClockStep:
    """Returns the event by which an operator confirms how far a terminal's clock, the one of `boot`, was ahead."""
    moment = context.moment
    terminal_ms = int(moment.utc.timestamp() * 1000) + offset_ms
    return ClockStep(
        **build_origin(msgspec.structs.replace(context, moment=Moment(moment.utc, terminal_ms, boot, moment.clock))),
        step_ms=-offset_ms,
        before=ClockQuality.UNSYNCHRONISED,
        operator=staff_act.operator,
        note=staff_act.note[:NOTE_CHARS_MAX],
    )


def build_origin(context: EventContext) -> EventOrigin:
    """Returns the fields that every event begins with; the agent's own events use them too."""
    moment, roster = context.moment, context.roster
    return EventOrigin(
        school=roster.school,
        at=moment.text,
        boot=moment.boot,
        mono_ms=moment.mono_ms,
        clock=moment.clock,
        roster=roster.version,
        roster_age_s=roster.age_s(moment.utc),
    )


def _build_entry(
    decision: Granted | Review,
    origin: EventOrigin,
    sighting: _SightingFields,
    review: bool,
    staff_act: StaffAct | None,
) -> Entry | Manual:
    person = _person_fields(decision.identity)
    programme, claim = decision.programme, decision.claim
    if staff_act is None:
        return Entry(**origin, **sighting, **person, programme=programme, claim=claim, review=review)
    return Manual(
        **origin,
        **sighting,
        **person,
        programme=programme,
        claim=claim,
        review=review,
        group=staff_act.group,
        paper=staff_act.paper,
        eaten_from=staff_act.eaten_from,
        eaten_until=staff_act.eaten_until,
    )


def _sighting_fields(
    slot: Slot | None,
    context: EventContext,
    reason: str,
    staff_act: StaffAct | None,
    scan_rules: str,
    written_late: bool,
) -> _SightingFields:
    return _SightingFields(
        session=slot.session if slot else "",
        service_date=slot.service_date if slot else "",
        reader=context.reader,
        reason=reason,
        operator=staff_act.operator if staff_act else "",
        note=staff_act.note[:NOTE_CHARS_MAX] if staff_act else "",
        scan_rules=scan_rules,
        authenticity=context.authenticity.value,
        offset_s=context.offset_s,
        written_late=written_late,
    )


def _person_fields(identity: Identity) -> _PersonFields:
    match identity:
        case RecognisedPerson():
            return _PersonFields(
                person=identity.person.id,
                method=identity.method,
                credential=identity.credential,
                score=identity.score,
                code_step=identity.code_step,
            )
        case BlockedCredential():
            return _PersonFields(person=identity.person.id, method=identity.method, credential=identity.credential)
        case UnknownPerson() | AmbiguousPerson():
            return _PersonFields(method=identity.method, credential=identity.credential)
        case PalmMismatch():
            # No person: nothing of it may reach the card's owner, who was perhaps never here.
            return _PersonFields(method=Method.CARD, credential=identity.credential)
        case _:
            assert_never(identity)


def _method(identity: Identity) -> Method:
    return Method.CARD if isinstance(identity, PalmMismatch) else identity.method


def _candidates(identity: Identity) -> str:
    people: Iterable[str]
    match identity:
        case AmbiguousPerson():
            people = identity.candidates[:EVENT_CANDIDATES_MAX]
        case PalmMismatch():
            people = (person.id for person in (identity.card_person, identity.palm_person) if person is not None)
        case RecognisedPerson() | UnknownPerson() | BlockedCredential():
            people = ()
        case _:
            assert_never(identity)
    return ",".join(people)
