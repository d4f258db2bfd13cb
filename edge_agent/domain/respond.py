"""Feedback of decisions: for each decision the child's side and the staff's side.

The child's side depends on the kind of decision and on the person alone. Claim, programme, entitlement and reason reach
only the staff's side: free and paid meals look, sound and last the same.
"""

from typing import assert_never

from drivers.readings import FaultCause
from edge_agent.domain.decision import Decision, DecisionReason, Granted, Refused, Review
from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.identify import (
    AmbiguousPerson,
    BlockedCredential,
    Identity,
    PalmMismatch,
    RecognisedPerson,
    UnknownPerson,
)
from edge_agent.domain.roster import Roster
from sync.contract.chain import Epoch
from sync.contract.event import Method
from sync.contract.movements import Movement
from sync.contract.roster import Person, ServiceHint

SHOWN_CANDIDATES_MAX = 8  # names that fit on the staff's page
_NO_EPOCH = Epoch("")


def respond(decision: Decision, roster: Roster, *, epoch: Epoch = _NO_EPOCH, seq: int = 0) -> Feedback:
    """Returns the feedback of a decision whose event is durable.

    `epoch` and `seq` name the event, so that the staff can void an entry.
    """
    match decision:
        case Granted():
            kind = _kind_of_movement(decision.movement)
        case Refused() | Review():
            kind = _kind_of_request(decision.identity)
        case _:
            assert_never(decision)
    return _build_feedback(kind, decision, roster, epoch, seq)


def respond_waiting(decision: Decision, roster: Roster) -> Feedback:
    """Returns the feedback of a decision that waits in memory until the journal can be written.

    Nobody is greeted as recorded: a visitor may go on, and whoever needs a person is sent to one as ever.
    """
    kind = FeedbackKind.WAITING if isinstance(decision, Granted) else _kind_of_request(decision.identity)
    return _build_feedback(kind, decision, roster, _NO_EPOCH, 0)


def respond_not_recorded(decision: Decision, roster: Roster) -> Feedback:
    """Returns the feedback of a decision that the journal could not keep: no greeting, the staff count by hand."""
    return _build_feedback(FeedbackKind.NOT_RECORDED, decision, roster, _NO_EPOCH, 0)


def ask_to_hold_again() -> Feedback:
    """Returns the feedback of an unknown card in a single frame: noise, or a card that was taken away too soon."""
    return Feedback(FeedbackKind.AGAIN)


def respond_unread(reason: DecisionReason, advice: Advice = Advice.NONE) -> Feedback:
    """Returns the feedback of a palm that cannot be read: the advice how to hold it, or else to use the card."""
    kind = FeedbackKind.AGAIN if advice else FeedbackKind.USE_CARD
    return Feedback(kind, advice=advice, staff=StaffFeedback(reason=reason))


def respond_refused(cause: FaultCause) -> Feedback:
    """Returns the feedback of a phone, a card or a code that its reader refused. Nobody is identified: no event."""
    match cause:
        case FaultCause.PHONE:
            staff = StaffFeedback(reason=DecisionReason.PHONE_REFUSED)
            return Feedback(FeedbackKind.USE_CARD, advice=Advice.NO_PHONE, staff=staff)
        case FaultCause.CARD | FaultCause.LINE:
            staff = StaffFeedback(reason=DecisionReason.CARD_UNREAD)
        case FaultCause.SETTINGS:
            staff = StaffFeedback(reason=DecisionReason.READER_MISSET)
        case _:
            assert_never(cause)
    return Feedback(FeedbackKind.ASK_STAFF, advice=Advice.UNREAD, staff=staff)


def ask_for_palm(person: Person) -> Feedback:
    """Returns the feedback that asks the card's owner for the palm as well."""
    return Feedback(
        FeedbackKind.SHOW_PALM,
        language=person.language,
        silent=ServiceHint.SOUND_OFF in person.hints,
        longer=ServiceHint.LONGER_TIME in person.hints,
    )


def _kind_of_movement(movement: Movement) -> FeedbackKind:
    match movement:
        case Movement.ENTRY:
            return FeedbackKind.WELCOME
        case Movement.EXIT:
            return FeedbackKind.GOODBYE
        case Movement.REPEAT:
            return FeedbackKind.NOTED
        case _:
            assert_never(movement)


def _kind_of_request(identity: Identity) -> FeedbackKind:
    """Returns USE_CARD for a palm that decides nothing, and ASK_STAFF for everything that only a person can settle."""
    match identity:
        case UnknownPerson(method=Method.PALM) | UnknownPerson(no_consent=True) | AmbiguousPerson(method=Method.PALM):
            return FeedbackKind.USE_CARD
        case _:
            return FeedbackKind.ASK_STAFF


def _build_feedback(kind: FeedbackKind, decision: Decision, roster: Roster, epoch: Epoch, seq: int) -> Feedback:
    person, candidates = _find_people(decision.identity, roster)
    greeted = person is not None and kind in (FeedbackKind.WELCOME, FeedbackKind.GOODBYE)
    return Feedback(
        kind=kind,
        greeting=person.given_name if person and greeted else "",
        language=person.language if person else "",
        silent=person is not None and ServiceHint.SOUND_OFF in person.hints,
        longer=person is not None and ServiceHint.LONGER_TIME in person.hints,
        staff=StaffFeedback(
            reason=decision.reason,
            notes=tuple(decision.notes) if isinstance(decision, Granted) else (),
            person=person.id if person else "",
            name=full_name(person) if person else "",
            group=person.group if person else "",
            hints=person.hints if person else (),
            candidates=tuple(full_name(candidate) for candidate in candidates[:SHOWN_CANDIDATES_MAX]),
            entry_epoch=epoch if _is_entry(decision) else "",
            entry_seq=seq if _is_entry(decision) else 0,
        ),
    )


def _is_entry(decision: Decision) -> bool:
    match decision:
        case Granted():
            return decision.movement is Movement.ENTRY
        case Review():
            return decision.is_entry
        case Refused():
            return False
        case _:
            assert_never(decision)


def _find_people(identity: Identity, roster: Roster) -> tuple[Person | None, tuple[Person, ...]]:
    """Returns the person whom the identity shows, and those whom the staff may choose instead."""
    match identity:
        case RecognisedPerson() | BlockedCredential():
            return identity.person, ()
        case UnknownPerson():
            return None, ()
        case AmbiguousPerson():
            return None, tuple(roster.people[person] for person in identity.candidates if person in roster.people)
        case PalmMismatch():
            # The palm is the proof: its owner may have their own meal; the card's owner was perhaps never here.
            return None, (identity.palm_person,) if identity.palm_person else ()
        case _:
            assert_never(identity)


def full_name(person: Person) -> str:
    """Returns a person's given and family name."""
    return f"{person.given_name} {person.family_name}".strip()
