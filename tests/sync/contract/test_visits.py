"""Visits and claims from the facts of a school's kiosks."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.contract.event import (
    Carried,
    Claim,
    ClockQuality,
    ClockStep,
    Entry,
    Event,
    Exit,
    Manual,
    Method,
    Refusal,
    Repeat,
    Void,
    encode,
)
from sync.contract.roster import Entitlement, MealSession
from sync.contract.sessions import Timetable
from sync.contract.visits import (
    ClaimReason,
    DerivedVisits,
    EventId,
    ReceivedEvent,
    VisitClosing,
    derive_visits,
    unpack_events,
)

ALMATY = ZoneInfo("Asia/Almaty")
DAY = "2026-11-23"
SESSIONS = (
    MealSession(id="breakfast", name="Breakfast", start="08:00", end="08:30"),
    MealSession(id="lunch", name="Lunch", start="09:30", end="10:10"),
)
TIMETABLE = Timetable.from_records(SESSIONS, (), ALMATY)
EVENING = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
WEEKS = timedelta(days=14, hours=3)


def local(clock: str) -> datetime:
    return datetime.fromisoformat(f"{DAY}T{clock}").replace(tzinfo=ALMATY).astimezone(UTC)


class Journal:
    """Facts of one kiosk, numbered; each boot's monotonic clock began at the day's local midnight."""

    def __init__(self, device: str = "A", epoch: str = "e1", boot: str = "b1") -> None:
        self.device, self.epoch, self.boot = device, epoch, boot
        self.received: list[ReceivedEvent] = []
        self.wrong = timedelta()
        self.clock = ClockQuality.SYNCHRONISED

    def keep(self, fact: Event) -> EventId:
        event = EventId(self.device, self.epoch, len(self.received) + 1)
        self.received.append(ReceivedEvent(event, fact))
        return event

    def when(self, clock: str) -> dict[str, object]:
        at = local(clock)
        mono = int((at - local("00:00:00")).total_seconds() * 1000)
        text = (at + self.wrong).isoformat().replace("+00:00", "Z")
        return {"school": "s", "at": text, "boot": self.boot, "mono_ms": mono, "clock": self.clock}

    def entry(self, clock: str, person: str = "u1", claim: Claim = Claim.CLAIMABLE, **fields: object) -> EventId:
        given: dict[str, object] = {"session": "lunch", "service_date": DAY, "programme": "state", **fields}
        return self.keep(Entry(person=person, claim=claim, **self.when(clock), **given))  # type: ignore[arg-type]

    def exit(self, clock: str, entry: EventId | None = None, person: str = "u1", session: str = "lunch") -> EventId:
        ends = {"entry_epoch": entry.epoch, "entry_seq": entry.seq} if entry else {}
        return self.keep(
            Exit(person=person, session=session, service_date=DAY, **self.when(clock), **ends)  # type: ignore[arg-type]
        )

    def void(self, clock: str, entry: EventId, person: str = "u1") -> EventId:
        return self.keep(
            Void(
                void_epoch=entry.epoch,
                void_seq=entry.seq,
                person=person,
                operator="op",
                note="wrong_person",
                **self.when(clock),  # type: ignore[arg-type]
            )
        )

    def step(self, clock: str) -> EventId:
        """The clock is put right, as the agent notes it."""
        step_ms, self.wrong, self.clock = (
            -int(self.wrong.total_seconds() * 1000),
            timedelta(),
            ClockQuality.SYNCHRONISED,
        )
        return self.keep(ClockStep(step_ms=step_ms, before=ClockQuality.UNSYNCHRONISED, **self.when(clock)))  # type: ignore[arg-type]


def found(*journals: Journal, now: datetime = EVENING, **more: object) -> DerivedVisits:
    received = [each for journal in journals for each in journal.received]
    return derive_visits(received, timetable=TIMETABLE, now=now, **more)  # type: ignore[arg-type]


def claims(derived: DerivedVisits) -> dict[EventId, Claim]:
    return {visit.id: visit.claim for visit in derived.visits}


# Visits and exits


def test_an_entry_and_its_exit() -> None:
    a = Journal()
    entry = a.entry("09:40:00")
    exit_ = a.exit("09:52:00", entry)
    (visit,) = found(a).visits
    assert (visit.entry_time, visit.exit_time, visit.exit) == (local("09:40:00"), local("09:52:00"), exit_)
    assert (visit.closing, visit.claim) == (VisitClosing.EXIT, Claim.CLAIMABLE)


def test_a_visit_without_exit_is_closed_by_its_session_and_has_no_exit_time() -> None:
    a = Journal()
    a.entry("09:40:00")
    (during,) = found(a, now=local("10:09:59")).visits
    (after,) = found(a, now=local("10:10:00")).visits
    assert (during.closing, after.closing) == (VisitClosing.OPEN, VisitClosing.SESSION)
    assert (after.exit, after.exit_time) == (None, None)


def test_an_exit_at_another_kiosk_ends_the_visit() -> None:
    a, b = Journal("A"), Journal("B", boot="b2")
    a.entry("09:40:00")
    seen = b.exit("09:50:00")
    derived = found(a, b)
    assert derived.visits[0].exit == seen
    assert derived.unmatched_exits == ()


def test_exits_that_fit_nothing_are_listed_and_change_nothing() -> None:
    a = Journal()
    before = a.exit("09:35:00")
    entry = a.entry("09:40:00")
    other_person = a.exit("09:45:00", entry, person="u2")
    a.exit("09:50:00", entry)
    twice = a.exit("09:51:00", entry)
    derived = found(a)
    assert derived.visits[0].exit_time == local("09:50:00")
    assert set(derived.unmatched_exits) == {before, other_person, twice}


def test_raw_evidence_makes_no_visit() -> None:
    a = Journal()
    a.keep(Repeat(person="u1", session="lunch", service_date=DAY, **a.when("09:40:00")))  # type: ignore[arg-type]
    a.keep(Refusal(person="u1", session="lunch", service_date=DAY, **a.when("09:41:00")))  # type: ignore[arg-type]
    assert found(a) == DerivedVisits((), ())


# One billed meal


def test_two_kiosks_the_earliest_by_true_time_is_billed() -> None:
    a, b = Journal("A"), Journal("B", boot="b2")
    later = a.entry("09:41:00")
    earlier = b.entry("09:40:00")
    derived = found(a, b)
    assert claims(derived) == {earlier: Claim.CLAIMABLE, later: Claim.SECOND}
    second = derived.visits[1]
    assert (second.why, second.first) == (ClaimReason.SECOND_MEAL, earlier)
    assert derived.meals == 1


def test_at_the_same_moment_the_lower_kiosk_id_is_billed() -> None:
    a, b = Journal("A"), Journal("B", boot="b2")
    first, second = a.entry("09:40:00"), b.entry("09:40:00")
    assert claims(found(b, a)) == {first: Claim.CLAIMABLE, second: Claim.SECOND}


def test_two_programmes_do_not_bill_one_meal_twice() -> None:
    a, b = Journal("A"), Journal("B", boot="b2")
    a.entry("09:40:00", programme="state")
    b.entry("09:41:00", programme="voucher")
    assert found(a, b).meals == 1


def test_other_sessions_days_and_people_are_other_meals() -> None:
    a = Journal()
    a.entry("08:10:00", session="breakfast")
    a.entry("09:40:00")
    a.entry("09:40:01", person="u2")
    a.entry("09:40:02", service_date="2026-11-24")
    assert found(a).meals == 4


def test_an_entry_that_nobody_pays_for_wins_no_meal() -> None:
    a, b = Journal("A"), Journal("B", boot="b2")
    unpaid = a.entry("09:40:00", claim=Claim.NONE, programme="")
    paid = b.entry("09:41:00")
    assert claims(found(a, b)) == {unpaid: Claim.NONE, paid: Claim.CLAIMABLE}


def test_a_voided_entry_stays_and_the_next_one_moves_up() -> None:
    a = Journal()
    first = a.entry("09:40:00")
    second = a.entry("09:55:00", claim=Claim.SECOND)
    a.void("09:56:00", first)
    derived = found(a)
    assert claims(derived) == {first: Claim.NONE, second: Claim.CLAIMABLE}
    assert [(visit.closing, visit.why) for visit in derived.visits] == [
        (VisitClosing.VOID, ClaimReason.VOIDED),
        (VisitClosing.SESSION, ClaimReason.MOVED_UP),
    ]
    assert [visit.counts for visit in derived.visits] == [False, True]


def test_a_guest_moves_up_as_a_guest() -> None:
    a = Journal()
    first = a.entry("09:40:00", claim=Claim.PENDING)
    second = a.entry("09:50:00", claim=Claim.SECOND)
    third = a.entry("09:55:00", claim=Claim.PENDING)
    a.void("09:56:00", first)
    assert claims(found(a)) == {first: Claim.NONE, second: Claim.PENDING, third: Claim.SECOND}


def test_a_void_takes_back_the_row_of_its_own_kiosk_only() -> None:
    a, b = Journal("A"), Journal("B", boot="b2")
    entry = a.entry("09:40:00")
    b.void("09:41:00", entry)
    assert found(a, b).meals == 1


# Once, whatever the wrapping


def carried(journal: Journal, event: ReceivedEvent) -> Carried:
    return Carried(
        old_epoch=event.id.epoch,
        old_seq=event.id.seq,
        old_hash="00" * 32,
        payload=encode(event.event).decode(),
        **journal.when("10:00:00"),  # type: ignore[arg-type]
    )


def test_a_carried_event_counts_once_under_its_old_identity() -> None:
    old, new = Journal(epoch="e1"), Journal(epoch="e2", boot="b2")
    entry = old.entry("09:40:00")
    exit_ = old.exit("09:50:00", entry)
    for event in old.received:
        new.keep(carried(new, event))
    alone, both = found(new), found(old, new)
    assert alone == both
    (visit,) = alone.visits
    assert (visit.id, visit.exit) == (entry, exit_)


def test_a_carried_void_still_takes_its_entry_back() -> None:
    old, new = Journal(epoch="e1"), Journal(epoch="e2", boot="b2")
    entry = old.entry("09:40:00")
    old.void("09:41:00", entry)
    new.keep(carried(new, old.received[1]))
    assert found(old, new).meals == 0


def test_a_parcel_that_cannot_be_read_or_holds_a_parcel_stops_nothing() -> None:
    a = Journal()
    a.entry("09:40:00")
    for payload in ("not json", '{"kind":"unheard_of"}', encode(carried(a, a.received[0])).decode(), "\ud800"):
        a.keep(msgspec.structs.replace(carried(a, a.received[0]), old_epoch="e0", payload=payload))
    assert found(a).meals == 1


def test_two_facts_with_one_identity_count_once_in_any_order() -> None:
    a, restored = Journal(), Journal()
    a.entry("09:40:00")
    restored.entry("09:41:00", person="u2")
    assert unpack_events([*a.received, *restored.received]) == unpack_events([*restored.received, *a.received])
    assert found(a, restored).meals == 1


# A wrong clock


def wrong(journal: Journal, by: timedelta = -WEEKS) -> Journal:
    journal.wrong, journal.clock = by, ClockQuality.UNSYNCHRONISED
    return journal


def test_under_a_wrong_clock_the_claim_is_held_until_the_boot_is_put_right() -> None:
    a = wrong(Journal())
    entry = a.entry("09:40:00", claim=Claim.HELD, session="", service_date="")
    (held,) = found(a).visits
    assert (held.claim, held.why, held.entry_time, held.session) == (Claim.HELD, ClaimReason.CLOCK, None, "")
    a.step("09:50:00")
    (visit,) = found(a).visits
    assert (visit.id, visit.claim, visit.entry_time) == (entry, Claim.CLAIMABLE, local("09:40:00"))
    assert (visit.session, visit.service_date) == ("lunch", DAY)


def test_a_session_named_by_a_wrong_clock_is_found_anew() -> None:
    a = wrong(Journal(), -timedelta(hours=1, minutes=30))  # lunch at 09:40 looks like breakfast at 08:10
    a.entry("09:40:00", claim=Claim.HELD, session="breakfast")
    a.step("09:50:00")
    assert [(visit.session, visit.claim) for visit in found(a).visits] == [("lunch", Claim.CLAIMABLE)]


def test_at_a_true_time_without_a_meal_the_claim_stays_held() -> None:
    a = wrong(Journal())
    a.entry("03:40:00", claim=Claim.HELD)
    a.step("09:50:00")
    (visit,) = found(a).visits
    assert (visit.claim, visit.why, visit.session) == (Claim.HELD, ClaimReason.NO_SESSION, "")


def test_grace_holds_for_corrected_times_too() -> None:
    a = wrong(Journal())
    a.entry("09:27:00", claim=Claim.HELD)
    a.step("09:50:00")
    assert found(a).meals == 0
    assert found(a, grace=timedelta(minutes=5)).meals == 1


def test_who_pays_is_chosen_again_when_entitlements_are_given() -> None:
    a = wrong(Journal())
    a.entry("09:40:00", "u1", claim=Claim.HELD, session="", service_date="", programme="breakfast-only")
    a.entry("09:41:00", "u2", claim=Claim.HELD, session="", service_date="", programme="ended")
    a.step("09:50:00")
    due = {
        "u1": [Entitlement(id="e1", person="u1", programme="paid", sessions=("lunch",))],
        "u2": [Entitlement(id="e2", person="u2", programme="state", last="2026-11-22")],
    }
    derived = found(a, entitlements=due)
    assert [(visit.programme, visit.claim) for visit in derived.visits] == [("paid", Claim.CLAIMABLE), ("", Claim.NONE)]
    assert derived.visits[1].why is ClaimReason.NO_ENTITLEMENT
    assert [visit.programme for visit in found(a).visits] == ["breakfast-only", "ended"]


def test_another_boot_vouches_for_nothing() -> None:
    a = wrong(Journal())
    a.entry("09:40:00", claim=Claim.HELD)
    a.boot = "b2"
    a.step("09:50:00")
    assert [visit.claim for visit in found(a).visits] == [Claim.HELD]


def test_another_kiosk_with_the_same_boot_name_vouches_for_nothing() -> None:
    a, b = wrong(Journal("A")), Journal("B")
    a.entry("09:40:00", claim=Claim.HELD)
    b.entry("09:45:00", person="u2")
    assert found(a, b).visits[-1].claim is Claim.HELD


def test_a_held_entry_does_not_cost_the_certain_one_its_meal_and_loses_once_it_is_certain() -> None:
    a, b = wrong(Journal("A")), Journal("B", boot="b2")
    uncertain = a.entry("09:39:00", claim=Claim.HELD)
    certain = b.entry("09:40:00")
    assert claims(found(a, b)) == {certain: Claim.CLAIMABLE, uncertain: Claim.HELD}
    a.step("09:50:00")
    assert claims(found(a, b)) == {uncertain: Claim.CLAIMABLE, certain: Claim.SECOND}


def test_breakfast_and_lunch_under_one_wrong_clock_are_two_meals() -> None:
    a = wrong(Journal())
    for clock in ("08:10:00", "09:40:00"):
        a.entry(clock, claim=Claim.HELD, session="", service_date="")
    assert [visit.claim for visit in found(a).visits] == [Claim.HELD, Claim.HELD]
    a.step("09:50:00")
    assert found(a).meals == 2


def test_an_exit_under_the_right_clock_ends_an_entry_under_the_wrong_one() -> None:
    a = wrong(Journal())
    entry = a.entry("09:40:00", claim=Claim.HELD, session="", service_date="")
    a.step("09:45:00")
    a.exit("09:55:00", entry, session="")
    (visit,) = found(a).visits
    assert (visit.entry_time, visit.exit_time, visit.claim) == (local("09:40:00"), local("09:55:00"), Claim.CLAIMABLE)


@pytest.mark.parametrize("at", ["", "yesterday", "2026-11-23T09:40:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
@pytest.mark.parametrize("clock", list(ClockQuality))
def test_a_time_that_cannot_be_holds_the_claim_or_keeps_it_and_stops_nothing(at: str, clock: ClockQuality) -> None:
    a = Journal()
    a.entry("09:40:00")
    odd = a.received[0].event
    assert isinstance(odd, Entry)
    a.received[0] = ReceivedEvent(a.received[0].id, msgspec.structs.replace(odd, at=at, clock=clock, mono_ms=2**53))
    a.clock = ClockQuality.UNSYNCHRONISED
    a.entry("09:41:00", person="u2", claim=Claim.HELD)
    derived = found(a)
    assert len(derived.visits) == 2
    if not at.startswith(("9999", "0001")) or clock is not ClockQuality.SYNCHRONISED:
        assert derived.visits[0].claim is Claim.HELD


# All of it together

steps = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.integers(0, 2_400),  # seconds since 09:30
        st.sampled_from(["u1", "u2"]),
        st.sampled_from(["entry", "entry", "exit", "void", "step", "carried"]),
        st.sampled_from([Claim.CLAIMABLE, Claim.SECOND, Claim.HELD, Claim.NONE]),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(steps, st.booleans(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_the_facts_change_nothing(
    day: list[tuple[str, int, str, str, Claim]], wrong_at_first: bool, dice: random.Random
) -> None:
    journals = {"A": Journal("A"), "B": Journal("B", boot="b2")}
    if wrong_at_first:
        wrong(journals["B"])
    for device, seconds, person, what, claim in sorted(day, key=lambda each: each[1]):
        journal = journals[device]
        clock = f"{9 + (30 * 60 + seconds) // 3600:02d}:{(30 + seconds // 60) % 60:02d}:{seconds % 60:02d}"
        entries = [each.id for each in journal.received if isinstance(each.event, Entry)]
        match what:
            case "entry":
                journal.entry(clock, person, claim)
            case "exit":
                journal.exit(clock, entries[-1] if entries and claim is not Claim.NONE else None, person)
            case "void" if entries:
                journal.void(clock, dice.choice(entries), person)
            case "step":
                journal.step(clock)
            case "carried" if journal.received and not isinstance(journal.received[-1].event, Carried):
                journal.keep(carried(journal, journal.received[-1]))
            case _:
                pass
    received = [each for journal in journals.values() for each in journal.received]
    derived = derive_visits(received, timetable=TIMETABLE, now=EVENING)
    shuffled = [*received, *received[::2]]
    dice.shuffle(shuffled)
    assert derive_visits(shuffled, timetable=TIMETABLE, now=EVENING) == derived
    assert len(derived.visits) == sum(isinstance(each.event, Entry) for each in received)
    billed = Counter(
        (visit.person, visit.session, visit.service_date) for visit in derived.visits if visit.claim is Claim.CLAIMABLE
    )
    assert all(count == 1 for count in billed.values())
    for visit in derived.visits:
        assert (visit.exit is None) == (visit.closing is not VisitClosing.EXIT) or visit.closing is VisitClosing.VOID
        assert visit.exit is not None or visit.exit_time is None
        assert visit.closing is not VisitClosing.OPEN


def test_every_pupil_of_the_largest_school_has_one_meal() -> None:
    a = Journal()
    for number in range(9_000):
        clock = f"09:{30 + number * 30 // 9_000:02d}:{number % 60:02d}"
        entry = a.entry(clock, f"u{number}")
        a.exit("10:05:00", entry, f"u{number}")
    assert found(a).meals == 9_000


def test_by_hand_or_by_card_it_is_the_same_visit() -> None:
    a, b = Journal(), Journal()
    a.entry("09:40:00")
    fields = {"person": "u1", "session": "lunch", "service_date": DAY, "programme": "state", "claim": Claim.CLAIMABLE}
    b.keep(Manual(method=Method.MANUAL, operator="op", note="lost_card", **fields, **b.when("09:40:00")))  # type: ignore[arg-type]
    (by_card,), (by_hand,) = found(a).visits, found(b).visits
    assert replace(by_hand, method=Method.CARD, operator="", note="") == by_card
