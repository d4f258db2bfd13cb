"""From a decision to the fact that is kept of it. Same in, same out: byte-equal payloads for equal arguments."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict, assert_never

import msgspec

from edge_agent.domain.decision import Decision, Granted, Movement, Refused, Review
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
from sync.contract.event import ClockQuality, Entry, Exit, Manual, Method, Refusal, Repeat, Void
from sync.contract.sessions import Slot

EVENT_CANDIDATES_MAX = 20  # ids that are kept of an ambiguity
NOTE_CHARS_MAX = 200

SightingEvent = Entry | Manual | Exit | Repeat | Refusal


class EventContext(msgspec.Struct, frozen=True):
    """Where, when and by which knowledge; the same for every fact of one scan."""

    moment: Moment
    roster: Roster
    reader: str = ""


@dataclass(frozen=True, slots=True)
class StaffAct:
    """Who of the staff did it, and why. `group`: one id for all entries of a whole class."""

    operator: str
    note: str
    group: str = ""

    def __post_init__(self) -> None:
        if not self.operator.strip() or not self.note.strip():
            raise ValueError("an entry by hand names its operator and its reason; fill in both")


class EventOrigin(TypedDict):
    """What every fact says of its moment and of the roster in force."""

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


class _SightingFields(TypedDict):
    session: str
    service_date: str
    reader: str
    reason: str
    operator: str
    note: str


def build_sighting(decision: Decision, context: EventContext, staff_act: StaffAct | None = None) -> SightingEvent:
    """The fact of this decision. `by_hand` belongs to identities of `identify.by_hand`, and to no others.

    Raises ValueError when one comes without the other: a mistake of the caller, nothing of it is kept.
    """
    if (_method(decision.identity) is Method.MANUAL) != (staff_act is not None):
        raise ValueError("chosen by hand without operator and reason, or the other way round; pass `by_hand` for these")
    placed = build_origin(context)
    how = _how(decision.slot, context, decision.reason.value, staff_act)
    match decision:
        case Granted(movement=Movement.EXIT, entry=entry):
            return Exit(
                **placed,
                **how,
                **_who(decision.identity),
                entry_epoch=entry.epoch if entry else "",
                entry_seq=entry.seq if entry else 0,
            )
        case Granted(movement=Movement.REPEAT):
            return Repeat(**placed, **how, **_who(decision.identity))
        case Granted():
            return _entry(decision, placed, how, decision.review, staff_act)
        case Review(is_entry=True):
            return _entry(decision, placed, how, True, staff_act)
        case Review():
            return Refusal(
                **placed, **how, **_who(decision.identity), review=True, candidates=_candidates(decision.identity)
            )
        case Refused():
            return Refusal(**placed, **how, **_who(decision.identity), candidates=_candidates(decision.identity))
        case _:
            assert_never(decision)


def build_void(context: EventContext, *, epoch: Epoch, seq: int, person: str, staff_act: StaffAct) -> Void:
    """An operator takes the entry of this row back."""
    return Void(
        **build_origin(context),
        void_epoch=epoch,
        void_seq=seq,
        person=person,
        operator=staff_act.operator,
        note=staff_act.note[:NOTE_CHARS_MAX],
    )


def _entry(
    decision: Granted | Review, placed: EventOrigin, how: _SightingFields, review: bool, by_hand: StaffAct | None
) -> Entry | Manual:
    if by_hand is None:
        return Entry(
            **placed,
            **how,
            **_who(decision.identity),
            programme=decision.programme,
            claim=decision.claim,
            review=review,
        )
    return Manual(
        **placed,
        **how,
        **_who(decision.identity),
        programme=decision.programme,
        claim=decision.claim,
        review=review,
        group=by_hand.group,
    )


def build_origin(context: EventContext) -> EventOrigin:
    """For the facts of the agent's own, too."""
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


def _how(slot: Slot | None, context: EventContext, reason: str, by_hand: StaffAct | None) -> _SightingFields:
    return _SightingFields(
        session=slot.session if slot else "",
        service_date=slot.service_date if slot else "",
        reader=context.reader,
        reason=reason,
        operator=by_hand.operator if by_hand else "",
        note=by_hand.note[:NOTE_CHARS_MAX] if by_hand else "",
    )


def _who(who: Identity) -> _PersonFields:
    match who:
        case RecognisedPerson():
            return _PersonFields(person=who.person.id, method=who.method, credential=who.credential, score=who.score)
        case BlockedCredential():
            return _PersonFields(person=who.person.id, method=who.method, credential=who.credential)
        case UnknownPerson() | AmbiguousPerson():
            return _PersonFields(method=who.method, credential=who.credential)
        case PalmMismatch():
            # No person: nothing of it may reach the card's owner, who was perhaps never here.
            return _PersonFields(method=Method.CARD, credential=who.credential)
        case _:
            assert_never(who)


def _method(who: Identity) -> Method:
    return Method.CARD if isinstance(who, PalmMismatch) else who.method


def _candidates(who: Identity) -> str:
    people: Iterable[str]
    match who:
        case AmbiguousPerson():
            people = who.candidates[:EVENT_CANDIDATES_MAX]
        case PalmMismatch():
            people = (each.id for each in (who.card_person, who.palm_person) if each is not None)
        case RecognisedPerson() | UnknownPerson() | BlockedCredential():
            people = ()
        case _:
            assert_never(who)
    return ",".join(people)
