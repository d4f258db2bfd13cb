"""Settled days: what marks them, what is read again, and that they equal a recomputation from the bytes."""

import random
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.contract.chain import Epoch
from sync.contract.event import Claim, ClockQuality, Entry, Event, Exit, Manual, Method, Void
from sync.contract.flags import FlagThresholds
from sync.contract.roster import Entitlement, MealSession, Person
from sync.contract.visits import ClaimReason, VisitClosing
from sync.ledger.judgement.day_marks import mark_dirty
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.judgement.judgement_basis import read_basis
from sync.ledger.judgement.months import close_month
from sync.ledger.judgement.report_flags import read_flags
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer
from tests.conftest import CITUS_URL
from tests.sync.ledger.judgement.recomputation import read_by_day, recompute_flags, recompute_visits
from tests.sync.ledger.kiosk import Kiosk, accepted, carry, entry, new_school

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
SPAN = (date(2026, 11, 1), date(2026, 11, 30))
FEW = FlagThresholds(burst_window_ms=600_000, burst_acts=2, burst_people=3, pile_gap_ms=300_000, pile_cards=2)
FRIDAY = date(2026, 11, 20)
PEOPLE = ("u0", "u1", "u2")


@pytest.fixture
def lunch(db: psycopg.Connection, school: str) -> str:
    add_roster(db, school)
    return school


def add_roster(db: psycopg.Connection, school: str) -> None:
    """Breakfast and lunch, and three pupils of whom the state pays for two."""
    rosters.apply_changes(db, school, [
        MealSession(id="breakfast", name="Breakfast", start="08:00", end="08:30"),
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        *(Person(id=id_, given_name="Ә", family_name="Қ") for id_ in PEOPLE),
        *(Entitlement(id=f"{id_}.state", person=id_, programme="state") for id_ in PEOPLE[:2]),
    ], in_force=datetime(2026, 11, 1, tzinfo=UTC))  # fmt: skip


def paid(school: str, person: str = "u1", minute: int = 0, day: str = "2026-11-20", **more: Any) -> Entry:
    fields: dict[str, Any] = {"programme": "state", "claim": Claim.CLAIMABLE} | more
    return entry(person, school=school, minute=minute, day=day, **fields)


def void(kiosk: Kiosk, seq: int, person: str = "u1", day: str = "2026-11-24") -> Void:
    return Void(
        school=kiosk.school, at=f"{day}T04:30:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        void_epoch=kiosk.epoch, void_seq=seq, person=person, operator="o", note="by mistake",
    )  # fmt: skip


def read_versions(db: psycopg.Connection, school: str) -> list[tuple[str, int]]:
    return db.execute("SELECT day, version FROM settled_day WHERE school = %s ORDER BY day", (school,)).fetchall()


def test_only_days_with_something_new_are_judged_again(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    assert settle_days(db, lunch, now=NOW) == ()
    kiosk.record(paid(lunch), paid(lunch, day="2026-11-21"))
    accepted(kiosk.send_all())
    assert settle_days(db, lunch, now=NOW) == ("2026-11-20", "2026-11-21")
    assert settle_days(db, lunch, now=NOW) == ()
    kiosk.record(paid(lunch, "u0", day="2026-11-21"))
    accepted(kiosk.send(3, 3))
    assert settle_days(db, lunch, now=NOW) == ("2026-11-21",)
    assert [visit.person for visit in read_visits(db, lunch, FRIDAY, date(2026, 11, 21))] == ["u1", "u1", "u0"]
    assert read_versions(db, lunch) == [
        ("2026-11-20", 1),
        ("2026-11-21", 2),
    ]


def test_a_later_void_marks_the_day_of_its_entry(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid(lunch))
    accepted(kiosk.send_all())
    settle_days(db, lunch, now=NOW)
    kiosk.record(void(kiosk, 1))
    accepted(kiosk.send(2, 2))
    assert settle_days(db, lunch, now=NOW) == ("2026-11-20",)
    assert [visit.closing for visit in read_visits(db, lunch, FRIDAY, FRIDAY)] == [VisitClosing.VOID]


def test_clock_evidence_marks_all_days_of_its_boot(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    """The kiosk stood a week behind. Its two days are marked, and those on which its children really came."""
    wrong: dict[str, Any] = {"clock": ClockQuality.UNSYNCHRONISED, "claim": Claim.HELD}
    kiosk.record(
        paid(lunch, "u0", day="2026-11-13", mono_ms=0, **wrong),
        paid(lunch, "u1", day="2026-11-14", mono_ms=86_400_000, **wrong),
    )
    accepted(kiosk.send_all())
    assert settle_days(db, lunch, now=NOW) == ("2026-11-13", "2026-11-14")
    right = paid(lunch, "u2", 60, day="2026-11-21", claim=Claim.NONE, programme="", mono_ms=90_000_000)
    kiosk.record(right)
    accepted(kiosk.send(3, 3))
    assert {"2026-11-13", "2026-11-14", "2026-11-20", "2026-11-21"} <= set(settle_days(db, lunch, now=NOW))
    visits = read_visits(db, lunch, date(2026, 11, 1), date(2026, 11, 30))
    assert [(visit.person, visit.day, visit.claim) for visit in visits] == [
        ("u0", "2026-11-20", Claim.CLAIMABLE),
        ("u1", "2026-11-21", Claim.CLAIMABLE),
        ("u2", "2026-11-21", Claim.NONE),
    ]


def test_a_new_roster_marks_the_settled_days(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid(lunch))
    accepted(kiosk.send_all())
    settle_days(db, lunch, now=NOW)
    rosters.apply_changes(db, lunch, [Person(id="u9", given_name="Ә", family_name="Қ")])
    assert settle_days(db, lunch, now=NOW) == ("2026-11-20",)
    assert read_versions(db, lunch) == [("2026-11-20", 1)]  # judged again, and the same


def test_no_roster_after_the_closing_changes_an_entry_without_a_time(
    db: psycopg.Connection, lunch: str, kiosk: Kiosk
) -> None:
    """Nothing vouches for its clock: it counts on the day that it names, by the roster of that day's closing."""
    wrong: dict[str, Any] = {"clock": ClockQuality.UNSYNCHRONISED, "claim": Claim.NONE, "session": "", "programme": ""}
    kiosk.record(*(paid(lunch, person, service_date="", **wrong) for person in ("u1", "u9")))
    accepted(kiosk.send_all())
    settle_days(db, lunch, now=NOW)
    assert close_month(db, lunch, "2026-11", now=NOW)
    rosters.apply_changes(db, lunch, [
        Entitlement(id="u1.state", person="u1", programme="state", first="2026-11-20"),
        Entitlement(id="u9.state", person="u9", programme="state"),
        Person(id="u9", given_name="Ә", family_name="Қ"),
    ])  # fmt: skip
    settle_days(db, lunch, now=NOW)
    kept = read_by_day(db, lunch)
    assert [(visit.claim, visit.why) for visit in kept["2026-11-20"]] == [
        (Claim.HELD, ClaimReason.CLOCK),
        (Claim.NONE, ClaimReason.AS_RECORDED),
    ]
    assert kept == recompute_visits(db, lunch, NOW)


def test_a_day_stays_marked_while_its_session_runs(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid(lunch))
    accepted(kiosk.send_all())
    during = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
    assert settle_days(db, lunch, now=during) == settle_days(db, lunch, now=during) == ("2026-11-20",)
    assert [visit.closing for visit in read_visits(db, lunch, FRIDAY, FRIDAY)] == [VisitClosing.OPEN]
    assert settle_days(db, lunch, now=NOW) == ("2026-11-20",)
    assert settle_days(db, lunch, now=NOW) == ()


def test_a_batch_under_way_is_not_lost_by_a_settling(
    db: psycopg.Connection, server: LedgerServer, lunch: str, kiosk: Kiosk
) -> None:
    """A transaction marks a day that is marked already; its events are not there yet when the day is settled."""
    kiosk.record(paid(lunch))
    accepted(kiosk.send_all())
    settled: list[tuple[str, ...]] = []

    def settle() -> None:
        with psycopg.connect(server.database_url, autocommit=True) as own:
            settled.append(settle_days(own, lunch, now=NOW))

    with psycopg.connect(server.database_url) as batch:
        mark_dirty(batch, lunch, ["2026-11-20"])
        thread = threading.Thread(target=settle)
        thread.start()
        # On a cluster the lock is a worker's.
        waiting = "citus_lock_waits" if CITUS_URL else "pg_locks WHERE NOT granted"
        while not db.execute(f"SELECT 1 FROM {waiting}").fetchone():
            assert thread.is_alive()
        batch.commit()
    thread.join(30)
    assert settled == [("2026-11-20",)]
    assert settle_days(db, lunch, now=NOW) == ("2026-11-20",)
    assert settle_days(db, lunch, now=NOW) == ()


Step = tuple[int, str, str, int, int, bool]
steps = st.lists(
    st.tuples(
        st.integers(0, 1),  # the kiosk
        st.sampled_from(
            ["entry", "entry", "entry", "manual", "exit", "void", "boot", "send", "epoch", "settle", "roster"]
        ),
        st.sampled_from(PEOPLE),
        st.integers(-3, 40),  # minutes after 08:30, and beyond the session
        st.integers(0, 2),  # the day
        st.booleans(),  # the clock is synchronised
    ),
    max_size=30,
)


class SchoolDays:
    """Two kiosks of a school, driven by steps."""

    def __init__(self, kiosks: list[Kiosk], db: psycopg.Connection, school: str, dice: random.Random) -> None:
        self.kiosks, self.db, self.school, self.dice = kiosks, db, school, dice
        self.sent = [0, 0]
        self.boots = [0, 0]

    def play(self, step: Step) -> None:
        which, what, person, minute, day, synchronised = step
        kiosk = self.kiosks[which]
        true = datetime(2026, 11, 18 + day, 3, 30, tzinfo=UTC) + timedelta(minutes=minute)
        entries = [seq for seq, payload in enumerate(kiosk.payloads, 1) if b'"kind":"entry"' in payload]
        fields = self.fields(which, true, synchronised)
        match what:
            case "entry":
                meal: dict[str, Any] = (
                    {"session": "lunch", "service_date": true.date().isoformat()} if synchronised else {}
                )
                claim = self.dice.choice(list(Claim))
                self.record(which, Entry(person=person, programme="state", claim=claim, **fields, **meal))
            case "manual":
                by_hand: dict[str, Any] = {
                    "method": Method.MANUAL,
                    "note": "n",
                    "operator": "o",
                    "group": self.dice.choice(["", "5a"]),
                }
                meal = {"session": "lunch", "service_date": true.date().isoformat()} if synchronised else {}
                self.record(which, Manual(person=person, programme="state", **fields, **meal, **by_hand))
            case "exit":
                named: dict[str, Any] = (
                    {"entry_epoch": kiosk.epoch, "entry_seq": self.dice.choice(entries)} if entries else {}
                )
                meal = {"session": "lunch", "service_date": true.date().isoformat()}
                self.record(which, Exit(person=person, **fields, **meal, **named))
            case "void" if entries:
                seq = self.dice.choice(entries)
                self.record(
                    which,
                    Void(person=person, void_epoch=kiosk.epoch, void_seq=seq, operator="o", note="n", **fields),
                )
            case "boot":
                self.boots[which] += 1
            case "send":
                self.send(which, self.dice.randrange(1, 8))
            case "epoch":
                self.open_epoch(which)
            case "settle":
                settle_days(self.db, self.school, now=NOW)
            case "roster":
                pay = Entitlement(id="e", person=person, programme=f"p{minute}", first=f"2026-11-{18 + day}")
                rosters.apply_changes(self.db, self.school, [pay])

    def fields(self, which: int, true: datetime, synchronised: bool) -> dict[str, Any]:
        boot_began = datetime(2026, 11, 17, tzinfo=UTC)
        shown = true if synchronised else true - timedelta(days=5, hours=2)
        return {
            "school": self.school, "at": f"{shown:%Y-%m-%dT%H:%M:%S}.000Z", "boot": f"boot-{self.boots[which]}",
            "mono_ms": int((true - boot_began).total_seconds() * 1000),
            "clock": ClockQuality.SYNCHRONISED if synchronised else ClockQuality.UNSYNCHRONISED,
        }  # fmt: skip

    def record(self, which: int, fact: Event) -> None:
        self.kiosks[which].record(fact)

    def send(self, which: int, most: int) -> None:
        kiosk = self.kiosks[which]
        last = min(self.sent[which] + most, len(kiosk.payloads))
        if last > self.sent[which]:
            first = max(1, self.sent[which] - 1) if self.dice.random() < 0.3 else self.sent[which] + 1
            accepted(kiosk.send(first, last))
            self.sent[which] = last

    def open_epoch(self, which: int) -> None:
        """A restored card: what the ledger has of the newest events differs from what is carried over."""
        old, sent = self.kiosks[which], self.sent[which]
        if not sent:
            return
        restored = old.twin()
        if self.dice.random() < 0.5:
            other = Entry(person="u2", claim=Claim.CLAIMABLE, **self.fields(which, NOW - timedelta(days=10), True))
            restored.payloads[sent - 1 :] = []
            restored.record(other, *(payload for payload in old.payloads[sent:]))
        new = replace(old, epoch=Epoch(self.dice.randbytes(8).hex()), parent=bytes(old.hashes[sent]), payloads=[])
        new.record(*(carry(restored, seq) for seq in range(max(1, sent - 1), len(restored.payloads) + 1)))
        self.kiosks[which], self.sent[which] = new, 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.randoms(use_true_random=False))
def test_settled_days_equal_a_recomputation_from_the_bytes(
    db: psycopg.Connection, server: LedgerServer, day: list[Step], dice: random.Random
) -> None:
    school = new_school(db)
    add_roster(db, school)
    codes = [schools.issue_code(db, school, name, NOW) for name in ("left", "right")]
    days = SchoolDays([Kiosk.enrol(server.url, code) for code in codes], db, school, dice)
    try:
        for step in day:
            days.play(step)
        for which in (0, 1):
            days.send(which, 1_000)
        settle_days(db, school, now=NOW)
        assert read_by_day(db, school) == recompute_visits(db, school, NOW)
        timetables = {school: read_basis(db, school).timetable}
        for limits in (FEW, FlagThresholds()):
            assert read_flags(db, timetables, *SPAN, limits) == {school: recompute_flags(db, school, *SPAN, limits)}
    finally:
        for kiosk in days.kiosks:
            kiosk.close()
