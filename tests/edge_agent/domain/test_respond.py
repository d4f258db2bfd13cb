"""Feedback for child and staff; and nothing that the child can see shows who pays."""

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_agent.domain.decision import Decision, DecisionReason, Granted, Refused, Review
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.identify import (
    AmbiguousPerson,
    BlockedCredential,
    Identity,
    PalmMismatch,
    RecognisedPerson,
    UnknownPerson,
)
from edge_agent.domain.record import StaffAct
from edge_agent.domain.respond import ask_to_hold_again, respond, respond_not_recorded
from sync.contract.chain import Epoch
from sync.contract.event import Claim, ClockQuality, Method, PersonId
from sync.contract.movements import Direction, Movement
from sync.contract.roster import Entitlement, MealSession, Record
from tests.edge_agent.domain.world import RulesKiosk, card, moment, palm_terminal, pupil, school

ROSTER = school(*pupil(1, hints=("sound_off", "diet"), language="kk"))
PERSON = ROSTER.people["u1"]
SECOND_PERSON = ROSTER.people["u2"]
PUPIL = RecognisedPerson(PERSON, "c1", Method.CARD)
SLOT = ROSTER.timetable.slot("lunch", "2026-11-23")


def child_side(feedback: Feedback) -> Feedback:
    return replace(feedback, staff=None)


@pytest.mark.parametrize(
    ("decision", "child"),
    [
        (Granted(identity=PUPIL, movement=Movement.ENTRY, slot=SLOT), FeedbackKind.WELCOME),
        (Granted(identity=PUPIL, movement=Movement.EXIT, slot=SLOT), FeedbackKind.GOODBYE),
        (Granted(identity=PUPIL, movement=Movement.REPEAT, slot=SLOT), FeedbackKind.NOTED),
        (Refused(identity=PUPIL, reason=DecisionReason.NO_SESSION), FeedbackKind.ASK_STAFF),
        (
            Refused(identity=UnknownPerson(Method.CARD, "#123456"), reason=DecisionReason.UNKNOWN_CARD),
            FeedbackKind.ASK_STAFF,
        ),
        (Refused(identity=UnknownPerson(Method.PALM), reason=DecisionReason.PALM_UNKNOWN), FeedbackKind.USE_CARD),
        (
            Refused(identity=UnknownPerson(Method.TERMINAL, no_consent=True), reason=DecisionReason.NO_CONSENT),
            FeedbackKind.USE_CARD,
        ),
        (Refused(identity=AmbiguousPerson((), Method.PALM), reason=DecisionReason.AMBIGUOUS), FeedbackKind.USE_CARD),
        (Refused(identity=AmbiguousPerson((), Method.CARD), reason=DecisionReason.AMBIGUOUS), FeedbackKind.ASK_STAFF),
        (
            Refused(identity=PalmMismatch(PERSON, SECOND_PERSON, "c1"), reason=DecisionReason.MISMATCH),
            FeedbackKind.ASK_STAFF,
        ),
        (
            Review(identity=BlockedCredential(PERSON, "c1", Method.CARD, "lost"), reason=DecisionReason.BLOCKED),
            FeedbackKind.ASK_STAFF,
        ),
        (Review(identity=PUPIL, reason=DecisionReason.CLOCK_UNCERTAIN, is_entry=True), FeedbackKind.ASK_STAFF),
    ],
)
def test_what_the_child_sees(decision: Decision, child: FeedbackKind) -> None:
    assert respond(decision, ROSTER).kind is child


def test_the_greeting_is_for_those_who_come_and_go() -> None:
    welcome = respond(Granted(identity=PUPIL, movement=Movement.ENTRY, slot=SLOT), ROSTER)
    assert (welcome.greeting, welcome.language, welcome.silent) == ("Given1", "kk", True)
    blocked = respond(
        Review(identity=BlockedCredential(PERSON, "c1", Method.CARD, "lost"), reason=DecisionReason.BLOCKED), ROSTER
    )
    assert blocked.greeting == ""
    mismatch = respond(
        Refused(identity=PalmMismatch(PERSON, SECOND_PERSON, "c1"), reason=DecisionReason.MISMATCH), ROSTER
    )
    assert (mismatch.greeting, mismatch.language) == ("", "")


def test_the_staff_can_void_entries_and_nothing_else() -> None:
    def row(decision: Decision) -> tuple[str, int]:
        staff = respond(decision, ROSTER, epoch=Epoch("e"), seq=9).staff
        assert staff is not None
        return staff.entry_epoch, staff.entry_seq

    assert row(Granted(identity=PUPIL, movement=Movement.ENTRY, slot=SLOT)) == ("e", 9)
    assert row(Review(identity=PUPIL, reason=DecisionReason.CLOCK_UNCERTAIN, is_entry=True)) == ("e", 9)
    assert row(Granted(identity=PUPIL, movement=Movement.EXIT, slot=SLOT)) == ("", 0)
    assert row(Review(identity=PUPIL, reason=DecisionReason.NO_SESSION)) == ("", 0)
    assert row(Refused(identity=PUPIL, reason=DecisionReason.NO_SESSION)) == ("", 0)


def test_the_staff_see_every_reason_and_the_person() -> None:
    stale = RulesKiosk(school(*pupil(9, programme="", hints=("diet",)), confirmed_at=None))
    stale.scan(card(9), moment("09:40:00", quality=ClockQuality.UNKNOWN))
    staff = stale.feedback[0].staff
    assert staff is not None
    assert (staff.reason, staff.notes) == (
        DecisionReason.NO_ENTITLEMENT,
        (DecisionReason.CLOCK_UNCERTAIN, DecisionReason.STALE_ROSTER),
    )
    assert (staff.person, staff.name, staff.group, staff.hints) == ("u9", "Given9 Family9", "1 «А»", ("diet",))


def test_what_is_not_on_the_disk_is_not_greeted() -> None:
    feedback = respond_not_recorded(Granted(identity=PUPIL, movement=Movement.ENTRY, slot=SLOT), ROSTER)
    assert (feedback.kind, feedback.greeting) == (FeedbackKind.NOT_RECORDED, "")
    assert feedback.staff is not None
    assert feedback.staff.entry_seq == 0
    assert ask_to_hold_again() == Feedback(FeedbackKind.AGAIN)


# Free and paid meals look the same

identities = st.sampled_from(
    [
        PUPIL,
        RecognisedPerson(SECOND_PERSON, "", Method.MANUAL),
        UnknownPerson(Method.CARD, "#123456"),
        UnknownPerson(Method.PALM),
        UnknownPerson(Method.TERMINAL, "#123456", no_consent=True),
        AmbiguousPerson((PersonId("u1"), PersonId("u2")), Method.PALM),
        BlockedCredential(PERSON, "c1", Method.CARD, "lost"),
        PalmMismatch(PERSON, SECOND_PERSON, "c1"),
    ]
)
monies = st.tuples(
    st.sampled_from(["", "state", "paid", "voucher"]),
    st.sampled_from(Claim),
    st.booleans(),
    st.sampled_from(DecisionReason),
    st.lists(st.sampled_from(DecisionReason), max_size=3).map(tuple),
)
Money = tuple[str, Claim, bool, DecisionReason, tuple[DecisionReason, ...]]


def build_decisions(identity: Identity, movement: Movement, is_entry: bool, money: Money) -> list[Decision]:
    """Returns every decision that is possible for this identity, with this programme, claim and reason."""
    programme, claim, review, reason, notes = money
    decisions_: list[Decision] = [
        Refused(identity=identity, reason=reason, slot=SLOT),
        Review(identity=identity, reason=reason, slot=SLOT, is_entry=is_entry, programme=programme, claim=claim),
    ]
    if isinstance(identity, RecognisedPerson):
        decisions_.append(
            Granted(
                identity=identity,
                movement=movement,
                slot=SLOT,
                reason=reason,
                notes=notes,
                programme=programme,
                claim=claim,
                review=review,
            )
        )
    return decisions_


@settings(deadline=None)
@given(identities, st.sampled_from(Movement), st.booleans(), monies, monies)
def test_no_decision_shows_the_child_programme_claim_or_reason(
    identity: Identity, movement: Movement, is_entry: bool, first_money: Money, second_money: Money
) -> None:
    for first, second in zip(
        build_decisions(identity, movement, is_entry, first_money),
        build_decisions(identity, movement, is_entry, second_money),
        strict=True,
    ):
        assert child_side(respond(first, ROSTER)) == child_side(respond(second, ROSTER))
        assert child_side(respond_not_recorded(first, ROSTER)) == child_side(respond_not_recorded(second, ROSTER))


scans = st.lists(
    st.tuples(
        st.integers(0, 4_000),  # seconds since 09:20
        st.sampled_from(["card", "palm", "hand"]),
        st.sampled_from(ClockQuality),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    scans=scans,
    entitlements=st.lists(st.sampled_from(["", "state", "paid"]), min_size=2, max_size=2),
    direction=st.sampled_from(Direction),
    stale=st.booleans(),
)
def test_children_who_differ_only_in_who_pays_see_the_same_all_day(
    scans: list[tuple[int, str, ClockQuality]], entitlements: list[str], direction: Direction, stale: bool
) -> None:
    """Plays a day through all rules, memory included: two programmes, or none, give the same feedback."""
    days = [play_day(scans, programme, direction, stale) for programme in entitlements]
    assert days[0] == days[1]


def play_day(
    scans: list[tuple[int, str, ClockQuality]], programme: str, direction: Direction, stale: bool
) -> list[Feedback]:
    extra: list[Record] = [MealSession(id="second-shift", name="Second shift", start="10:10", end="10:50")]
    roster = school(*extra, *pupil(9, programme=programme))
    if stale:
        roster = dataclasses.replace(roster, confirmed_at=None)
    kiosk = RulesKiosk(roster, direction=direction)
    for seconds, means, clock in sorted(scans):
        start = moment("09:20:00", quality=clock)
        when = replace(start, utc=start.utc + timedelta(seconds=seconds), mono_ms=start.mono_ms + seconds * 1000)
        match means:
            case "card":
                kiosk.scan(card(9), when)
            case "palm":
                kiosk.scan(palm_terminal(9), when)
            case _:
                kiosk.enter_by_hand("u9", when, StaffAct("op-1", "forgot_card"))
    return [child_side(feedback) for feedback in kiosk.feedback]


@settings(deadline=None)
@given(st.sampled_from(["09:35:00", "09:45:00", "09:55:00"]), st.sampled_from(["state", "paid"]))
def test_where_meals_overlap_the_child_sees_the_same_whatever_is_due(clock: str, programme: str) -> None:
    breakfast = MealSession(id="breakfast", name="Breakfast", start="09:00", end="09:50")
    feedbacks = []
    for sessions in ((), ("breakfast",), ("lunch",)):
        due = Entitlement(id="e9", person="u9", programme=programme, sessions=sessions)
        kiosk = RulesKiosk(school(breakfast, *pupil(9, programme=""), due))
        kiosk.scan(card(9), moment(clock))
        feedbacks.append(child_side(kiosk.feedback[0]))
    assert feedbacks[0] == feedbacks[1] == feedbacks[2]
