"""What an authentic kiosk can claim, and what the ledger makes of it: through HTTP and PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sync.contract.chain import Epoch
from sync.contract.event import Boot, Claim, ClockQuality, Entry, Manual, Method, Void
from sync.contract.roster import DeletedRecord, Entitlement, MealSession, Person, Programme
from sync.contract.visits import ClaimReason, Visit
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.judgement.months import close_month
from sync.ledger.judgement.report import build_report
from sync.ledger.registry import rosters, schools
from tests.sync.ledger.kiosk import Kiosk, accepted, carry, entry

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
MONTH = (date(2026, 11, 1), date(2026, 12, 31))


@pytest.fixture
def lunch(db: psycopg.Connection, school: str) -> str:
    """A school with one lunch on weekdays and ten pupils for whom the state pays. The roster came after the day."""
    bring_roster(db, school)
    return school


def bring_roster(db: psycopg.Connection, school: str) -> None:
    pupils = [f"u{n}" for n in range(10)]
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10", weekdays=(1, 2, 3, 4, 5)),
        Programme(id="state", name="State meals"),
        *(Person(id=id_, given_name="Ә", family_name="Қ") for id_ in pupils),
        *(Entitlement(id=f"{id_}.state", person=id_, programme="state") for id_ in pupils),
    ])  # fmt: skip


def paid(school: str, person: str = "u1", minute: int = 0, day: str = "2026-11-20", **more: Any) -> Entry:
    fields: dict[str, Any] = {"programme": "state", "claim": Claim.CLAIMABLE} | more
    return entry(person, school=school, minute=minute, day=day, **fields)


def judged(db: psycopg.Connection, school: str) -> list[Visit]:
    settle_days(db, school, now=NOW)
    return read_visits(db, school, *MONTH)


def verdicts(db: psycopg.Connection, school: str) -> list[tuple[Claim, ClaimReason]]:
    return [(visit.claim, visit.why) for visit in judged(db, school)]


def test_fifty_invented_people(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(*(paid(lunch, f"invented-{number}", number) for number in range(50)))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [(Claim.HELD, ClaimReason.UNKNOWN_PERSON)] * 50
    lines = build_report(db, lunch, DAY, DAY, now=NOW).lines
    assert [(line.meals, line.held) for line in lines] == [(0, 50)]


def test_fifty_invented_people_at_a_school_without_a_roster(db: psycopg.Connection, school: str, kiosk: Kiosk) -> None:
    kiosk.record(*(paid(school, f"invented-{number}", number) for number in range(50)))
    kiosk.record(paid(school, "u1", 51), paid(school, "u2", 52, claim=Claim.NONE, programme=""))
    accepted(kiosk.send_all())
    waiting = (Claim.HELD, ClaimReason.NO_ROSTER)
    assert verdicts(db, school) == [*[waiting] * 51, (Claim.NONE, ClaimReason.NO_ROSTER)]
    lines = build_report(db, school, DAY, DAY, now=NOW).lines
    assert sum(line.meals for line in lines) == 0
    bring_roster(db, school)  # the first one speaks for the time before it
    assert verdicts(db, school) == [
        *[(Claim.HELD, ClaimReason.UNKNOWN_PERSON)] * 50,
        (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        (Claim.CLAIMABLE, ClaimReason.ENTITLED),
    ]


def test_one_child_with_thirty_invented_sessions(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(*(paid(lunch, "u1", number, session=f"feast-{number}") for number in range(30)))
    kiosk.record(*(paid(lunch, "u1", 30 + number, session="") for number in range(5)))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [
        *[(Claim.HELD, ClaimReason.UNKNOWN_SESSION)] * 30,
        (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),  # without a session it is lunch by its time, once
        *[(Claim.SECOND, ClaimReason.SECOND_MEAL)] * 4,
    ]


def test_back_dated_days(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid(lunch, day="2026-11-20"))
    kiosk.record(*(paid(lunch, day=f"2026-11-{day}") for day in ("16", "17", "18", "19")))
    kiosk.record(paid(lunch, "u2", 50))
    accepted(kiosk.send_all(2))
    assert verdicts(db, lunch) == [
        *[(Claim.HELD, ClaimReason.CHAIN_ORDER)] * 4,
        *[(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)] * 2,
    ]


def test_back_dated_days_in_an_epoch_of_their_own(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    """A kiosk may open a new epoch whenever it likes; what it told before still came before."""
    kiosk.record(paid(lunch, day="2026-11-20"))
    accepted(kiosk.send_all())
    heir = open_epoch(kiosk, "e" * 16)
    heir.record(*(paid(lunch, "u2", day=f"2026-11-{day}") for day in ("16", "17")), paid(lunch, "u2", 50))
    accepted(heir.send_all())
    third = open_epoch(heir, "f" * 16)
    third.record(paid(lunch, "u3", day="2026-11-18"))
    accepted(third.send_all())
    assert verdicts(db, lunch) == [
        *[(Claim.HELD, ClaimReason.CHAIN_ORDER)] * 3,
        *[(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)] * 2,
    ]


def test_back_dated_days_carried_from_an_epoch_that_never_was(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid(lunch, day="2026-11-18"))
    accepted(kiosk.send_all())
    invented = open_epoch(kiosk, "d" * 16)
    invented.record(paid(lunch, "u2", day="2026-11-16"), paid(lunch, "u2", day="2026-11-19"))
    heir = open_epoch(kiosk, "e" * 16)
    heir.record(carry(invented, 1), carry(invented, 2))
    accepted(heir.send_all())
    assert verdicts(db, lunch) == [
        (Claim.HELD, ClaimReason.CHAIN_ORDER),
        *[(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)] * 2,
    ]


def open_epoch(kiosk: Kiosk, epoch: str) -> Kiosk:
    heir = kiosk.twin()
    heir.parent, heir.epoch, heir.payloads = bytes(kiosk.hashes[-1]), Epoch(epoch), []
    return heir


def test_service_dates_that_do_not_fit_the_time(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(*(paid(lunch, service_date=f"2026-11-{day}") for day in ("16", "17", "18", "21", "22")))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [(Claim.HELD, ClaimReason.NOT_SERVED)] * 5


def test_days_to_come(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    today = datetime.now(UTC)
    days = [today + timedelta(days=ahead) for ahead in (2, 9, 16)]
    kiosk.record(*(paid(lunch, day=day.date().isoformat()) for day in days))
    kiosk.record(paid(lunch, at=f"{today:%Y-%m-%dT%H:%M:%S}.000Z", service_date=days[0].date().isoformat()))
    accepted(kiosk.send_all())
    settle_days(db, lunch, now=NOW)
    visits = read_visits(db, lunch, today.date(), days[-1].date())
    assert [(visit.claim, visit.why) for visit in visits] == [(Claim.HELD, ClaimReason.FUTURE)] * 4


def test_a_future_event_does_not_hold_the_honest_ones_behind_it(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk
) -> None:
    kiosk.record(paid(lunch, day="2099-01-05"), paid(lunch))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]


def test_a_suspended_kiosks_facts_are_held_when_it_delivers_them(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk
) -> None:
    kiosk.record(paid(lunch, "u1"))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]
    schools.set_status(db, kiosk.device, "suspended", since=datetime(2026, 11, 20, 4, 30, tzinfo=UTC))
    assert verdicts(db, lunch) == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)]
    schools.set_status(db, kiosk.device, "active")
    kiosk.record(paid(lunch, "u2", 40))
    accepted(kiosk.send(2, 2))
    held = (Claim.HELD, ClaimReason.SUSPENDED)
    assert verdicts(db, lunch) == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED), held]
    schools.set_status(db, kiosk.device, "suspended", since=datetime(2026, 11, 20, tzinfo=UTC))
    assert verdicts(db, lunch) == [held, held]  # it was stolen earlier than was thought at first


def test_held_by_the_kiosk_under_a_good_clock(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid(lunch, claim=Claim.HELD, review=True))
    accepted(kiosk.send_all())
    (visit,) = judged(db, lunch)
    assert (visit.claim, visit.why, visit.recorded_claim) == (Claim.CLAIMABLE, ClaimReason.JUDGED_AGAIN, Claim.HELD)


def test_a_void_at_another_kiosk(db: psycopg.Connection, lunch: str, enrolled: Callable[[], Kiosk]) -> None:
    left, right = enrolled(), enrolled()
    left.record(paid(lunch, "u1"), paid(lunch, "u2"))
    accepted(left.send_all())
    judged(db, lunch)
    right.record(void(left, 1, "u1", void_device=left.device), void(left, 2, "u2"))
    accepted(right.send_all())
    assert verdicts(db, lunch) == [(Claim.NONE, ClaimReason.VOIDED)] * 2


def test_a_void_that_comes_before_its_entry(db: psycopg.Connection, lunch: str, enrolled: Callable[[], Kiosk]) -> None:
    left, right = enrolled(), enrolled()
    left.record(paid(lunch, "u1"))
    right.record(void(left, 1, "u1"))
    accepted(right.send_all())
    assert judged(db, lunch) == []
    accepted(left.send_all())
    assert verdicts(db, lunch) == [(Claim.NONE, ClaimReason.VOIDED)]


def void(kiosk: Kiosk, seq: int, person: str, void_device: str = "") -> Void:
    return Void(
        school=kiosk.school, at="2026-11-25T04:30:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        void_epoch=kiosk.epoch, void_seq=seq, void_device=void_device, person=person, operator="o", note="by mistake",
    )  # fmt: skip


def test_a_terminals_late_rows(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    """The terminal stored a lunch while its network was down; the kiosk passes it on in the evening."""
    evening = Boot(
        school=lunch, at="2026-11-20T15:00:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED, version="1"
    )
    late = {"method": Method.TERMINAL, "boot": "terminal hall"}
    kiosk.record(evening, paid(lunch, "u1", 10, **late), paid(lunch, "u2", 11, day="2026-11-22", **late))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [
        (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        (Claim.HELD, ClaimReason.NOT_SERVED),  # a Sunday
    ]


def test_paper_entries_written_late(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    def written(person: str, day: str, service_date: str) -> Manual:
        return Manual(
            school=lunch, at=f"{day}T06:00:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
            person=person, session="lunch", service_date=service_date, method=Method.MANUAL, programme="state",
            claim=Claim.CLAIMABLE, operator="Cook", note="paper",
        )  # fmt: skip

    kiosk.record(
        paid(lunch, "u0", day="2026-11-24"),
        written("u1", "2026-11-24", "2026-11-20"),  # on Tuesday, of Friday
        written("u2", "2026-11-20", "2026-11-20"),  # with the time of Friday, behind an event of Tuesday
        written("u3", "2026-11-24", "2026-11-22"),  # of a Sunday
    )
    accepted(kiosk.send_all())
    assert {visit.person: (visit.claim, visit.why) for visit in judged(db, lunch)} == {
        "u0": (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        "u1": (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        "u2": (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        "u3": (Claim.HELD, ClaimReason.NOT_SERVED),
    }


def test_a_printed_list_under_a_clock_that_nobody_vouches_for(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    def written(person: str, **more: Any) -> Manual:
        return Manual(
            school=lunch, at="2026-11-23T06:00:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.UNSYNCHRONISED,
            person=person, session="lunch", service_date="2026-11-20", method=Method.MANUAL, programme="state",
            claim=Claim.HELD, operator="Cook", note="no_power", **more,
        )  # fmt: skip

    kiosk.record(written("u1", paper="2026-11-20 lunch 3 A", group="2026-11-20 lunch 3 A"), written("u2"))
    accepted(kiosk.send_all())
    assert {visit.person: (visit.method, visit.day, visit.claim) for visit in judged(db, lunch)} == {
        "u1": (Method.PAPER, "2026-11-20", Claim.CLAIMABLE),
        "u2": (Method.MANUAL, "2026-11-20", Claim.HELD),
    }
    report = build_report(db, lunch, date(2026, 11, 20), date(2026, 11, 20), now=datetime.now(UTC))
    assert [(notice.where, notice.count) for notice in report.notices if notice.kind == "paper list"] == [
        ("2026-11-20 lunch 3 A", 1)
    ]


def test_a_kiosk_that_was_offline_for_weeks_is_judged_by_the_roster_of_that_time(
    db: psycopg.Connection, school: str, kiosk: Kiosk
) -> None:
    people = [Person(id=id_, given_name="Ә", family_name="Қ") for id_ in ("u1", "u2")]
    pays = [Entitlement(id=f"{person.id}.e", person=person.id, programme="state") for person in people]
    session = MealSession(id="lunch", name="Lunch", start="08:30", end="10:10")
    rosters.apply_changes(db, school, [session, *people, *pays], in_force=datetime(2026, 11, 1, tzinfo=UTC))
    leaves = [DeletedRecord(deleted_type="person", id="u1"), DeletedRecord(deleted_type="session", id="lunch")]
    rosters.apply_changes(db, school, leaves, in_force=datetime(2026, 11, 19, tzinfo=UTC))
    kiosk.record(
        paid(school, "u1", day="2026-11-18"), paid(school, "u1", roster=1), paid(school, "u1", 20),
    )  # fmt: skip
    accepted(kiosk.send_all())
    assert verdicts(db, school) == [
        (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),
        (Claim.CLAIMABLE, ClaimReason.AS_RECORDED),  # by the version that it had
        (Claim.HELD, ClaimReason.UNKNOWN_PERSON),
    ]


def test_what_was_recorded_before_the_kiosk_was_registered(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    """Its word alone would be the easiest way to invent a month: the first roster judges it."""
    old = replace(kiosk, epoch=Epoch("00000000000000aa"), payloads=[])
    old.record(paid(lunch, "newcomer"))
    kiosk.record(carry(old, 1))
    accepted(kiosk.send_all())
    assert verdicts(db, lunch) == [(Claim.HELD, ClaimReason.UNKNOWN_PERSON)]


# Closed months


def test_a_closed_month_keeps_its_entitlements_and_takes_late_events(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk
) -> None:
    kiosk.record(paid(lunch, "u1"), paid(lunch, "u9", 1))
    accepted(kiosk.send_all())
    with pytest.raises(NotUnderstood, match="wait to be judged"):
        close_month(db, lunch, "2026-11", now=NOW)
    judged(db, lunch)
    assert close_month(db, lunch, "2026-11", now=NOW)
    assert not close_month(db, lunch, "2026-11", now=NOW)
    gone = [DeletedRecord(deleted_type="entitlement", id=f"u{number}.state") for number in range(10)]
    rosters.apply_changes(db, lunch, gone)
    assert settle_days(db, lunch, now=NOW) == ()
    kiosk.record(paid(lunch, "u2", 30))
    accepted(kiosk.send(3, 3))
    assert verdicts(db, lunch) == [(Claim.CLAIMABLE, ClaimReason.AS_RECORDED)] * 3


def test_no_month_is_closed_that_is_none(db: psycopg.Connection, lunch: str) -> None:
    with pytest.raises(NotUnderstood, match="write it as 2026-11"):
        close_month(db, lunch, "2026-13", now=NOW)
