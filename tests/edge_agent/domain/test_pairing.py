"""Pairing of card and palm: neither decides in silence what it cannot prove."""

import pytest
from msgspec.structs import replace

from drivers.readings import CardRead, Technology, Uid, UidNotation
from edge_agent.domain.decision import DecisionReason, Refused
from edge_agent.domain.feedback import FeedbackKind
from edge_agent.domain.identify import (
    AmbiguousPerson,
    Identity,
    PalmMismatch,
    RecognisedPerson,
    RecognitionNote,
    UnknownPerson,
    identify,
)
from edge_agent.domain.pairing import (
    WaitingCard,
    WaitingPalm,
    awaited_person,
    confirm_card,
    is_overdue,
    mark_unconfirmed,
    settle_by_card,
)
from sync.contract.event import Method, PersonId, Refusal
from tests.edge_agent.domain.world import RulesKiosk, card, moment, palm_terminal, school

ROSTER = school()
ACCEPT = 3_000
NOBODY = UnknownPerson(Method.PALM)


def recognise_card(number: int) -> RecognisedPerson:
    identity = identify(card(number), ROSTER)
    assert isinstance(identity, RecognisedPerson)
    return identity


def recognise_palm(number: int) -> RecognisedPerson:
    identity = identify(palm_terminal(number), ROSTER)
    assert isinstance(identity, RecognisedPerson)
    return replace(identity, method=Method.PALM)


def look_alikes(*numbers: int) -> AmbiguousPerson:
    return AmbiguousPerson(tuple(PersonId(f"u{number}") for number in numbers), Method.PALM)


@pytest.mark.parametrize("palm", [NOBODY, recognise_palm(1), look_alikes(1, 2), look_alikes(2, 3)])
def test_a_palm_that_is_the_card_owners_confirms_it(palm: Identity) -> None:
    assert confirm_card(recognise_card(1), palm, owner_score=ACCEPT, accept_score=ACCEPT) == replace(
        recognise_card(1), score=ACCEPT
    )


def test_a_partial_card_number_is_enough_together_with_the_palm() -> None:
    part = CardRead("r1", Uid(Technology.UNKNOWN, (1).to_bytes(3, "big"), 24, UidNotation.W26), 0)
    identity = identify(part, ROSTER)
    assert isinstance(identity, RecognisedPerson)
    assert identity.notes == (RecognitionNote.PARTIAL,)
    assert confirm_card(identity, recognise_palm(1), owner_score=5_000, accept_score=ACCEPT) == replace(
        recognise_card(1), score=5_000
    )
    assert settle_by_card(identity, look_alikes(1, 2)) == recognise_card(1)


@pytest.mark.parametrize(
    ("palm", "owner"), [(recognise_palm(2), "u2"), (NOBODY, None), (look_alikes(2, 3), None), (look_alikes(1, 2), None)]
)
def test_a_palm_that_is_not_the_card_owners_is_a_refusal_about_nobody(palm: Identity, owner: str | None) -> None:
    mismatch = confirm_card(recognise_card(1), palm, owner_score=ACCEPT - 1, accept_score=ACCEPT)
    assert isinstance(mismatch, PalmMismatch)
    assert (mismatch.palm_person.id if mismatch.palm_person else None) == owner
    kiosk = RulesKiosk(ROSTER)
    decision = kiosk.decide(mismatch, moment("09:40:00"))
    assert isinstance(decision, Refused)
    assert decision.reason is DecisionReason.MISMATCH
    assert kiosk.feedback[0].kind is FeedbackKind.ASK_STAFF
    assert isinstance(kiosk.last, Refusal)
    assert (kiosk.last.person, kiosk.last.candidates) == ("", "u1,u2" if owner else "u1")


def test_a_picture_of_a_palm_beside_the_card_is_a_palm_copy() -> None:
    copy = UnknownPerson(Method.PALM, copied=True)
    kiosk = RulesKiosk(ROSTER)
    decision = kiosk.decide(
        confirm_card(recognise_card(1), copy, owner_score=9_000, accept_score=ACCEPT), moment("09:40:00")
    )
    assert (decision.reason, kiosk.feedback[0].kind) == (DecisionReason.PALM_COPY, FeedbackKind.ASK_STAFF)


def test_without_a_palm_the_child_eats_and_the_row_is_marked() -> None:
    kiosk = RulesKiosk(ROSTER)
    kiosk.decide(mark_unconfirmed(recognise_card(1)), moment("09:40:00"))
    assert kiosk.feedback[0].kind is FeedbackKind.WELCOME
    assert (kiosk.last.reason, kiosk.last.review) == (DecisionReason.PALM_UNCONFIRMED, True)  # type: ignore[union-attr]


def test_a_card_chooses_among_look_alikes_and_a_strangers_card_does_not() -> None:
    assert settle_by_card(recognise_card(2), look_alikes(1, 2)) == recognise_card(2)
    assert settle_by_card(recognise_card(3), look_alikes(1, 2)) is None


def test_when_a_wait_is_overdue() -> None:
    start = moment("09:40:00")
    for waiting in (WaitingCard(recognise_card(1), "r1", start), WaitingPalm(look_alikes(1, 2), start)):
        assert not is_overdue(waiting, replace(start, mono_ms=start.mono_ms + 7_999), 8_000)
        assert is_overdue(waiting, replace(start, mono_ms=start.mono_ms + 8_000), 8_000)
    assert awaited_person(WaitingCard(recognise_card(1), "r1", start)) == "u1"
    assert awaited_person(WaitingPalm(look_alikes(1, 2), start)) is awaited_person(None) is None
