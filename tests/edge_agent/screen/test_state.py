"""The state of the screen: bursts, notices that run out, and a child's side that never shows who pays."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_agent.domain.feedback import Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.health import KioskHealth
from edge_agent.screen.state import (
    ATTENTION_MAX,
    CALM_MAX,
    NAME_CHARS_MAX,
    STAFF_NOTICE_MS,
    STAFF_NOTICES_MAX,
    ChildView,
    Icon,
    Invite,
    Language,
    ScreenBoard,
    Sound,
)

texts = st.text(max_size=60)
staffs = st.builds(
    StaffFeedback,
    reason=texts,
    person=texts,
    name=texts,
    group=texts,
    hints=st.lists(texts, max_size=2).map(tuple),
    candidates=st.lists(texts, max_size=2).map(tuple),
    entry_epoch=texts,
    entry_seq=st.integers(0, 9),
)
feedbacks = st.builds(
    Feedback,
    kind=st.sampled_from(FeedbackKind),
    greeting=texts,
    language=st.sampled_from(["", "kk", "ru", "en", "de"]),
    silent=st.booleans(),
    staff=st.none() | staffs,
)
scans = st.lists(st.tuples(feedbacks, st.integers(0, 4_000)), max_size=30)


def welcome(name: str) -> Feedback:
    return Feedback(FeedbackKind.WELCOME, name, "kk")


def shown_names(view: ChildView) -> list[str]:
    return [view.big.greeting, *(notice.greeting for notice in view.trail)]


@given(scans, st.lists(st.none() | staffs, min_size=30, max_size=30))
def test_the_staffs_side_never_changes_the_childs_bytes(
    scans_: list[tuple[Feedback, int]], staff_sides: list[StaffFeedback | None]
) -> None:
    first_board, second_board, now_ms = ScreenBoard(), ScreenBoard(), 0
    for (feedback, wait_ms), staff in zip(scans_, staff_sides, strict=False):
        now_ms += wait_ms
        first_board = first_board.with_feedback(feedback, now_ms)
        second_board = second_board.with_feedback(replace(feedback, staff=staff), now_ms)
        assert msgspec.json.encode(first_board.child_view(now_ms)) == msgspec.json.encode(
            second_board.child_view(now_ms)
        )


@given(scans)
def test_the_newest_notice_is_always_big_and_the_trail_is_bounded(scans_: list[tuple[Feedback, int]]) -> None:
    board, now_ms = ScreenBoard(), 0
    for number, (feedback, wait_ms) in enumerate(scans_, 1):
        now_ms += wait_ms
        board = board.with_feedback(feedback, now_ms)
        view = board.child_view(now_ms)
        assert (view.big.number, view.big.state) == (number, feedback.kind)
        assert len(view.trail) <= CALM_MAX + ATTENTION_MAX
        assert len(board.shown) <= 1 + CALM_MAX + ATTENTION_MAX
        assert len(board.staff) <= STAFF_NOTICES_MAX


def test_in_a_burst_every_child_sees_its_name_for_a_second() -> None:
    board, visible_ms = ScreenBoard(), dict.fromkeys(range(300), 0)
    for now_ms in range(0, 60_000, 50):
        if now_ms % 200 == 0:
            board = board.with_feedback(welcome(str(now_ms // 200)), now_ms)
        for name in shown_names(board.child_view(now_ms)):
            visible_ms[int(name)] += 50
    assert min(list(visible_ms.values())[:-CALM_MAX]) >= 1_000


def test_a_child_who_needs_a_person_is_not_pushed_out_by_those_behind() -> None:
    board = ScreenBoard().with_feedback(Feedback(FeedbackKind.ASK_STAFF), 0)
    for number in range(20):
        board = board.with_feedback(welcome(str(number)), 100 * (number + 1))
    assert [notice.state for notice in board.child_view(2_100).trail].count(FeedbackKind.ASK_STAFF) == 1


def test_use_your_card_ends_with_the_next_notice() -> None:
    board = ScreenBoard().with_feedback(Feedback(FeedbackKind.USE_CARD), 0).with_feedback(welcome("Айгерім"), 100)
    assert board.child_view(100).trail == ()


def test_a_notice_runs_out_and_the_screen_invites_again() -> None:
    board = ScreenBoard(language=Language.RU, health=KioskHealth(palm=True)).with_feedback(welcome("Айгерім"), 1_000)
    due_ms = board.next_change_ms(1_000)
    assert due_ms is not None
    assert board.child_view(due_ms - 1).big.greeting == "Айгерім"
    view = board.child_view(due_ms)
    assert (view.big.state, view.big.language, view.big.greeting, view.trail) == (
        FeedbackKind.IDLE,
        Language.RU,
        "",
        (),
    )
    assert board.next_change_ms(due_ms) is None


def test_when_the_newest_runs_out_first_the_older_stays_beside_the_invitation() -> None:
    board = ScreenBoard().with_feedback(Feedback(FeedbackKind.ASK_STAFF), 0).with_feedback(welcome("Жан"), 100)
    view = board.child_view(5_000)
    assert view.big.state is FeedbackKind.IDLE
    assert [notice.state for notice in view.trail] == [FeedbackKind.ASK_STAFF]


def test_the_notice_has_the_childs_own_language_and_silence() -> None:
    view = ScreenBoard().with_feedback(Feedback(FeedbackKind.WELCOME, "Анна", "ru", silent=True), 0).child_view(0)
    assert (view.big.language, view.big.sound, view.big.icon) == (Language.RU, Sound.NONE, Icon.CHECK)
    assert (
        ScreenBoard().with_feedback(Feedback(FeedbackKind.WELCOME, "Анна", "xx"), 0).child_view(0).big.language
        is Language.KK
    )


def test_every_state_has_its_own_icon() -> None:
    icons = [ScreenBoard().with_feedback(Feedback(child), 0).child_view(0).big.icon for child in FeedbackKind]
    assert len(set(icons)) == len(FeedbackKind)


@given(st.text(max_size=500))
def test_a_name_is_a_single_short_line(name: str) -> None:
    greeting = ScreenBoard().with_feedback(welcome(name), 0).child_view(0).big.greeting
    assert len(greeting) <= NAME_CHARS_MAX
    assert greeting.isprintable()


def test_the_idle_screen_asks_only_for_what_a_reader_can_take() -> None:
    def invite(*, palm: bool, card: bool) -> Invite:
        return ScreenBoard().with_health(KioskHealth(palm=palm, card=card)).child_view(0).invite

    assert invite(palm=True, card=True) is Invite.PALM_OR_CARD
    assert invite(palm=True, card=False) is Invite.PALM
    assert invite(palm=False, card=True) is Invite.CARD
    assert invite(palm=False, card=False) is Invite.STAFF


def test_the_staff_see_the_person_for_half_an_hour_and_the_unrecorded_are_counted() -> None:
    staff = StaffFeedback(reason="guest", person="p1", name="Анна Ли", entry_epoch="e", entry_seq=7)
    board = ScreenBoard().with_feedback(Feedback(FeedbackKind.NOT_RECORDED, staff=staff), 0)
    view = board.staff_view(61_000)
    assert (view.notices[0].staff, view.notices[0].age_s, view.unrecorded) == (staff, 61, 1)
    assert board.next_change_ms(STAFF_NOTICE_MS - 1) == STAFF_NOTICE_MS
    assert board.staff_view(STAFF_NOTICE_MS).notices == ()
    assert board.with_feedback(welcome("Жан"), STAFF_NOTICE_MS).staff == ()


def test_in_the_hall_the_view_does_not_tell_for_whom_nobody_pays() -> None:
    board = ScreenBoard()
    for reason, notes in (("no_entitlement", ()), ("clock_uncertain", ("no_entitlement", "stale_roster"))):
        board = board.with_feedback(Feedback(FeedbackKind.WELCOME, staff=StaffFeedback(reason, notes, "p1")), 0)
    shown = [notice.staff for notice in board.staff_view(0).for_hall().notices]
    assert shown == [StaffFeedback("clock_uncertain", ("stale_roster",), "p1"), StaffFeedback("", (), "p1")]


def test_without_names_the_view_holds_only_the_reason() -> None:
    staff = StaffFeedback("ambiguous", ("guest",), "p1", "Анна Ли", "3 «Б»", ("helper",), ("Анна Ким",), "e", 7)
    view = ScreenBoard().with_feedback(Feedback(FeedbackKind.ASK_STAFF, staff=staff), 0).staff_view(0).without_names()
    assert view.notices[0].staff == StaffFeedback(reason="ambiguous")
    assert not view.named
