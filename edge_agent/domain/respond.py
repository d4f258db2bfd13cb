"""What child and staff are shown for a decision.

The child's side is made of the kind of decision and the person alone. Claim, programme, entitlement and reason reach
only the staff's side: free and paid meals look, sound and last the same.
"""

from typing import assert_never

from edge_agent.domain.decision import Decision, DecisionReason, Granted, Movement, Refused, Review
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
from sync.contract.roster import Person

SHOWN_CANDIDATES_MAX = 8  # names that fit on the staff's page
_NO_EPOCH = Epoch("")


def respond(decision: Decision, roster: Roster, *, epoch: Epoch = _NO_EPOCH, seq: int = 0) -> Feedback:
    """The feedback of a decision whose fact is durable; `epoch` and `seq` name its row, so that it can be voided."""
    match decision:
        case Granted():
            child = _granted(decision.movement)
        case Refused() | Review():
            child = _asked(decision.identity)
        case _:
            assert_never(decision)
    return _feedback(child, decision, roster, epoch, seq)


def respond_not_recorded(decision: Decision, roster: Roster) -> Feedback:
    """The journal could not be written: nobody is greeted, the staff count by hand."""
    return _feedback(FeedbackKind.NOT_RECORDED, decision, roster, _NO_EPOCH, 0)


def ask_to_hold_again() -> Feedback:
    """An unknown card was seen once: noise, or a card taken away too soon."""
    return Feedback(FeedbackKind.AGAIN)


def respond_unread(reason: DecisionReason, advice: Advice = Advice.NONE) -> Feedback:
    """A palm that cannot be read: how to hold it, or, without an advice left to give, the card is just as good."""
    child = FeedbackKind.AGAIN if advice else FeedbackKind.USE_CARD
    return Feedback(child, advice=advice, staff=StaffFeedback(reason=reason))


def ask_for_palm(person: Person) -> Feedback:
    """The card is known; now the palm, which says whose card it is."""
    return Feedback(FeedbackKind.SHOW_PALM, language=person.language, silent="sound_off" in person.hints)


def _granted(movement: Movement) -> FeedbackKind:
    match movement:
        case Movement.ENTRY:
            return FeedbackKind.WELCOME
        case Movement.EXIT:
            return FeedbackKind.GOODBYE
        case Movement.REPEAT:
            return FeedbackKind.NOTED
        case _:
            assert_never(movement)


def _asked(who: Identity) -> FeedbackKind:
    """A palm that settles nothing asks for the card first; everything else is for a person to settle."""
    match who:
        case UnknownPerson(method=Method.PALM) | UnknownPerson(no_consent=True) | AmbiguousPerson(method=Method.PALM):
            return FeedbackKind.USE_CARD
        case _:
            return FeedbackKind.ASK_STAFF


def _feedback(child: FeedbackKind, decision: Decision, roster: Roster, epoch: Epoch, seq: int) -> Feedback:
    person, candidates = _people(decision.identity, roster)
    greeted = person is not None and child in (FeedbackKind.WELCOME, FeedbackKind.GOODBYE)
    return Feedback(
        kind=child,
        greeting=person.given_name if person and greeted else "",
        language=person.language if person else "",
        silent="sound_off" in person.hints if person else False,
        staff=StaffFeedback(
            reason=decision.reason,
            notes=tuple(decision.notes) if isinstance(decision, Granted) else (),
            person=person.id if person else "",
            name=_name(person) if person else "",
            group=person.group if person else "",
            hints=person.hints if person else (),
            candidates=tuple(_name(each) for each in candidates[:SHOWN_CANDIDATES_MAX]),
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


def _people(who: Identity, roster: Roster) -> tuple[Person | None, tuple[Person, ...]]:
    """The person it is about, and those who may be offered instead."""
    match who:
        case RecognisedPerson() | BlockedCredential():
            return who.person, ()
        case UnknownPerson():
            return None, ()
        case AmbiguousPerson():
            return None, tuple(roster.people[each] for each in who.candidates if each in roster.people)
        case PalmMismatch():
            # The palm is the proof: its owner may have the own meal, the card's owner was perhaps never here.
            return None, (who.palm_person,) if who.palm_person else ()
        case _:
            assert_never(who)


def _name(person: Person) -> str:
    return f"{person.given_name} {person.family_name}".strip()
