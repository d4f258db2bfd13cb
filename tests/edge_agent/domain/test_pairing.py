"""Card and palm of one visitor: neither settles silently what it cannot."""

import pytest
from msgspec.structs import replace

from drivers.readings import CardRead, Notation, Technology, Uid
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
from tests.edge_agent.domain.world import Kiosk, card, moment, palm_terminal, school

ROSTER = school()
ACCEPT = 3_000
NOBODY = UnknownPerson(Method.PALM)


def by_card(number: int) -> RecognisedPerson:
    identity = identify(card(number), ROSTER)
    assert isinstance(identity, RecognisedPerson)
    return identity


def by_palm(number: int) -> RecognisedPerson:
    identity = identify(palm_terminal(number), ROSTER)
    assert isinstance(identity, RecognisedPerson)
    return replace(identity, method=Method.PALM)


def alike(*numbers: int) -> AmbiguousPerson:
    return AmbiguousPerson(tuple(PersonId(f"u{number}") for number in numbers), Method.PALM)


@pytest.mark.parametrize("palm", [NOBODY, by_palm(1), alike(1, 2), alike(2, 3)])
def test_a_palm_that_is_the_card_owners_confirms_it(palm: Identity) -> None:
    assert confirm_card(by_card(1), palm, score=ACCEPT, accept=ACCEPT) == replace(by_card(1), score=ACCEPT)


def test_a_part_of_a_cards_number_is_enough_once_the_palm_has_said_the_rest() -> None:
    part = CardRead("r1", Uid(Technology.UNKNOWN, (1).to_bytes(3, "big"), 24, Notation.W26), 0)
    identity = identify(part, ROSTER)
    assert isinstance(identity, RecognisedPerson)
    assert identity.notes == (RecognitionNote.PARTIAL,)
    assert confirm_card(identity, by_palm(1), score=5_000, accept=ACCEPT) == replace(by_card(1), score=5_000)
    assert settle_by_card(identity, alike(1, 2)) == by_card(1)


@pytest.mark.parametrize(
    ("palm", "owner"), [(by_palm(2), "u2"), (NOBODY, None), (alike(2, 3), None), (alike(1, 2), None)]
)
def test_a_palm_that_is_not_the_card_owners_is_a_refusal_about_nobody(palm: Identity, owner: str | None) -> None:
    both = confirm_card(by_card(1), palm, score=ACCEPT - 1, accept=ACCEPT)
    assert isinstance(both, PalmMismatch)
    assert (both.palm_person.id if both.palm_person else None) == owner
    kiosk = Kiosk(ROSTER)
    decision = kiosk.see(both, moment("09:40:00"))
    assert isinstance(decision, Refused)
    assert decision.reason is DecisionReason.MISMATCH
    assert kiosk.feedback[0].kind is FeedbackKind.ASK_STAFF
    assert isinstance(kiosk.last, Refusal)
    assert (kiosk.last.person, kiosk.last.candidates) == ("", "u1,u2" if owner else "u1")


def test_a_picture_of_a_palm_beside_the_card_is_told_as_that() -> None:
    copy = UnknownPerson(Method.PALM, copied=True)
    kiosk = Kiosk(ROSTER)
    decision = kiosk.see(confirm_card(by_card(1), copy, score=9_000, accept=ACCEPT), moment("09:40:00"))
    assert (decision.reason, kiosk.feedback[0].kind) == (DecisionReason.PALM_COPY, FeedbackKind.ASK_STAFF)


def test_without_a_palm_the_child_eats_and_the_row_is_marked() -> None:
    kiosk = Kiosk(ROSTER)
    kiosk.see(mark_unconfirmed(by_card(1)), moment("09:40:00"))
    assert kiosk.feedback[0].kind is FeedbackKind.WELCOME
    assert (kiosk.last.reason, kiosk.last.review) == (DecisionReason.PALM_UNCONFIRMED, True)  # type: ignore[union-attr]


def test_a_card_says_which_of_the_look_alikes_it_is_and_a_third_ones_does_not() -> None:
    assert settle_by_card(by_card(2), alike(1, 2)) == by_card(2)
    assert settle_by_card(by_card(3), alike(1, 2)) is None


def test_how_long_one_waits_for_the_other() -> None:
    at = moment("09:40:00")
    for waiting in (WaitingCard(by_card(1), "r1", at), WaitingPalm(alike(1, 2), at)):
        assert not is_overdue(waiting, replace(at, mono_ms=at.mono_ms + 7_999), 8_000)
        assert is_overdue(waiting, replace(at, mono_ms=at.mono_ms + 8_000), 8_000)
    assert awaited_person(WaitingCard(by_card(1), "r1", at)) == "u1"
    assert awaited_person(WaitingPalm(alike(1, 2), at)) is awaited_person(None) is None
