"""Decisions, rule by rule."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from edge_agent.domain.decision import Decision, DecisionReason, Granted, Refused, Review, decide
from edge_agent.domain.feedback import FeedbackKind
from edge_agent.domain.identify import RecognisedPerson, RecognitionNote, identify
from edge_agent.domain.moment import Moment, elapsed_ms
from edge_agent.domain.record import StaffAct
from edge_agent.domain.roster import build_empty_roster
from sync.contract.event import Claim, ClockQuality, Entry, Exit, Manual, Refusal, Repeat
from sync.contract.movements import Direction, Movement
from sync.contract.roster import ClosedDay, Credential, Entitlement, MealSession
from tests.edge_agent.domain.world import (
    ALMATY,
    DAY,
    RULES,
    SCHOOL,
    RulesKiosk,
    card,
    card_value,
    local,
    moment,
    pupil,
    school,
)

HAND = StaffAct("op-1", "forgot_card")


def scan_times(kiosk: RulesKiosk, *clocks: str) -> list[tuple[Movement, DecisionReason]]:
    results = []
    for clock in clocks:
        decision = kiosk.scan(card(1), moment(clock))
        assert isinstance(decision, Granted)
        results.append((decision.movement, decision.reason))
    return results


ENTRY = (Movement.ENTRY, DecisionReason.ORDINARY)
EXIT = (Movement.EXIT, DecisionReason.ORDINARY)


def repeat(reason: DecisionReason) -> tuple[Movement, DecisionReason]:
    return (Movement.REPEAT, reason)


# Entry and exit


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("09:40:00", repeat(DecisionReason.DEBOUNCE)),
        ("09:40:04", repeat(DecisionReason.DEBOUNCE)),
        ("09:40:05", repeat(DecisionReason.MIN_STAY)),
        ("09:40:59", repeat(DecisionReason.MIN_STAY)),
        ("09:41:00", EXIT),
    ],
)
def test_debounce_and_minimum_stay_to_the_second(second: str, expected: tuple[Movement, DecisionReason]) -> None:
    assert scan_times(RulesKiosk(school()), "09:40:00", second) == [ENTRY, expected]


def test_a_card_held_for_a_minute_never_turns_into_an_exit() -> None:
    clocks = [f"09:{40 + second // 60}:{second % 60:02d}" for second in range(0, 120, 4)]
    assert scan_times(RulesKiosk(school()), *clocks) == [ENTRY] + [repeat(DecisionReason.DEBOUNCE)] * (len(clocks) - 1)


def test_a_second_tap_after_the_exit_is_no_second_meal() -> None:
    results = scan_times(RulesKiosk(school()), "09:40:00", "09:50:00", "09:50:20", "09:51:30")
    assert results == [ENTRY, EXIT, repeat(DecisionReason.ALREADY_OUT), (Movement.ENTRY, DecisionReason.SECOND_MEAL)]


def test_an_exit_names_its_entry() -> None:
    kiosk = RulesKiosk(school())
    scan_times(kiosk, "09:40:00", "09:50:00")
    assert isinstance(kiosk.last, Exit)
    assert (kiosk.last.entry_epoch, kiosk.last.entry_seq) == (kiosk.epoch, 1)
    assert (kiosk.last.session, kiosk.last.service_date) == ("lunch", DAY)


def test_a_reader_at_the_entrance_never_writes_an_exit() -> None:
    kiosk = RulesKiosk(school(), direction=Direction.IN)
    assert scan_times(kiosk, "09:40:00", "09:50:00", "09:50:03") == [
        ENTRY,
        repeat(DecisionReason.ALREADY_IN),
        repeat(DecisionReason.DEBOUNCE),
    ]


def test_a_reader_at_the_exit_never_writes_an_entry() -> None:
    kiosk = RulesKiosk(school(), direction=Direction.OUT)
    assert scan_times(kiosk, "09:40:00", "09:50:00") == [
        (Movement.EXIT, DecisionReason.EXIT_WITHOUT_ENTRY),
        repeat(DecisionReason.ALREADY_OUT),
    ]
    assert isinstance(kiosk.events[0], Exit)
    assert kiosk.events[0].entry_seq == 0


def test_an_exit_reader_records_a_short_stay() -> None:
    kiosk = RulesKiosk(school(), direction=Direction.IN)
    kiosk.scan(card(1), moment("09:40:00"))
    kiosk.direction = Direction.OUT
    assert scan_times(kiosk, "09:40:20") == [EXIT]


def test_an_exit_after_the_session_has_its_true_time_and_a_forgotten_exit_has_none() -> None:
    kiosk = RulesKiosk(school())
    assert scan_times(kiosk, "09:40:00", "10:12:00") == [ENTRY, EXIT]
    late = RulesKiosk(school())
    scan_times(late, "09:40:00")
    assert isinstance(late.scan(card(1), moment("10:40:00")), Refused)  # over half an hour: no exit is invented
    assert isinstance(late.last, Refusal)


def test_an_exit_without_entry_after_the_session_names_the_session() -> None:
    kiosk = RulesKiosk(school(), direction=Direction.OUT)
    scan_times(kiosk, "10:12:00")
    assert isinstance(kiosk.last, Exit)
    assert kiosk.last.session == "lunch"


def test_a_new_session_is_a_new_visit() -> None:
    second = MealSession(id="second-shift", name="Second shift", start="10:10", end="10:50")
    kiosk = RulesKiosk(school(second))
    assert scan_times(kiosk, "09:40:00", "10:15:00") == [ENTRY, ENTRY]
    assert [event.session for event in kiosk.events if isinstance(event, Entry)] == ["lunch", "second-shift"]
    assert not any(isinstance(event, Exit) for event in kiosk.events)


def test_at_the_exit_a_late_leaver_ends_the_old_visit_although_the_next_session_runs() -> None:
    second = MealSession(id="second-shift", name="Second shift", start="10:10", end="10:50")
    kiosk = RulesKiosk(school(second))
    scan_times(kiosk, "09:40:00")
    kiosk.direction = Direction.OUT
    assert scan_times(kiosk, "10:15:00") == [EXIT]


def test_a_visit_over_midnight_stays_a_single_visit() -> None:
    kiosk = RulesKiosk(school())
    assert isinstance(kiosk.scan(card(1), moment("23:50:00")), Granted)
    exit_ = kiosk.scan(card(1), moment("00:10:00", "2026-11-24"))
    assert isinstance(exit_, Granted)
    assert exit_.movement is Movement.EXIT


def test_overlapping_sessions_go_by_what_is_due_and_the_exit_by_the_open_visit() -> None:
    early = MealSession(id="breakfast", name="Breakfast", start="09:00", end="09:50")
    roster = school(
        early,
        *pupil(8, programme=""),
        Entitlement(id="b8", person="u8", programme="state", sessions=("breakfast",)),
        Entitlement(id="l8", person="u8", programme="paid", sessions=("lunch",)),
        *pupil(9, programme=""),
        Entitlement(id="b9", person="u9", programme="state", sessions=("breakfast",)),
    )
    kiosk = RulesKiosk(roster)
    both = [kiosk.scan(card(8), moment("09:35:00")), kiosk.scan(card(9), moment("09:35:00"))]
    assert [decision.slot.session for decision in both if isinstance(decision, Granted) and decision.slot] == [
        "lunch",
        "breakfast",
    ]
    exit_ = kiosk.scan(card(9), moment("09:45:00"))
    assert isinstance(exit_, Granted)
    assert exit_.movement is Movement.EXIT
    assert exit_.slot is not None
    assert exit_.slot.session == "breakfast"
    # u8 has a second entitlement, so the second meal is claimable.
    kiosk.scan(card(8), moment("09:40:00"))
    second_meal = kiosk.scan(card(8), moment("09:45:00"))
    assert isinstance(second_meal, Granted)
    assert (second_meal.slot and second_meal.slot.session, second_meal.claim) == ("breakfast", Claim.CLAIMABLE)


# Claims


def claims(kiosk: RulesKiosk) -> list[Claim]:
    return [event.claim for event in kiosk.events if isinstance(event, Entry | Manual)]


def test_nobody_has_entitled_this_child_and_it_eats_all_the_same() -> None:
    kiosk = RulesKiosk(school(*pupil(9, programme="")))
    decision = kiosk.scan(card(9), moment("09:40:00"))
    assert isinstance(decision, Granted)
    assert (decision.claim, decision.programme, decision.reason) == (Claim.NONE, "", DecisionReason.NO_ENTITLEMENT)
    assert kiosk.feedback[0].kind is FeedbackKind.WELCOME


def test_the_second_meal_is_recorded_and_not_claimed() -> None:
    kiosk = RulesKiosk(school())
    scan_times(kiosk, "09:40:00", "09:50:00", "09:55:00")
    assert claims(kiosk) == [Claim.CLAIMABLE, Claim.SECOND]


def test_another_meal_of_the_day_is_no_second_meal() -> None:
    kiosk = RulesKiosk(school())
    scan_times(kiosk, "09:40:00", "19:30:00")
    assert claims(kiosk) == [Claim.CLAIMABLE, Claim.CLAIMABLE]


def test_the_second_meal_of_a_guest() -> None:
    kiosk = RulesKiosk(school(*pupil(1, programme="", home_school="sch-7")))
    scan_times(kiosk, "09:40:00", "09:50:00", "09:55:00")
    assert claims(kiosk) == [Claim.PENDING, Claim.SECOND]


def test_the_own_school_named_as_home_school_is_no_guest() -> None:
    kiosk = RulesKiosk(school(*pupil(1, home_school=SCHOOL)))
    assert scan_times(kiosk, "09:40:00") == [ENTRY]


# Doubts, and whose fault they are


def test_a_stale_roster_grants_and_marks() -> None:
    kiosk = RulesKiosk(school(confirmed_at=local("09:40:00") - timedelta(days=3, seconds=1)))
    decision = kiosk.scan(card(1), moment("09:40:00"))
    assert isinstance(decision, Granted)
    assert (decision.review, decision.reason, decision.claim) == (True, DecisionReason.STALE_ROSTER, Claim.CLAIMABLE)
    assert kiosk.feedback[0].kind is FeedbackKind.WELCOME
    fresh = RulesKiosk(school(confirmed_at=local("09:40:00") - timedelta(days=3)))
    assert scan_times(fresh, "09:40:00") == [ENTRY]


def test_a_kiosk_without_a_roster_refuses_nobody() -> None:
    kiosk = RulesKiosk(build_empty_roster(SCHOOL, ALMATY))
    decision = kiosk.scan(card(1), moment("09:40:00"))
    assert isinstance(decision, Review)
    assert isinstance(kiosk.last, Refusal)
    assert kiosk.last.review


def test_a_roster_without_a_readable_session_feeds_the_child() -> None:
    kiosk = RulesKiosk(school(*pupil(1), MealSession(id="lunch", name="Lunch", start="", end=""), bare=True))
    decision = kiosk.scan(card(1), moment("09:40:00"))
    assert isinstance(decision, Review)
    assert (decision.is_entry, decision.claim, decision.reason) == (True, Claim.HELD, DecisionReason.NO_TIMETABLE)


def test_outside_hours_and_on_closed_days() -> None:
    kiosk = RulesKiosk(school(ClosedDay(id=DAY)))
    refused = [kiosk.scan(card(1), moment("09:40:00")), kiosk.scan(card(1), moment("15:00:00", "2026-11-24"))]
    assert [decision.reason for decision in refused if isinstance(decision, Refused)] == [
        DecisionReason.CLOSED_DAY,
        DecisionReason.NO_SESSION,
    ]
    stale = RulesKiosk(school(ClosedDay(id=DAY), confirmed_at=None))
    review = stale.scan(card(1), moment("09:40:00"))
    assert isinstance(review, Review)
    assert not review.is_entry


@pytest.mark.parametrize("quality", [ClockQuality.UNSYNCHRONISED, ClockQuality.UNKNOWN])
def test_an_uncertain_clock_holds_the_claim(quality: ClockQuality) -> None:
    kiosk = RulesKiosk(school())
    decision = kiosk.scan(card(1), moment("09:40:00", quality=quality))
    assert isinstance(decision, Granted)
    assert (decision.claim, decision.review, decision.reason) == (Claim.HELD, True, DecisionReason.CLOCK_UNCERTAIN)


@pytest.mark.parametrize("quality", [ClockQuality.UNSYNCHRONISED, ClockQuality.UNKNOWN])
def test_an_uncertain_clock_outside_hours_feeds_the_child_in_amber(quality: ClockQuality) -> None:
    kiosk = RulesKiosk(school(*pupil(9, programme="")))
    decision = kiosk.scan(card(1), moment("03:00:00", quality=quality))
    assert isinstance(decision, Review)
    assert (decision.is_entry, decision.claim, decision.slot) == (True, Claim.HELD, None)
    assert kiosk.feedback[0].kind is FeedbackKind.ASK_STAFF
    assert isinstance(kiosk.last, Entry)
    assert (kiosk.last.session, kiosk.last.programme, kiosk.last.review) == ("", "state", True)
    unentitled = kiosk.scan(card(9), moment("03:00:00", quality=quality))
    assert isinstance(unentitled, Review)
    assert unentitled.claim is Claim.NONE


def test_a_visit_under_an_uncertain_clock_can_end_and_does_not_last_until_supper() -> None:
    kiosk = RulesKiosk(school())
    for clock in ("03:00:00", "03:20:00"):
        kiosk.scan(card(1), moment(clock, quality=ClockQuality.UNKNOWN))
    assert isinstance(kiosk.last, Exit)
    kiosk.scan(card(2), moment("03:00:00", quality=ClockQuality.UNKNOWN))
    kiosk.scan(card(2), moment("08:00:00", quality=ClockQuality.UNKNOWN))
    assert isinstance(kiosk.last, Entry)


def test_an_entry_under_a_wrong_clock_and_the_exit_under_the_right_clock_make_a_visit() -> None:
    kiosk = RulesKiosk(school())
    right = moment("09:40:00")
    kiosk.scan(card(1), replace(right, utc=right.utc - timedelta(days=14, hours=4), clock=ClockQuality.UNSYNCHRONISED))
    decision = kiosk.scan(card(1), moment("09:55:00"))
    assert isinstance(decision, Granted)
    assert decision.movement is Movement.EXIT


# Cards and acts by hand


def test_a_blocked_card_is_for_a_person_to_settle() -> None:
    lost = Credential(id="lost", person="u1", value=card_value(50), technology="em4100", blocked="lost")
    kiosk = RulesKiosk(school(lost))
    decision = kiosk.scan(card(50), moment("09:40:00"))
    assert isinstance(decision, Review)
    assert isinstance(kiosk.last, Refusal)
    assert (kiosk.last.person, kiosk.last.credential, kiosk.last.review) == ("u1", "lost", True)
    assert kiosk.feedback[0].kind is FeedbackKind.ASK_STAFF
    # The staff look, and enter the child by hand: nothing of the refusal stands in the way.
    by_hand = kiosk.enter_by_hand("u1", moment("09:40:02"), HAND)
    assert isinstance(by_hand, Granted)
    assert by_hand.claim is Claim.CLAIMABLE


def test_by_hand_a_child_inside_is_not_entered_twice() -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    for person in ("u1", "u2", "u3"):
        kiosk.enter_by_hand(person, moment("09:45:00"), dataclasses.replace(HAND, group="g-1"))
    assert [type(event) for event in kiosk.events] == [Entry, Repeat, Manual, Manual]
    assert {event.group for event in kiosk.events if isinstance(event, Manual)} == {"g-1"}
    assert isinstance(kiosk.events[1], Repeat)
    assert (kiosk.events[1].operator, kiosk.events[1].reason) == ("op-1", DecisionReason.ALREADY_IN)


def test_an_exit_by_card_ends_a_visit_by_hand() -> None:
    kiosk = RulesKiosk(school())
    kiosk.enter_by_hand("u1", moment("09:40:00"), HAND)
    assert scan_times(kiosk, "09:50:00") == [EXIT]


def test_somebody_who_is_not_on_the_list_cannot_be_entered() -> None:
    kiosk = RulesKiosk(school())
    decision = kiosk.enter_by_hand("u404", moment("09:40:00"), HAND)
    assert isinstance(decision, Refused)
    assert decision.reason is DecisionReason.UNKNOWN_PERSON


def test_a_voided_entry_neither_bounces_nor_claims_nor_stays_open() -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    kiosk.void(1, moment("09:40:01"), HAND)
    assert scan_times(kiosk, "09:40:02") == [ENTRY]
    assert claims(kiosk) == [Claim.CLAIMABLE, Claim.CLAIMABLE]


def test_an_unconfirmed_palm_is_granted_and_marked() -> None:
    kiosk = RulesKiosk(school())
    identity = identify(card(1), kiosk.roster)
    assert isinstance(identity, RecognisedPerson)
    decision = kiosk.decide(replace(identity, notes=(RecognitionNote.UNCONFIRMED,)), moment("09:40:00"))
    assert isinstance(decision, Granted)
    assert (decision.review, decision.reason) == (True, DecisionReason.PALM_UNCONFIRMED)


# Time


def test_elapsed_goes_by_the_monotonic_clock_within_a_boot() -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    # The wall clock jumps half an hour back; the child leaves ten minutes later all the same.
    later = moment("09:50:00")
    jumped = replace(later, utc=later.utc - timedelta(minutes=30), clock=ClockQuality.UNSYNCHRONISED)
    (earlier,) = kiosk.earlier_sightings("u1")
    assert elapsed_ms(earlier, jumped) == 600_000
    assert elapsed_ms(earlier, replace(later, mono_ms=0)) == 0  # never negative


def test_after_a_restart_two_weeks_in_the_past_nobody_is_a_repeat() -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    back = Moment(local("19:30:00", "2026-11-09"), 20_000, "boot-2", ClockQuality.UNSYNCHRONISED)
    (earlier,) = kiosk.earlier_sightings("u1")
    assert elapsed_ms(earlier, back) is None
    decision = kiosk.scan(card(1), back)
    assert isinstance(decision, Granted)
    assert (decision.movement, decision.claim) == (Movement.ENTRY, Claim.HELD)


def test_after_a_restart_with_a_small_step_back_no_exit_and_no_second_meal_is_invented() -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:30"))
    decision = kiosk.scan(card(1), moment("09:40:10", boot="boot-2"))
    assert isinstance(decision, Granted)
    assert decision.movement is Movement.REPEAT


def test_a_naive_time_is_no_moment() -> None:
    with pytest.raises(ValueError, match="aware"):
        Moment(datetime(2026, 11, 23, 9, 40), 0, "b", ClockQuality.SYNCHRONISED)
    assert (
        Moment(datetime(2026, 11, 23, 4, 40, tzinfo=UTC), 0, "b", ClockQuality.UNKNOWN).text
        == "2026-11-23T04:40:00.000Z"
    )


def test_the_same_arguments_give_the_same_decision() -> None:
    roster = school()
    who = identify(card(1), roster)
    when = moment("09:40:00")
    decisions: set[str] = set()
    for _ in range(3):
        decision: Decision = decide(who, when, roster.timetable.find_slots(when.utc), (), RULES, roster)
        decisions.add(repr(decision))
    assert len(decisions) == 1
