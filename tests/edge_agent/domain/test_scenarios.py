"""Every line of the canteen's scenarios is a test: the pure ones here, and `ELSEWHERE` names who proves the rest."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge_agent.domain.decision import DecisionReason, Granted, Refused, Review
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.identify import (
    AmbiguousPerson,
    PalmMismatch,
    PalmScore,
    RecognisedPerson,
    UnknownPerson,
    identify,
    identify_palm,
)
from edge_agent.domain.moment import Moment
from edge_agent.domain.pairing import confirm_card, settle_by_card
from edge_agent.domain.record import StaffAct
from sync.contract.edit_check import EditCheck, check_meal_count, expected_meals
from sync.contract.event import Claim, ClockQuality, ClockStep, Entry, Exit, Manual, Method, PersonId, Refusal
from sync.contract.flags import FlagKind, find_flags
from sync.contract.movements import Movement
from sync.contract.roster import Consent
from sync.contract.visits import ClaimReason, DerivedVisits, EventId, ReceivedEvent, VisitClosing, derive_visits
from tests.edge_agent.domain.world import (
    DAY,
    SCHOOL,
    RulesKiosk,
    card,
    em4100,
    local,
    moment,
    palm_terminal,
    pupil,
    school,
)
from tests.vectors import load_scenarios

ROOT = Path(__file__).parents[3]

Scenario = Mapping[str, Any]  # foreign data: one line of the file, as JSON
Proof = Callable[[Scenario], None]

PROOFS: dict[str, Proof] = {}

# What needs a journal, a wire or a ledger is proved in that room.
ELSEWHERE = {
    "S22": "tests/sync/client/test_batches.py",
    "S23": "tests/sync/client/test_batches.py",
    "S25": "tests/system/test_daemon.py",
    "S26": "tests/edge_agent/journal/test_crash.py",
    "S34": "tests/sync/client/test_policy.py",
}


def proves(scenario: str) -> Callable[[Proof], Proof]:
    def register(proof: Proof) -> Proof:
        assert scenario not in PROOFS
        PROOFS[scenario] = proof
        return proof

    return register


def test_every_scenario_is_accounted_for() -> None:
    assert load_scenarios().keys() == PROOFS.keys() | ELSEWHERE.keys()
    assert not PROOFS.keys() & ELSEWHERE.keys()
    assert [place for place in ELSEWHERE.values() if not (ROOT / place).exists()] == []


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in load_scenarios().values() if scenario["id"] not in ELSEWHERE],
    ids=lambda scenario: str(scenario["id"]),
)
def test_scenario(scenario: Scenario) -> None:
    PROOFS[scenario["id"]](scenario)


def derive_after(clock: str, *kiosks: RulesKiosk, day: str = DAY) -> DerivedVisits:
    """Returns the visits that follow from the events of these kiosks at a local time."""
    received = [
        ReceivedEvent(EventId(kiosk.device, kiosk.epoch, seq), event)
        for kiosk in kiosks
        for seq, event in enumerate(kiosk.events, start=1)
    ]
    return derive_visits(received, timetable=kiosks[0].roster.timetable, now=local(clock, day))


def count_open(derived: DerivedVisits) -> int:
    return sum(visit.closing is VisitClosing.OPEN for visit in derived.visits)


def child_side(feedback: Feedback) -> Feedback:
    return replace(feedback, staff=None)


@proves("S01")
def entry_and_exit_make_a_visit(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(palm_terminal(1), moment("09:40:00"))
    kiosk.scan(palm_terminal(1), moment("09:52:00"))
    derived = derive_after("09:53:00", kiosk)
    assert scenario["expect"] == {
        "visits": len(derived.visits),
        "meals": derived.meals,
        "open": count_open(derived),
    }
    assert derived.visits[0].exit_time == local("09:52:00")


@proves("S02")
def double_tap_within_debounce(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    kiosk.scan(card(1), moment("09:40:03"))
    derived = derive_after("09:41:00", kiosk)
    assert kiosk.feedback[1].kind is FeedbackKind.NOTED
    assert scenario["expect"] == {
        "raw": len(kiosk.events),
        "visits": len(derived.visits),
        "meals": derived.meals,
        "exit": derived.visits[0].exit,
        "feedback2": "already noted",
    }


@proves("S04")
def second_meal_in_the_same_session(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    for clock in ("09:40:00", "09:50:00", "09:55:00"):
        kiosk.scan(palm_terminal(1), moment(clock))
    derived = derive_after("09:56:00", kiosk)
    assert (len(derived.visits), derived.meals) == (scenario["expect"]["visits"], scenario["expect"]["meals"])
    assert scenario["expect"]["second"] == "recorded, not claimable"
    assert isinstance(kiosk.last, Entry)
    assert (kiosk.last.claim, kiosk.last.reason) == (Claim.SECOND, DecisionReason.SECOND_MEAL)
    assert kiosk.feedback[2].kind is FeedbackKind.WELCOME  # the child does not see it


@proves("S05")
def two_kiosks_without_a_line_between_them(scenario: Scenario) -> None:
    roster = school()
    a, b = RulesKiosk(roster, "A"), RulesKiosk(roster, "B")
    a.scan(card(1), moment("09:40:00"))
    b.scan(card(1), moment("09:41:00", boot="boot-b"))
    for derived in (derive_after("10:00:00", a, b), derive_after("10:00:00", b, a)):
        first, second = derived.visits
        assert scenario["expect"]["raw"] == len(a.events) + len(b.events)
        assert scenario["expect"]["meals_claimable"] == derived.meals
        assert (first.id.device, first.claim) == ("A", Claim.CLAIMABLE)
        assert (second.id.device, second.claim, second.first) == ("B", Claim.SECOND, first.id)
        assert scenario["expect"]["loser"].startswith(second.why)


@proves("S07")
def entry_never_followed_by_exit(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    assert count_open(derive_after("10:09:59", kiosk)) == 1
    (visit,) = derive_after("10:10:00", kiosk).visits
    assert scenario["expect"]["visits"] == 1
    assert scenario["expect"]["exit"] == visit.closing
    assert scenario["expect"]["exit_time"] == visit.exit_time
    assert len(kiosk.events) == 1  # no exit was written either


@proves("S08")
def meal_crosses_midnight(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("23:50:00"))
    kiosk.scan(card(1), moment("00:10:00", "2026-11-24"))
    derived = derive_after("00:11:00", kiosk, day="2026-11-24")
    assert len(derived.visits) == scenario["expect"]["visits"]
    assert {event.service_date for event in kiosk.events if isinstance(event, Entry | Exit)} == {DAY}
    assert derived.visits[0].closing is VisitClosing.EXIT


@proves("S10")
def pupil_moved_school_between_syncs(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school(*pupil(1, home_school="sch-101")))
    decision = kiosk.scan(card(1), moment("09:40:00"))
    assert isinstance(decision, Granted)
    assert scenario["expect"] == {"decision": "serve as guest", "funding": "home school, pending"}
    assert (decision.reason, decision.claim, decision.programme) == (DecisionReason.GUEST, Claim.PENDING, "state")
    assert kiosk.feedback[0].kind is FeedbackKind.WELCOME
    assert derive_after("10:00:00", kiosk).meals == 0  # this school bills nothing for it


@proves("S11")
def consent_withdrawn(scenario: Scenario) -> None:
    withdrawn = Consent(id="k1", person="u1", given_at="2026-09-01T00:00:00Z", withdrawn_at="2026-11-22T10:00:00Z")
    kiosk = RulesKiosk(school(withdrawn))
    assert scenario["expect"]["identify"] == "no match"
    scores = [PalmScore(PersonId("u1"), "p1", 9_900)]
    assert identify_palm(scores, kiosk.roster, accept_score=8_000, margin_score=200) == UnknownPerson(Method.PALM)
    assert isinstance(kiosk.scan(palm_terminal(1), moment("09:40:00")), Refused)
    assert isinstance(kiosk.last, Refusal)
    assert kiosk.last.person == ""  # nobody was recognised
    # The way without a palm: the same queue, nothing to wait for.
    kiosk.scan(card(1), moment("09:40:01"))
    assert [feedback.kind for feedback in kiosk.feedback] == [FeedbackKind.USE_CARD, FeedbackKind.WELCOME]
    # Other tests prove that the template is deleted and the receipt sent: those of templates and of rosters.


@proves("S13")
def card_and_palm_of_different_people(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    by_card, by_palm = identify(card(1), kiosk.roster), identify(palm_terminal(2), kiosk.roster)
    assert isinstance(by_card, RecognisedPerson)
    mismatch = confirm_card(by_card, by_palm, owner_score=0, accept_score=3_000)
    assert isinstance(mismatch, PalmMismatch)
    decision = kiosk.decide(mismatch, moment("09:40:00"))
    assert isinstance(decision, Refused)
    assert scenario["expect"]["audit"] == decision.reason
    assert isinstance(kiosk.last, Refusal)
    assert kiosk.last.candidates == "u1,u2"
    # No parent message for u1: the event is about nobody.
    assert kiosk.last.person == ""
    assert not derive_after("10:00:00", kiosk).visits
    # u2 is offered the own entitlement.
    staff = kiosk.feedback[0].staff
    assert staff is not None
    assert staff.candidates == ("Given2 Family2",)
    offered = kiosk.decide(by_palm, moment("09:40:05"))
    assert isinstance(offered, Granted)
    assert offered.claim is Claim.CLAIMABLE


@proves("S14")
def two_similar_palms(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    scores = [PalmScore(PersonId("u1"), "p1", 9_100), PalmScore(PersonId("u2"), "p2", 9_000)]
    identity = identify_palm(scores, kiosk.roster, accept_score=8_000, margin_score=200)
    assert identity == AmbiguousPerson((PersonId("u1"), PersonId("u2")), Method.PALM)
    decision = kiosk.decide(identity, moment("09:40:00"))
    assert scenario["expect"]["decision"] == "ask second factor"
    assert kiosk.feedback[0].kind is FeedbackKind.USE_CARD
    assert scenario["expect"]["recorded"].startswith(decision.reason)
    assert derive_after("10:00:00", kiosk).visits == ()
    by_card = identify(card(2), kiosk.roster)
    assert isinstance(by_card, RecognisedPerson)
    second = settle_by_card(by_card, identity)
    assert second is not None
    assert second.person.id == "u2"


@proves("S16")
def lost_card_manual_open(scenario: Scenario) -> None:
    by_hand, by_card = RulesKiosk(school()), RulesKiosk(school())
    by_hand.enter_by_hand("u1", moment("09:40:00"), StaffAct("op-1", "no_card"))
    by_card.scan(card(1), moment("09:40:00"))
    assert isinstance(by_hand.last, Manual)
    (visit,) = derive_after("10:00:00", by_hand).visits
    (usual,) = derive_after("10:00:00", by_card).visits
    assert scenario["expect"]["meals"] == derive_after("10:00:00", by_hand).meals
    # Parents get a message for each visit, and by hand or by card it is the same visit.
    assert scenario["expect"]["parent_notified"] is visit.counts
    assert dataclasses.replace(visit, method=Method.CARD, operator="", note="") == usual
    assert (visit.operator, visit.note) == ("op-1", "no_card")


@proves("S17")
def unknown_card(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    decision = kiosk.scan(card(99_999), moment("09:40:00"))
    assert isinstance(decision, Refused)
    assert decision.reason is DecisionReason.UNKNOWN_CARD
    assert kiosk.feedback[0].kind is FeedbackKind.ASK_STAFF
    assert len(kiosk.events) == scenario["expect"]["raw"]
    assert derive_after("10:00:00", kiosk).meals == scenario["expect"]["meals_claimable"]
    assert em4100(99_999).hex not in str(kiosk.events)
    # The operator may enter somebody for it; with a stale roster the fault may be ours.
    stale = RulesKiosk(school(confirmed_at=local("09:00:00") - timedelta(days=9)))
    assert isinstance(stale.scan(card(99_999), moment("09:40:00")), Review)


@proves("S19")
def void_by_operator_then_again(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    kiosk.void(1, moment("09:41:00"), StaffAct("op-1", "wrong child"))
    kiosk.scan(card(1), moment("09:42:00"))
    derived = derive_after("10:00:00", kiosk)
    assert len(kiosk.events) == scenario["expect"]["records"]
    assert derived.meals == scenario["expect"]["claimable"]
    assert [(visit.closing, visit.claim) for visit in derived.visits] == [
        (VisitClosing.VOID, Claim.NONE),
        (VisitClosing.OPEN, Claim.CLAIMABLE),
    ]


@proves("S20")
def clock_two_weeks_back(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school())
    lost = timedelta(days=14, hours=3)  # the clock says 06:40 of a Monday two weeks ago

    def wrong(clock: str) -> Moment:
        right = moment(clock, boot="boot-2")
        return replace(right, utc=right.utc - lost, clock=ClockQuality.UNSYNCHRONISED)

    kiosk.scan(card(1), wrong("09:40:00"))
    kiosk.scan(card(1), wrong("09:40:02"))
    kiosk.scan(card(2), wrong("09:41:00"))
    assert [feedback.kind for feedback in kiosk.feedback] == [
        FeedbackKind.ASK_STAFF,
        FeedbackKind.NOTED,
        FeedbackKind.ASK_STAFF,
    ]
    assert all(isinstance(decision, Granted | Review) for decision in kiosk.decisions)
    assert scenario["expect"]["time_quality"] == "unsynced"
    assert all(isinstance(event, Entry) and event.review for event in (kiosk.events[0], kiosk.events[2]))
    held = derive_after("10:00:00", kiosk)
    assert [visit.claim for visit in held.visits] == [Claim.HELD, Claim.HELD]
    assert [visit.entry_time for visit in held.visits] == [None, None]  # no time is better than a wrong one
    assert [visit.id.seq for visit in held.visits] == [1, 3]
    # The network comes back: the clock is put right, and the meals are found where they belong.
    kiosk.keep(build_clock_step(kiosk, lost))
    corrected = derive_after("10:00:00", kiosk)
    assert [visit.claim for visit in corrected.visits] == [Claim.CLAIMABLE, Claim.CLAIMABLE]
    assert [visit.entry_time for visit in corrected.visits] == [local("09:40:00"), local("09:41:00")]
    assert {(visit.session, visit.service_date) for visit in corrected.visits} == {("lunch", DAY)}


def build_clock_step(kiosk: RulesKiosk, lost: timedelta) -> ClockStep:
    right = moment("09:50:00", boot="boot-2")
    return ClockStep(
        school=SCHOOL,
        at=right.text,
        boot=right.boot,
        mono_ms=right.mono_ms,
        clock=ClockQuality.SYNCHRONISED,
        step_ms=int(lost.total_seconds() * 1000),
        before=ClockQuality.UNSYNCHRONISED,
    )


@proves("S28")
def more_meals_than_entitled_present(scenario: Scenario) -> None:
    factor = Decimal("0.938")
    assert check_meal_count(285, 300, factor) is EditCheck.OVER_FACTOR
    assert scenario["expect"]["edit_check"] == f"285 > {float(expected_meals(300, factor))}: follow up before claim"


@proves("S29")
def fake_presence_run(scenario: Scenario) -> None:
    kiosk = RulesKiosk(school(pupils=120), late=timedelta(hours=2))
    start = moment("10:40:00")
    for number in range(1, 121):
        when = replace(start, utc=start.utc + timedelta(seconds=2 * number), mono_ms=start.mono_ms + 2_000 * number)
        kiosk.enter_by_hand(f"u{number}", when, StaffAct("op-1", "palm_unread"))
    received = [ReceivedEvent(EventId("A", kiosk.epoch, seq), event) for seq, event in enumerate(kiosk.events, start=1)]
    derived = derive_after("11:00:00", kiosk)
    flags_by_kind = {flag.kind: flag for flag in find_flags(received, derived.visits, timetable=kiosk.roster.timetable)}
    burst = flags_by_kind[FlagKind(scenario["expect"]["flag"])]
    assert (burst.count, burst.operator) == (120, "op-1")
    assert flags_by_kind[FlagKind.AFTER_HOURS].count == 120


@proves("S31")
def child_with_allergy(scenario: Scenario) -> None:
    with_sign = RulesKiosk(school(*pupil(1, hints=("diet",))))
    without = RulesKiosk(school())
    for kiosk in (with_sign, without):
        kiosk.scan(card(1), moment("09:40:00"))
    assert scenario["expect"] == {"screen_child": "neutral", "screen_staff": "allergy sign"}
    assert child_side(with_sign.feedback[0]) == child_side(without.feedback[0])
    staff = with_sign.feedback[0].staff
    assert staff is not None
    assert staff.hints == ("diet",)


@proves("S32")
def free_and_paid_see_the_same_screen(scenario: Scenario) -> None:
    assert set(scenario["expect"].values()) == {True}
    feedbacks = []
    for programme in ("state", "paid", ""):
        kiosk = RulesKiosk(school(*pupil(9, programme=programme)))
        for clock in ("09:40:00", "09:40:02", "09:50:00", "09:55:00"):
            kiosk.scan(card(9), moment(clock))
        feedbacks.append([child_side(feedback) for feedback in kiosk.feedback])
    # The screen makes colour, sound and duration from exactly these fields, and from nothing else.
    assert feedbacks[0] == feedbacks[1] == feedbacks[2]
    assert [feedback.kind for feedback in feedbacks[0]] == [
        FeedbackKind.WELCOME,
        FeedbackKind.NOTED,
        FeedbackKind.GOODBYE,
        FeedbackKind.WELCOME,
    ]


def test_a_repeat_is_never_a_movement() -> None:
    kiosk = RulesKiosk(school())
    kiosk.scan(card(1), moment("09:40:00"))
    again = kiosk.scan(card(1), moment("09:40:30"))
    assert isinstance(again, Granted)
    assert (again.movement, again.reason) == (Movement.REPEAT, DecisionReason.MIN_STAY)
    assert derive_after("09:41:00", kiosk).visits[0].why is ClaimReason.AS_RECORDED
