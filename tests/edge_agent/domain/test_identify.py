"""Identities: whom a reading shows, and when nobody can tell."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.readings import CardRead, CodeRead, PersonMatched, Technology, Uid, UidNotation
from edge_agent.domain.identify import (
    AmbiguousPerson,
    BlockedCredential,
    PalmScore,
    RecognisedPerson,
    RecognitionNote,
    UnknownPerson,
    digest_number,
    identify,
    identify_by_hand,
    identify_palm,
)
from edge_agent.domain.roster import Roster
from sync.contract.event import Method, PersonId
from sync.contract.roster import Consent, Credential, CredentialKind
from tests.edge_agent.domain.world import SCHOOL, card, card_value, em4100, palm_terminal, school


def w26(number: int) -> CardRead:
    return CardRead("r1", Uid(Technology.UNKNOWN, (number & 0xFFFFFF).to_bytes(3, "big"), 24, UidNotation.W26), 0)


def recognise_card(number: int, roster: Roster) -> RecognisedPerson:
    identity = identify(card(number), roster)
    assert isinstance(identity, RecognisedPerson)
    return identity


def test_a_card() -> None:
    roster = school()
    identity = identify(card(1), roster)
    assert identity == RecognisedPerson(roster.people["u1"], "c1", Method.CARD)


def test_a_lost_card_is_not_accepted() -> None:
    roster = school(Credential(id="lost", person="u1", value=card_value(50), technology="em4100", blocked="lost"))
    assert identify(card(50), roster) == BlockedCredential(roster.people["u1"], "lost", Method.CARD, "lost")
    assert isinstance(identify(card(1), roster), RecognisedPerson)


def test_a_partial_number_that_fits_one_person_is_marked() -> None:
    identity = identify(w26(1), school())
    assert isinstance(identity, RecognisedPerson)
    assert (identity.person.id, identity.notes) == ("u1", (RecognitionNote.PARTIAL,))


def test_a_partial_number_that_fits_two_people_is_nobody() -> None:
    twin = Credential(id="twin", person="u2", value=f"02{1:08X}", technology="em4100")
    identity = identify(w26(1), school(twin))
    assert isinstance(identity, AmbiguousPerson)
    assert set(identity.candidates) == {"u1", "u2"}
    assert isinstance(identify(card(1), school(twin)), RecognisedPerson)


def test_a_partial_number_may_be_the_lost_card_or_its_replacement() -> None:
    lost = Credential(id="lost", person="u1", value=f"02{1:08X}", technology="em4100", blocked="lost")
    assert isinstance(identify(w26(1), school(lost)), BlockedCredential)
    assert isinstance(identify(card(1), school(lost)), RecognisedPerson)


def test_codes_and_terminal_numbers() -> None:
    roster = school(
        Credential(id="q1", person="u1", kind=CredentialKind.CODE, value="MEAL-1"),
        Credential(id="q2", person="u2", kind=CredentialKind.CODE, value="1234"),
        Credential(id="q3", person="u3", kind=CredentialKind.CODE, value="1234"),
    )
    assert identify(CodeRead("qr", "MEAL-1\r\n"), roster) == RecognisedPerson(roster.people["u1"], "q1", Method.CODE)
    assert isinstance(identify(CodeRead("qr", "1234"), roster), AmbiguousPerson)
    assert isinstance(identify(CodeRead("qr", ""), roster), UnknownPerson)
    assert identify(palm_terminal(2), roster) == RecognisedPerson(roster.people["u2"], "t2", Method.TERMINAL, 9_900)


@pytest.mark.parametrize(("method", "yes"), [("palm", True), ("face", False), ("finger", False), ("card", True)])
def test_an_outside_terminal_recognises_by_body_only_with_consent_for_it(method: str, yes: bool) -> None:
    roster = school()
    identity = identify(PersonMatched("t", "1", 0, method=method, score=9_000), roster)
    assert isinstance(identity, RecognisedPerson) is yes
    if not yes:
        assert isinstance(identity, UnknownPerson)
        assert identity.no_consent


def test_an_unknown_number_leaves_only_a_short_digest_that_differs_between_schools() -> None:
    identity = identify(card(424_242), school())
    assert isinstance(identity, UnknownPerson)
    assert identity.credential.startswith("#")
    assert len(identity.credential) == 7
    assert identity == identify(card(424_242), school())
    assert identity.credential != digest_number("sch-7", f"em4100:full:{em4100(424_242).hex}")
    assert identity.credential == digest_number(SCHOOL, f"em4100:full:{em4100(424_242).hex}")


def test_by_hand() -> None:
    roster = school()
    assert identify_by_hand("u1", roster) == RecognisedPerson(roster.people["u1"], "", Method.MANUAL)
    assert identify_by_hand("u404", roster) == UnknownPerson(Method.MANUAL)


# Palms


def scores(*pairs: tuple[str, int]) -> list[PalmScore]:
    return [PalmScore(PersonId(person), f"p-{person}", score) for person, score in pairs]


def identify_scores(*pairs: tuple[str, int], roster: Roster | None = None, margin: int = 200) -> object:
    return identify_palm(scores(*pairs), roster or school(), accept_score=8_000, margin_score=margin)


def test_the_best_palm_wins_by_threshold_and_margin() -> None:
    roster = school()
    assert identify_scores(("u1", 9_000), ("u2", 8_800)) == RecognisedPerson(
        roster.people["u1"], "p-u1", Method.PALM, 9_000
    )
    assert identify_scores(("u1", 9_000), ("u2", 8_801)) == AmbiguousPerson(
        (PersonId("u1"), PersonId("u2")), Method.PALM
    )
    assert identify_scores(("u1", 8_000)) == RecognisedPerson(roster.people["u1"], "p-u1", Method.PALM, 8_000)
    assert identify_scores(("u1", 7_999)) == UnknownPerson(Method.PALM)
    assert identify_scores() == UnknownPerson(Method.PALM)


def test_a_rival_below_the_threshold_is_still_a_rival() -> None:
    assert isinstance(identify_scores(("u1", 8_050), ("u2", 7_950)), AmbiguousPerson)


def test_equal_scores_are_a_tie_without_any_margin() -> None:
    assert isinstance(identify_scores(("u1", 9_000), ("u2", 9_000), margin=0), AmbiguousPerson)


def test_both_palms_of_a_person_are_no_rivals() -> None:
    assert isinstance(identify_scores(("u1", 9_000), ("u1", 8_990)), RecognisedPerson)


def test_a_person_without_consent_or_roster_is_no_candidate_and_no_rival() -> None:
    roster = school(Consent(id="k2", person="u2", given_at="2026-09-01", withdrawn_at="2026-09-02"))
    assert isinstance(identify_scores(("u2", 9_900), roster=roster), UnknownPerson)
    assert isinstance(identify_scores(("u2", 9_900), ("u1", 9_000), roster=roster), RecognisedPerson)
    assert isinstance(identify_scores(("u404", 9_900), ("u1", 9_000)), RecognisedPerson)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["u1", "u2", "u3"]), st.integers(7_900, 8_300)), max_size=4))
def test_the_order_of_scores_does_not_matter(pairs: list[tuple[str, int]]) -> None:
    roster = school()
    results = {repr(identify_scores(*order, roster=roster)) for order in permutations(pairs)}
    assert len(results) == 1
