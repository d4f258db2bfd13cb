"""Confirmation: phantom cards pass every checksum, and a new card must still get through."""

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.readings import CardRead, Technology, Uid
from edge_agent.domain.confirmation import RECENT_CARDS_MAX, Confirmation, ConfirmationLimits, ConfirmationVerdict
from tests.edge_agent.domain.world import em4100
from tests.vectors import load_reader

LIMITS = ConfirmationLimits(window_ns=500_000_000, unknown_per_minute=20)


def frame(number: int, time_ms: int, *, again: bool = False) -> CardRead:
    return CardRead("r1", em4100(number), time_ms * 1_000_000, again)


def verdicts(
    *frames: CardRead, on_roster: bool = False, limits: ConfirmationLimits = LIMITS
) -> list[ConfirmationVerdict]:
    state, results = Confirmation(), []
    for frame in frames:
        state, verdict = state.judge_frame(frame, on_roster=on_roster, limits=limits)
        results.append(verdict)
    return results


def test_a_card_on_the_roster_counts_immediately_and_its_second_report_is_dropped() -> None:
    assert verdicts(frame(1, 0), frame(1, 100, again=True), on_roster=True) == [
        ConfirmationVerdict.COUNT,
        ConfirmationVerdict.DROP,
    ]
    # Two taps are two readings: whether they are too close is the rules' question.
    assert verdicts(frame(1, 0), frame(1, 100), on_roster=True) == [
        ConfirmationVerdict.COUNT,
        ConfirmationVerdict.COUNT,
    ]


def test_an_unknown_card_counts_at_the_second_equal_frame() -> None:
    assert verdicts(frame(1, 0), frame(1, 500, again=True)) == [ConfirmationVerdict.WAIT, ConfirmationVerdict.COUNT]
    assert verdicts(frame(1, 0), frame(1, 300)) == [ConfirmationVerdict.WAIT, ConfirmationVerdict.COUNT]


def test_an_equal_frame_after_the_window_begins_anew() -> None:
    assert verdicts(frame(1, 0), frame(1, 501), frame(1, 900)) == [
        ConfirmationVerdict.WAIT,
        ConfirmationVerdict.WAIT,
        ConfirmationVerdict.COUNT,
    ]


def test_a_held_unknown_card_counts_once() -> None:
    frames = [frame(1, 65 * number) for number in range(40)]
    assert verdicts(*frames).count(ConfirmationVerdict.COUNT) == 1


def test_different_frames_between_do_not_confirm() -> None:
    assert verdicts(frame(1, 0), frame(2, 100), frame(3, 200)) == [ConfirmationVerdict.WAIT] * 3
    assert verdicts(frame(1, 0), frame(2, 100), frame(1, 200))[-1] is ConfirmationVerdict.COUNT


def test_without_a_window_a_single_frame_is_enough() -> None:
    assert verdicts(frame(1, 0), limits=ConfirmationLimits(0, 20)) == [ConfirmationVerdict.COUNT]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 400), st.booleans()), max_size=400))
def test_unknown_cards_never_exceed_their_rate_and_the_state_stays_small(frames: list[tuple[int, int, bool]]) -> None:
    limits = ConfirmationLimits(window_ns=500_000_000, unknown_per_minute=5)
    state, now_ms, counts_ms = Confirmation(), 0, []
    for number, gap_ms, again in frames:
        now_ms += gap_ms
        state, verdict = state.judge_frame(frame(number, now_ms, again=again), on_roster=False, limits=limits)
        if verdict is ConfirmationVerdict.COUNT:
            counts_ms.append(now_ms)
        assert len(state.recent_cards) <= RECENT_CARDS_MAX
    for first in counts_ms:
        in_a_minute = [counted_ms for counted_ms in counts_ms if first <= counted_ms < first + 60_000]
        assert len(in_a_minute) <= 2 * limits.unknown_per_minute  # a full bucket and what flows back in


def test_a_full_bucket_never_stops_cards_on_the_roster() -> None:
    state = Confirmation()
    limits = ConfirmationLimits(window_ns=500_000_000, unknown_per_minute=1)
    for number in range(1, 9):
        for time_ms in (0, 100):
            state, _ = state.judge_frame(frame(number, time_ms), on_roster=False, limits=limits)
    state, verdict = state.judge_frame(frame(9, 200), on_roster=False, limits=limits)
    assert verdict is ConfirmationVerdict.DROP
    state, verdict = state.judge_frame(frame(10, 200), on_roster=True, limits=limits)
    assert verdict is ConfirmationVerdict.COUNT
    state, _ = state.judge_frame(frame(9, 61_000), on_roster=False, limits=limits)
    state, verdict = state.judge_frame(frame(9, 61_100), on_roster=False, limits=limits)
    assert verdict is ConfirmationVerdict.COUNT


def test_published_phantoms_never_count() -> None:
    phantoms = load_reader("em4100_serial")["phantoms"]
    uids = [
        Uid(Technology.EM4100, bytes.fromhex(bytes.fromhex(phantom["frame_hex"])[1:11].decode()), 40)
        for phantom in phantoms
    ]
    frames = [CardRead("r1", uid, 40_000_000 * place) for place, uid in enumerate(uids)]
    assert len(set(uids)) == len(frames) > 0
    assert set(verdicts(*frames)) == {ConfirmationVerdict.WAIT}
