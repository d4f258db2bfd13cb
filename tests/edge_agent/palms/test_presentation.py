"""One hand, one decision: whatever a hand does before the camera, it is asked about once."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Advice
from edge_agent.palm.hand.refusal import UnfitReason
from edge_agent.palm.matching.gallery import Candidate, Ranking
from edge_agent.palms.presentation import LEAVE_NS, SAID, Advise, Conclude, Presentation

MS = 1_000_000
ALIKE: Ranking = (Candidate("u-1", 0.6),)


def presentation(frames: int = 2) -> Presentation:
    return Presentation(frames=frames, frames_max=3, look_ns=1_500 * MS)


def test_two_good_pictures_decide_and_the_hand_that_stays_is_not_asked_again() -> None:
    hand = presentation()
    assert hand.good(ALIKE, 0, sure=True) is None
    assert hand.good(ALIKE, 100 * MS, sure=True) == Conclude((ALIKE, ALIKE))
    assert hand.settled
    for at in range(200, 60_000, 100):
        assert not hand.held(at * MS, same=True)
        assert hand.bad(UnfitReason.BLURRED, at * MS) is None


def test_somebody_who_is_not_known_surely_gets_a_third_picture() -> None:
    hand = presentation()
    assert hand.good(ALIKE, 0, sure=False) is None
    assert hand.good(ALIKE, 100 * MS, sure=False) is None
    assert hand.good(ALIKE, 200 * MS, sure=False) == Conclude((ALIKE,) * 3)


def test_a_hand_that_leaves_early_is_judged_by_what_was_seen() -> None:
    hand = presentation()
    hand.good(ALIKE, 0, sure=True)
    assert hand.bad(UnfitReason.NO_HAND, 300 * MS) is None  # one picture without it may be a bad one
    assert hand.bad(UnfitReason.NO_HAND, 700 * MS) == Conclude((ALIKE,))
    assert not hand.there


def test_no_pictures_at_all_are_a_hand_that_has_gone() -> None:
    hand = presentation(frames=1)
    assert hand.good(ALIKE, 0, sure=True) == Conclude((ALIKE,))
    assert hand.quiet(LEAVE_NS) is None
    assert hand.good(ALIKE, LEAVE_NS + MS, sure=True) == Conclude((ALIKE,))


def test_time_runs_out_over_bad_pictures_too() -> None:
    hand = presentation()
    hand.good(ALIKE, 0, sure=True)
    assert hand.bad(UnfitReason.BLURRED, 1_000 * MS) is None
    assert hand.bad(UnfitReason.BLURRED, 1_500 * MS) == Conclude((ALIKE,))


def test_pictures_from_before_two_hands_were_seen_decide_nothing() -> None:
    hand = presentation()
    hand.good(ALIKE, 0, sure=True)
    assert hand.bad(UnfitReason.TWO_HANDS, 100 * MS) is None
    assert hand.rankings == ()
    assert hand.bad(UnfitReason.NO_HAND, 800 * MS) is None, "whose hand it was nobody knows"


def test_a_hand_that_is_left_of_two_is_compared_once_it_has_been_alone() -> None:
    hand = presentation()
    assert not hand.is_crowded(0)
    hand.bad(UnfitReason.TWO_HANDS, 100 * MS)
    assert hand.is_crowded(400 * MS)
    assert not hand.is_crowded(500 * MS)


def test_another_hand_in_the_place_of_the_first_begins_anew() -> None:
    hand = presentation(frames=1)
    hand.good(ALIKE, 0, sure=True)
    assert not hand.held(100 * MS, same=False)
    assert not hand.held(200 * MS, same=True)  # that was a bad picture of the same one
    assert not hand.held(300 * MS, same=False)
    assert hand.held(400 * MS, same=False)
    assert hand.good(ALIKE, 400 * MS, sure=True) == Conclude((ALIKE,))


def test_advice_comes_slowly_three_times_and_then_the_card() -> None:
    hand = presentation()
    said = [(at, told) for at in range(0, 20_000, 100) if (told := hand.bad(UnfitReason.TOO_FAR, at * MS))]
    assert [told for _, told in said] == [Advise(DecisionReason.PALM_TOO_FAR, Advice.CLOSER)] * 3 + [
        Advise(DecisionReason.PALM_TOO_FAR, Advice.NONE)
    ]
    assert [at for at, _ in said] == [1_000, 3_500, 6_000, 8_500]
    assert hand.quiet(21_000 * MS) is None
    assert not hand.settled, "the next hand is a new one"


def test_advice_names_what_was_wrong_most_often() -> None:
    hand = presentation()
    for at in (0, 300, 600):
        assert hand.bad(UnfitReason.BLURRED, at * MS) is None
    assert hand.bad(UnfitReason.FIST, 1_000 * MS) == Advise(DecisionReason.PALM_BLURRED, Advice.STILL)


def test_every_refusal_of_a_hand_has_its_words() -> None:
    assert set(SAID) == set(UnfitReason) - {UnfitReason.NO_HAND, UnfitReason.UNREADABLE, UnfitReason.TOO_LARGE}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 800),
            st.one_of(st.sampled_from(UnfitReason), st.sampled_from(["good", "sure", "same", "other", "quiet"])),
        ),
        max_size=60,
    )
)
def test_never_two_decisions_for_a_hand_that_has_not_left(steps: list[tuple[int, str]]) -> None:
    hand = presentation()
    at, decided, left = 0, False, True
    for wait_ms, what in steps:
        at += wait_ms * MS
        was_there = hand.there
        match what:
            case UnfitReason():
                verdict: object = hand.bad(what, at)
            case "quiet":
                verdict = hand.quiet(at)
            case _ if hand.settled:
                verdict = None
                if hand.held(at, same=what == "same"):
                    decided = False
            case _:
                verdict = hand.good(ALIKE, at, sure=what == "sure")
        left = was_there and not hand.there
        if isinstance(verdict, Conclude):
            assert not decided
            assert 1 <= len(verdict.rankings) <= 3
            decided = True
        if left or not hand.there:
            decided = False
