"""Events of decisions; and a day that is played twice gives equal bytes."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from drivers.readings import CardRead
from edge_agent.domain.decision import DecisionReason, Granted, Refused
from edge_agent.domain.identify import AmbiguousPerson, PalmMismatch, RecognisedPerson
from edge_agent.domain.record import EventContext, StaffAct, build_sighting, build_void
from sync.contract.chain import DeviceId, Epoch, Hash, chain_hashes, genesis
from sync.contract.event import Claim, ClockQuality, Entry, Manual, Method, PersonId, Refusal, Void, decode, encode
from sync.contract.movements import Direction, Movement
from tests.edge_agent.domain.world import (
    DAY,
    SCHOOL,
    RulesKiosk,
    card,
    card_value,
    em4100,
    moment,
    palm_terminal,
    school,
)

ROSTER = school()
SLOT = ROSTER.timetable.slot("lunch", DAY)
CONTEXT = EventContext(moment("09:40:00"), ROSTER, "gate")
PUPIL = RecognisedPerson(ROSTER.people["u1"], "c1", Method.CARD)
GRANTED = Granted(identity=PUPIL, movement=Movement.ENTRY, slot=SLOT, programme="state", claim=Claim.CLAIMABLE)


def test_an_entry_holds_the_knowledge_behind_the_decision() -> None:
    assert build_sighting(GRANTED, CONTEXT) == Entry(
        school=SCHOOL,
        at="2026-11-23T04:40:00.000Z",
        boot="boot-1",
        mono_ms=34_800_000,
        clock=ClockQuality.SYNCHRONISED,
        roster=7,
        roster_age_s=6_000,
        person="u1",
        session="lunch",
        service_date=DAY,
        method=Method.CARD,
        reader="gate",
        credential="c1",
        programme="state",
        claim=Claim.CLAIMABLE,
    )


def test_by_hand_the_fact_names_operator_reason_and_class() -> None:
    decision = replace(GRANTED, identity=RecognisedPerson(ROSTER.people["u1"], "", Method.MANUAL))
    event = build_sighting(decision, CONTEXT, StaffAct("op-1", "forgot_card", "class-7"))
    assert isinstance(event, Manual)
    assert (event.operator, event.note, event.group, event.method) == ("op-1", "forgot_card", "class-7", Method.MANUAL)
    assert (event.programme, event.claim) == ("state", Claim.CLAIMABLE)


def test_nothing_is_done_by_hand_without_a_name_and_a_reason() -> None:
    decision = replace(GRANTED, identity=RecognisedPerson(ROSTER.people["u1"], "", Method.MANUAL))
    with pytest.raises(ValueError, match="operator and reason"):
        build_sighting(decision, CONTEXT)
    with pytest.raises(ValueError, match="operator and reason"):
        build_sighting(GRANTED, CONTEXT, StaffAct("op-1", "forgot_card"))
    for operator, note in (("", "reason"), ("op-1", " ")):
        with pytest.raises(ValueError, match="names its operator"):
            StaffAct(operator, note)


def test_a_void_names_the_row() -> None:
    event = build_void(CONTEXT, epoch=Epoch("00ff"), seq=12, person="u1", staff_act=StaffAct("op-1", "wrong_person"))
    assert isinstance(event, Void)
    assert (event.void_epoch, event.void_seq, event.person, event.note) == ("00ff", 12, "u1", "wrong_person")


def test_a_mismatch_is_about_nobody() -> None:
    """The card's owner was perhaps never here: nothing may reach the parents."""
    mismatch = PalmMismatch(ROSTER.people["u1"], ROSTER.people["u2"], "c1")
    event = build_sighting(Refused(identity=mismatch, reason=DecisionReason.MISMATCH), CONTEXT)
    assert isinstance(event, Refusal)
    assert (event.person, event.candidates, event.credential) == ("", "u1,u2", "c1")


def test_the_largest_facts_fit_into_a_payload() -> None:
    many = tuple(PersonId(f"{number:064d}") for number in range(500))
    event = build_sighting(
        Refused(identity=AmbiguousPerson(many, Method.CARD, "#123456"), reason=DecisionReason.AMBIGUOUS), CONTEXT
    )
    assert isinstance(event, Refusal)
    assert event.candidates.count(",") == 19
    assert decode(encode(event)) == event
    encode(build_void(CONTEXT, epoch=Epoch("e"), seq=1, person="u1", staff_act=StaffAct("op-1", "ы" * 10_000)))


def test_no_event_holds_a_card_number() -> None:
    kiosk = RulesKiosk(ROSTER)
    for reading in (card(1), card(99_999)):
        kiosk.scan(reading, moment("09:40:00"))
    payloads = b"".join(encode(event) for event in kiosk.events).upper()
    for number in (1, 99_999):
        assert card_value(number).encode() not in payloads
        assert str(int.from_bytes(em4100(number).value, "big")).encode() not in payloads


days = st.lists(
    st.tuples(
        st.integers(0, 3_600),  # seconds since 09:20
        st.integers(1, 5),  # the pupil; 4 and 5 are on no roster
        st.sampled_from(["card", "palm", "hand", "void"]),
        st.sampled_from(ClockQuality),
        st.integers(-20, 20).map(lambda days: timedelta(days=days)),  # how wrong the wall clock is
    ),
    max_size=25,
)


def play_day(day: list[tuple[int, int, str, ClockQuality, timedelta]]) -> list[bytes]:
    kiosk = RulesKiosk(school(), direction=Direction.BOTH)
    staff_act = StaffAct("op-1", "forgot_card")
    for seconds, number, means, clock, wrong in sorted(day, key=lambda scan: scan[0]):
        start = moment("09:20:00", quality=clock)
        passed = timedelta(seconds=seconds)
        off = wrong if clock is not ClockQuality.SYNCHRONISED else timedelta()
        when = replace(start, utc=start.utc + passed + off, mono_ms=start.mono_ms + seconds * 1000)
        entries = [place for place, event in enumerate(kiosk.events, start=1) if isinstance(event, Entry | Manual)]
        match means:
            case "card":
                kiosk.scan(card(number), when)
            case "palm":
                kiosk.scan(palm_terminal(number), when)
            case "hand":
                kiosk.enter_by_hand(f"u{number}", when, staff_act)
            case _ if entries:
                kiosk.void(entries[-1], when, staff_act)
            case _:
                pass
    return [encode(event) for event in kiosk.events]


@settings(max_examples=80, deadline=None)
@given(days)
def test_a_day_played_twice_gives_the_same_bytes_and_the_same_chain(
    day: list[tuple[int, int, str, ClockQuality, timedelta]],
) -> None:
    first, second = play_day(day), play_day(day)
    assert first == second
    start = genesis(DeviceId("A"), bytes(32), Epoch("0" * 16))
    heads: list[list[Hash]] = [chain_hashes(start, payloads) for payloads in (first, second)]
    assert heads[0] == heads[1]
    assert [encode(decode(payload)) for payload in first] == first


@settings(max_examples=80, deadline=None)
@given(days)
def test_nobody_ever_has_two_meals_in_a_session(
    day: list[tuple[int, int, str, ClockQuality, timedelta]],
) -> None:
    events = [decode(payload) for payload in play_day(day)]
    voided = {event.void_seq for event in events if isinstance(event, Void)}
    claimed = [
        (event.person, event.session, event.service_date)
        for place, event in enumerate(events, start=1)
        if isinstance(event, Entry | Manual) and place not in voided and event.claim is Claim.CLAIMABLE
    ]
    assert len(claimed) == len(set(claimed))


def test_the_reader_is_named_by_the_context_alone() -> None:
    reading = CardRead("elsewhere", em4100(1), 0)
    kiosk = RulesKiosk(ROSTER)
    kiosk.scan(reading, moment("09:40:00"))
    assert isinstance(kiosk.last, Entry)
    assert kiosk.last.reader == "r1"
