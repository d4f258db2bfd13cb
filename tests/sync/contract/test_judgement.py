"""The ledger's judgement of entries: each rule, and what goes before it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync.contract.contests import ContestAnswer, ContestOutcome
from sync.contract.event import Claim, ClockQuality, Entry, Event, Manual, Method, Void
from sync.contract.judgement import JudgementBasis, Suspension
from sync.contract.reversals import Reversal
from sync.contract.roster import ClosedDay, Entitlement, MealSession, Person, Record
from sync.contract.roster_history import RecordState, RosterHistory
from sync.contract.visits import ClaimReason, EventId, ReceivedEvent, Visit, VisitClosing, derive_visits
from tests.sync.contract.test_visits import ALMATY, DAY, EVENING, TIMETABLE, local

SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
LUNCH = MealSession(id="lunch", name="Lunch", start="09:30", end="10:10", weekdays=(1, 2, 3, 4, 5))
BREAKFAST = MealSession(id="breakfast", name="Breakfast", start="08:00", end="08:30", weekdays=(1, 2, 3, 4, 5))
ALIYA = Person(id="u1", given_name="Ә", family_name="Қ")
BORIS = Person(id="u2", given_name="Б", family_name="К")
GUEST = Person(id="g1", given_name="Г", family_name="А", home_school="sch-9")
PAYS = Entitlement(id="u1.state", person="u1", programme="state")
GUEST_PAYS = Entitlement(id="g1.state", person="g1", programme="state")
ROSTER: tuple[Record, ...] = (LUNCH, BREAKFAST, ALIYA, BORIS, GUEST, PAYS, GUEST_PAYS)


def states(*records: Record, since: int = 1, until: int = 0) -> list[RecordState]:
    return [RecordState(record, since, until) for record in records]


@dataclass
class School:
    """A school with events, and the basis by which they are judged."""

    roster: Sequence[RecordState] = field(default_factory=lambda: states(*ROSTER))
    versions: dict[int, datetime] = field(default_factory=lambda: {1: SEPTEMBER})
    closed_months: dict[str, int] = field(default_factory=dict)
    suspensions: dict[str, list[Suspension]] = field(default_factory=dict)
    reversals: dict[EventId, Reversal] = field(default_factory=dict)
    contested: dict[EventId, ContestAnswer | None] = field(default_factory=dict)
    received: list[ReceivedEvent] = field(default_factory=list)

    def add(self, event: Event, device: str = "A", epoch: str = "a1", **more: Any) -> EventId:
        event_id = EventId(device, epoch, sum(each.id[:2] == (device, epoch) for each in self.received) + 1)
        more = {"received_at": EVENING} | more
        self.received.append(ReceivedEvent(event_id, event, **more))
        return event_id

    def visits(self) -> list[Visit]:
        history = RosterHistory(self.roster, self.versions, ALMATY, self.closed_months)
        basis = JudgementBasis(
            history=history, suspensions=self.suspensions, reversals=self.reversals, contested=self.contested
        )
        return list(derive_visits(self.received, timetable=TIMETABLE, now=EVENING, basis=basis).visits)

    def verdicts(self) -> list[tuple[Claim, ClaimReason]]:
        return [(visit.claim, visit.why) for visit in self.visits()]


def entry(clock: str = "09:40:00", person: str = "u1", claim: Claim = Claim.CLAIMABLE, **more: Any) -> Entry:
    return Entry(**fields(clock, person, claim, **more))


def uncertain() -> Entry:
    return Entry(**(fields("09:40:00", "u1", Claim.CLAIMABLE) | {"clock": ClockQuality.UNKNOWN}))


def by_hand(clock: str = "09:40:00", person: str = "u1", claim: Claim = Claim.CLAIMABLE, **more: Any) -> Manual:
    act = {"method": Method.MANUAL, "operator": "op", "note": "paper"}
    return Manual(**fields(clock, person, claim, **(act | more)))


def fields(clock: str, person: str, claim: Claim, **more: Any) -> dict[str, Any]:
    at = local(clock).isoformat().replace("+00:00", "Z")
    return {
        "school": "s", "at": at, "boot": "b", "mono_ms": 1, "clock": ClockQuality.SYNCHRONISED, "person": person,
        "session": "lunch", "service_date": DAY, "programme": "state", "claim": claim,
    } | more  # fmt: skip


def void(entry_id: EventId, person: str = "u1", **more: Any) -> Void:
    return Void(
        school="s", at=f"{DAY}T05:00:00Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED, person=person,
        void_epoch=entry_id.epoch, void_seq=entry_id.seq, operator="op", note="wrong person", **more,
    )  # fmt: skip


def decide(entry_id: EventId, claim: Claim, programme: str = "") -> dict[EventId, Reversal]:
    reversal = Reversal(
        school="s", device=entry_id.device, epoch=entry_id.epoch, seq=entry_id.seq, claim=claim, reason="r",
        officer="o", decided_at="2026-11-24T00:00:00Z", programme=programme,
    )  # fmt: skip
    return {entry_id: reversal}


def test_a_printed_list_names_its_meal_whatever_the_clock_says() -> None:
    case = School()
    carl = Person(id="u3", given_name="К", family_name="З")
    case.roster = states(*ROSTER, carl, Entitlement(id="u3.state", person="u3", programme="state"))
    lists: dict[str, Any] = {
        "paper": f"{DAY} lunch 3 A",
        "eaten_from": f"{DAY}T04:40:00Z",
        "eaten_until": f"{DAY}T05:00:00Z",
    }
    scan = case.add(entry())
    case.add(by_hand("18:00:00", **lists))
    doubted = {"clock": ClockQuality.UNKNOWN, "boot": "nobody vouches", "operator": "op"}
    case.add(Manual(**(fields("18:00:00", "u3", Claim.HELD, **lists) | doubted)))
    assert [(visit.person, visit.method, visit.session, visit.claim, visit.first) for visit in case.visits()] == [
        ("u1", Method.CARD, "lunch", Claim.CLAIMABLE, None),
        ("u1", Method.PAPER, "lunch", Claim.SECOND, scan),
        ("u3", Method.PAPER, "lunch", Claim.CLAIMABLE, None),
    ]


HELD = Claim.HELD
ONE_ENTRY = [
    # claimed rightly, or left open by the kiosk
    (entry(), Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
    (entry(claim=Claim.HELD), Claim.CLAIMABLE, ClaimReason.JUDGED_AGAIN),
    (entry(claim=Claim.NONE, programme=""), Claim.CLAIMABLE, ClaimReason.ENTITLED),
    (entry(claim=Claim.SECOND), Claim.CLAIMABLE, ClaimReason.MOVED_UP),
    # nobody pays
    (entry(person="u2"), Claim.NONE, ClaimReason.NO_ENTITLEMENT),
    (entry(person="u2", claim=Claim.NONE, programme=""), Claim.NONE, ClaimReason.AS_RECORDED),
    (entry(person="u9", claim=Claim.NONE, programme=""), Claim.NONE, ClaimReason.AS_RECORDED),
    # guests
    (entry(person="g1", claim=Claim.PENDING), Claim.PENDING, ClaimReason.AS_RECORDED),
    (entry(person="g1", claim=Claim.CLAIMABLE), Claim.PENDING, ClaimReason.GUEST),
    (entry(person="g1", claim=Claim.NONE), Claim.NONE, ClaimReason.AS_RECORDED),
    # doubts
    (entry(person="u9"), HELD, ClaimReason.UNKNOWN_PERSON),
    (entry(person="u9", claim=Claim.PENDING), HELD, ClaimReason.UNKNOWN_PERSON),
    (entry(session="feast"), HELD, ClaimReason.UNKNOWN_SESSION),
    (entry(clock="03:00:00", session="", service_date=""), HELD, ClaimReason.NO_SESSION),
    (entry(session="", service_date=""), Claim.CLAIMABLE, ClaimReason.AS_RECORDED),  # found by its time
    (entry(service_date="2026-11-24"), HELD, ClaimReason.FUTURE),
    (entry(at="2026-11-23T16:00:00Z"), HELD, ClaimReason.FUTURE),
    (entry(service_date="2026-11-20"), HELD, ClaimReason.NOT_SERVED),  # three days before
    (entry(service_date="2026-11-22"), HELD, ClaimReason.NOT_SERVED),  # a Sunday
    (entry(service_date="20261123"), HELD, ClaimReason.FUTURE),  # another spelling would be another meal
    (entry(at="yesterday"), HELD, ClaimReason.CLOCK),
    (uncertain(), HELD, ClaimReason.CLOCK),
    # written late
    (by_hand(service_date="2026-11-20"), Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
    (by_hand(service_date="2026-11-22"), HELD, ClaimReason.NOT_SERVED),
    (by_hand(service_date="2026-11-24"), HELD, ClaimReason.FUTURE),
    (entry(method=Method.TERMINAL, service_date="2026-11-20"), Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
]


@pytest.mark.parametrize(("fact", "claim", "why"), ONE_ENTRY)
def test_one_entry(fact: Entry | Manual, claim: Claim, why: ClaimReason) -> None:
    school = School()
    school.add(fact)
    (visit,) = school.visits()
    assert (visit.claim, visit.why) == (claim, why)
    assert (visit.recorded_claim, visit.recorded_programme) == (fact.claim, fact.programme)


def test_the_programme_is_the_ledgers_and_the_kiosks_stays_beside_it() -> None:
    school = School()
    school.add(entry(programme="voucher"))
    school.add(entry(person="u2", programme="voucher"))
    assert [(visit.programme, visit.recorded_programme) for visit in school.visits()] == [
        ("state", "voucher"),
        ("", "voucher"),
    ]


def test_what_came_late_but_in_its_chains_order_is_normal() -> None:
    school = School()
    school.add(entry(), latest_before=f"{DAY}T04:39:00.000Z", received_at=EVENING + timedelta(days=40))
    assert school.verdicts() == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (entry(), (HELD, ClaimReason.CHAIN_ORDER)),
        (by_hand(), (Claim.CLAIMABLE, ClaimReason.AS_RECORDED)),
        (entry(method=Method.TERMINAL, boot="terminal hall"), (Claim.CLAIMABLE, ClaimReason.AS_RECORDED)),
    ],
)
def test_earlier_than_its_predecessor(fact: Event, expected: tuple[Claim, ClaimReason]) -> None:
    school = School()
    school.add(fact, latest_before=f"{DAY}T04:45:01.000Z")
    assert school.verdicts() == [expected]


def test_a_reading_that_waited_for_its_palm_is_not_out_of_order() -> None:
    school = School()
    school.add(entry(), latest_before=f"{DAY}T04:44:59.000Z")
    assert school.verdicts() == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]


def test_a_kiosks_events_are_held_while_it_was_suspended_and_no_longer() -> None:
    school = School(suspensions={"A": [Suspension(local("09:35:00"), local("09:45:00"))]})
    for clock in ("09:34:59", "09:35:00", "09:44:59", "09:45:00"):
        school.add(entry(clock))
    held = (HELD, ClaimReason.SUSPENDED)
    claimed, second = (Claim.CLAIMABLE, ClaimReason.AS_RECORDED), (Claim.SECOND, ClaimReason.SECOND_MEAL)
    assert school.verdicts() == [claimed, held, held, second]


def test_a_held_entry_takes_no_meal_from_a_good_one() -> None:
    school = School(suspensions={"A": [Suspension(SEPTEMBER)]})
    school.add(entry("09:40:00"))
    school.add(entry("09:41:00"), "B", "b1")
    assert school.verdicts() == [(HELD, ClaimReason.SUSPENDED), (Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]


# Rosters over time


def test_known_is_who_was_on_the_roster_in_force_then() -> None:
    leaves = [*states(*ROSTER[:2], *ROSTER[3:]), *states(ALIYA, until=2)]
    school = School(roster=leaves, versions={1: SEPTEMBER, 2: local("09:40:30")})
    school.add(entry("09:40:00"))
    assert school.verdicts() == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]
    school.received.clear()
    school.add(entry("09:41:00"))
    assert school.verdicts() == [(HELD, ClaimReason.UNKNOWN_PERSON)]


def test_a_kiosk_that_was_offline_judged_by_the_version_that_it_had() -> None:
    leaves = [*states(*ROSTER[:2], *ROSTER[3:]), *states(ALIYA, until=2)]
    school = School(roster=leaves, versions={1: SEPTEMBER, 2: local("09:00:00")})
    school.add(entry(roster=1))
    school.add(entry(person="u1", roster=3))  # a version that never was speaks for nobody
    assert school.verdicts() == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED), (HELD, ClaimReason.UNKNOWN_PERSON)]


def test_a_version_that_came_later_speaks_for_nobody_before() -> None:
    joins = [*states(*ROSTER[:2], *ROSTER[3:]), *states(ALIYA, since=2)]
    school = School(roster=joins, versions={1: SEPTEMBER, 2: local("09:41:00")})
    school.add(entry("09:40:00", roster=2))
    assert school.verdicts() == [(HELD, ClaimReason.UNKNOWN_PERSON)]


def test_the_timetable_is_the_one_in_force_then() -> None:
    moved = MealSession(id="lunch", name="Lunch", start="12:00", end="13:00", weekdays=(2,))
    changed = [*states(*ROSTER[1:]), *states(LUNCH, until=2), *states(moved, since=2)]
    school = School(roster=changed, versions={1: SEPTEMBER, 2: local("12:00:00")})
    school.add(entry())
    assert school.verdicts() == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]
    school.versions[2] = local("00:00:00")
    assert school.verdicts() == [(HELD, ClaimReason.NOT_SERVED)]


def test_a_closed_day_serves_nothing() -> None:
    school = School(roster=states(*ROSTER, ClosedDay(id=DAY)))
    school.add(entry())
    school.add(by_hand(person="u1"))
    assert school.verdicts() == [(HELD, ClaimReason.NOT_SERVED)] * 2


def test_an_entitlement_counts_by_its_own_dates_as_the_newest_roster_states_them() -> None:
    """Granted today with effect from September, or withdrawn so: both happen every month."""
    ended = Entitlement(id="u1.state", person="u1", programme="state", last="2026-11-22")
    granted = Entitlement(id="u2.state", person="u2", programme="state", first="2026-09-01")
    newest = [*states(*ROSTER[:5]), *states(PAYS, until=2), *states(ended, granted, since=2)]
    school = School(roster=newest, versions={1: SEPTEMBER, 2: EVENING})
    school.add(entry())
    school.add(entry(person="u2", claim=Claim.NONE, programme=""))
    after = [(Claim.NONE, ClaimReason.NO_ENTITLEMENT), (Claim.CLAIMABLE, ClaimReason.ENTITLED)]
    assert school.verdicts() == after
    school.closed_months = {"2026-11": 1}
    before = [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED), (Claim.NONE, ClaimReason.AS_RECORDED)]
    assert school.verdicts() == before


def test_no_version_that_came_after_a_months_closing_speaks_about_it() -> None:
    gone = [*states(*ROSTER[:2], *ROSTER[3:]), *states(ALIYA, until=2)]
    school = School(roster=gone, versions={1: SEPTEMBER, 2: local("09:00:00")}, closed_months={"2026-11": 1})
    school.add(entry())
    assert school.verdicts() == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]
    school.closed_months = {"2026-11": 0}
    assert school.verdicts() == [(HELD, ClaimReason.NO_ROSTER)]


def test_the_first_roster_speaks_for_the_time_before_it() -> None:
    school = School(versions={1: EVENING})
    school.add(entry())
    school.add(entry(person="u9"))
    assert school.verdicts() == [
        (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        (HELD, ClaimReason.UNKNOWN_PERSON),
    ]


# Voids and decisions


def test_a_void_at_another_kiosk_that_names_the_kiosk_of_the_entry() -> None:
    school = School()
    first = school.add(entry())
    school.add(void(first, void_device="A"), "B", "a1")
    assert [visit.closing for visit in school.visits()] == [VisitClosing.VOID]


def test_a_void_at_another_kiosk_finds_the_only_event_of_that_number() -> None:
    school = School()
    first = school.add(entry())
    school.add(void(first), "B", "b1")
    assert school.verdicts() == [(Claim.NONE, ClaimReason.VOIDED)]
    school.add(entry(person="u2"), "C", "a1")  # another kiosk's epoch of the same name: whose is meant?
    assert school.verdicts()[0] == (Claim.CLAIMABLE, ClaimReason.AS_RECORDED)


def test_a_void_fits_the_person() -> None:
    school = School()
    first = school.add(entry())
    school.add(void(first, person="u2"))
    school.add(void(first, person="u2", void_device="A"), "B", "b1")
    school.add(void(first, void_device="C"), "B", "b1")
    assert school.verdicts() == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]


def test_a_named_person_decides_against_every_verdict() -> None:
    school = School()
    stranger = school.add(entry(person="u9", programme="voucher"))
    school.reversals = decide(stranger, Claim.CLAIMABLE)
    (visit,) = school.visits()
    assert (visit.claim, visit.why, visit.programme) == (Claim.CLAIMABLE, ClaimReason.REVERSED, "voucher")
    school.reversals = decide(stranger, Claim.CLAIMABLE, "paid")
    assert [visit.programme for visit in school.visits()] == ["paid"]
    school.reversals = decide(stranger, Claim.NONE)
    assert school.verdicts() == [(Claim.NONE, ClaimReason.REVERSED)]


def test_a_named_person_undoes_a_void() -> None:
    school = School()
    first = school.add(entry())
    school.add(void(first))
    school.reversals = decide(first, Claim.CLAIMABLE)
    (visit,) = school.visits()
    assert (visit.claim, visit.closing, visit.counts) == (Claim.CLAIMABLE, VisitClosing.SESSION, True)


def test_a_decision_bills_no_meal_twice() -> None:
    school = School()
    stranger = school.add(entry("09:40:00", person="u1", session="feast"))
    school.add(entry("09:39:00"), "B", "b1")
    twice = school.add(entry("09:41:00"), "B", "b1")
    school.reversals = decide(twice, Claim.CLAIMABLE) | decide(stranger, Claim.CLAIMABLE)
    assert school.verdicts() == [
        (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        (Claim.CLAIMABLE, ClaimReason.REVERSED),
        (Claim.SECOND, ClaimReason.SECOND_MEAL),
    ]


def test_decisions_about_entries_without_a_time_bill_one_meal() -> None:
    school = School()
    first, second = school.add(uncertain()), school.add(uncertain())
    timed = school.add(entry("09:50:00", boot="c"))
    school.reversals = decide(first, Claim.CLAIMABLE) | decide(second, Claim.CLAIMABLE)
    assert {visit.id: (visit.claim, visit.first) for visit in school.visits()} == {
        timed: (Claim.CLAIMABLE, None), first: (Claim.SECOND, timed), second: (Claim.SECOND, timed),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answered", "verdict"),
    [
        ("2026-11-23T00:00:00Z", (Claim.CLAIMABLE, ClaimReason.REVERSED)),  # the decision of the 24th is the later word
        ("2026-11-25T00:00:00Z", (Claim.NONE, ClaimReason.CONTESTED)),
        ("today", (Claim.NONE, ClaimReason.CONTESTED)),
        ("", (Claim.HELD, ClaimReason.CONTESTED)),  # nobody has answered yet
    ],
)
def test_of_an_upheld_contest_and_a_decision_the_later_stands(
    answered: str, verdict: tuple[Claim, ClaimReason]
) -> None:
    school = School()
    meal = school.add(entry())
    answer = ContestAnswer(
        school="s", contest="c", outcome=ContestOutcome.UPHELD, reason="r", officer="o", decided_at=answered
    )
    school.contested = {meal: answer if answered else None}
    school.reversals = decide(meal, Claim.CLAIMABLE)
    assert school.verdicts() == [verdict]


def test_a_decision_against_the_first_lets_the_next_move_up() -> None:
    school = School()
    first = school.add(entry("09:40:00"))
    school.add(entry("09:50:00", claim=Claim.SECOND))
    school.reversals = decide(first, Claim.NONE)
    assert school.verdicts() == [(Claim.NONE, ClaimReason.REVERSED), (Claim.CLAIMABLE, ClaimReason.MOVED_UP)]
