"""Phantoms pass every checksum; a new card must still get through."""

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.readings import CardRead, Technology, Uid
from edge_agent.domain.confirmation import RECENT_CARDS_MAX, Confirmation, ConfirmationLimits, ConfirmationVerdict
from tests.edge_agent.domain.world import em4100
from tests.vectors import load_reader

LIMITS = ConfirmationLimits(window_ns=500_000_000, unknown_per_minute=20)


def read(number: int, at_ms: int, *, again: bool = False) -> CardRead:
    return CardRead("r1", em4100(number), at_ms * 1_000_000, again)


def verdicts(*reads: CardRead, known: bool = False, limits: ConfirmationLimits = LIMITS) -> list[ConfirmationVerdict]:
    state, found = Confirmation(), []
    for each in reads:
        state, verdict = state.judge_frame(each, known=known, limits=limits)
        found.append(verdict)
    return found


def test_a_known_card_counts_at_once_and_its_second_report_is_dropped() -> None:
    assert verdicts(read(1, 0), read(1, 100, again=True), known=True) == [
        ConfirmationVerdict.COUNT,
        ConfirmationVerdict.DROP,
    ]
    # Two taps are two readings: whether they are too close is the rules' question.
    assert verdicts(read(1, 0), read(1, 100), known=True) == [ConfirmationVerdict.COUNT, ConfirmationVerdict.COUNT]


def test_an_unknown_card_counts_at_the_second_equal_frame() -> None:
    assert verdicts(read(1, 0), read(1, 500, again=True)) == [ConfirmationVerdict.WAIT, ConfirmationVerdict.COUNT]
    assert verdicts(read(1, 0), read(1, 300)) == [ConfirmationVerdict.WAIT, ConfirmationVerdict.COUNT]


def test_an_equal_frame_after_the_window_begins_anew() -> None:
    assert verdicts(read(1, 0), read(1, 501), read(1, 900)) == [
        ConfirmationVerdict.WAIT,
        ConfirmationVerdict.WAIT,
        ConfirmationVerdict.COUNT,
    ]


def test_a_held_unknown_card_counts_once() -> None:
    frames = [read(1, 65 * number) for number in range(40)]
    assert verdicts(*frames).count(ConfirmationVerdict.COUNT) == 1


def test_other_frames_between_do_not_confirm() -> None:
    assert verdicts(read(1, 0), read(2, 100), read(3, 200)) == [ConfirmationVerdict.WAIT] * 3
    assert verdicts(read(1, 0), read(2, 100), read(1, 200))[-1] is ConfirmationVerdict.COUNT


def test_without_a_window_one_frame_is_enough() -> None:
    assert verdicts(read(1, 0), limits=ConfirmationLimits(0, 20)) == [ConfirmationVerdict.COUNT]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 400), st.booleans()), max_size=400))
def test_unknown_cards_never_exceed_their_rate_and_the_state_stays_small(frames: list[tuple[int, int, bool]]) -> None:
    limits = ConfirmationLimits(window_ns=500_000_000, unknown_per_minute=5)
    state, now_ms, counted = Confirmation(), 0, []
    for number, gap_ms, again in frames:
        now_ms += gap_ms
        state, verdict = state.judge_frame(read(number, now_ms, again=again), known=False, limits=limits)
        if verdict is ConfirmationVerdict.COUNT:
            counted.append(now_ms)
        assert len(state.recent_cards) <= RECENT_CARDS_MAX
    for first in counted:
        in_a_minute = [at for at in counted if first <= at < first + 60_000]
        assert len(in_a_minute) <= 2 * limits.unknown_per_minute  # a full bucket and what flows back in


def test_a_full_bucket_keeps_nobody_of_the_roster_out() -> None:
    state = Confirmation()
    limits = ConfirmationLimits(window_ns=500_000_000, unknown_per_minute=1)
    for number in range(1, 9):
        for at in (0, 100):
            state, _ = state.judge_frame(read(number, at), known=False, limits=limits)
    state, verdict = state.judge_frame(read(9, 200), known=False, limits=limits)
    assert verdict is ConfirmationVerdict.DROP
    state, verdict = state.judge_frame(read(10, 200), known=True, limits=limits)
    assert verdict is ConfirmationVerdict.COUNT
    state, _ = state.judge_frame(read(9, 61_000), known=False, limits=limits)
    state, verdict = state.judge_frame(read(9, 61_100), known=False, limits=limits)
    assert verdict is ConfirmationVerdict.COUNT


def test_published_phantoms_each_seen_once_never_count() -> None:
    phantoms = load_reader("em4100_serial")["phantoms"]
    uids = [
        Uid(Technology.EM4100, bytes.fromhex(bytes.fromhex(each["frame_hex"])[1:11].decode()), 40) for each in phantoms
    ]
    frames = [CardRead("r1", uid, 40_000_000 * place) for place, uid in enumerate(uids)]
    assert len(set(uids)) == len(frames) > 0
    assert set(verdicts(*frames)) == {ConfirmationVerdict.WAIT}
