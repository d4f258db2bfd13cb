"""Late events, voids, corrections, decisions, rosters, suspensions and closings in any order.

After every settling the kept rows equal a recomputation from the bytes; no meal is billed twice; and what is closed is
changed by no roster.
"""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sync.contract.event import (
    Claim,
    ClockQuality,
    ClockStep,
    Entry,
    Exit,
    Manual,
    Method,
    Refusal,
    Repeat,
    Sighting,
    Void,
)
from sync.contract.reversals import Reversal, sign_reversal
from sync.contract.roster import DeletedRecord, Entitlement, MealSession, Person, Programme
from sync.contract.visits import Visit
from sync.ledger.judgement import reversals
from sync.ledger.judgement.days import settle_days
from sync.ledger.judgement.months import close_month
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer
from tests.sync.ledger.judgement.recomputation import read_by_day, recompute_visits
from tests.sync.ledger.kiosk import Kiosk, accepted, new_school

NOW = datetime.now(UTC)  # the events come to the ledger by the real clock, and none comes later than it is judged
OCTOBER = "2026-10"
DAYS = ("2026-10-29", "2026-10-30", "2026-11-02", "2026-11-03")
PEOPLE = ("u0", "u1", "u2")
RULES = "both/5000/60000/3600000/2700000/600000/600000"

days = st.sampled_from(DAYS)
people = st.sampled_from(PEOPLE)
minutes = st.integers(0, 50)
kiosks = st.integers(0, 1)
claims = st.sampled_from(list(Claim))


class JudgedSchool(RuleBasedStateMachine):
    """A school with two kiosks, driven by rules. Events go out at once."""

    db: psycopg.Connection
    url: str

    @initialize()
    def open_school(self) -> None:
        self.school = new_school(self.db)
        self.versions = itertools.count(1)
        self.change(
            MealSession(id="lunch", name="Lunch", start="08:30", end="09:10"),
            *(Person(id=id_, given_name="Ә", family_name="Қ") for id_ in PEOPLE[:2]),
            *(Entitlement(id=f"{id_}.e", person=id_, programme="state") for id_ in PEOPLE),
            Programme(id="paid", name="Paid meals"),
            Programme(id="state", name="State meals"),
        )
        codes = [schools.issue_code(self.db, self.school, name, NOW) for name in ("left", "right")]
        self.kiosks = [Kiosk.enrol(self.url, code) for code in codes]
        self.key = Ed25519PrivateKey.generate()
        public_key = self.key.public_key().public_bytes_raw()
        reversals.add_officer(self.db, self.school, "o", name="O", role="city", public_key=public_key, now=NOW)
        self.entries: list[tuple[int, int, str]] = []  # kiosk, number, person
        self.closed: dict[str, list[Visit]] = {}
        self.touched: set[str] = set()  # days of the closed month that more than a roster has changed

    def change(self, *changes: Any) -> None:
        # Each version a few days after the one before it: some events fall before, some behind it.
        in_force = datetime(2026, 10, 28, tzinfo=UTC) + timedelta(hours=36 * next(self.versions))
        rosters.apply_changes(self.db, self.school, changes, in_force=in_force)

    def send(self, which: int, event: Any) -> int:
        kiosk = self.kiosks[which]
        kiosk.record(event)
        seq = len(kiosk.payloads)
        accepted(kiosk.send(seq, seq))
        return seq

    def is_judged(self, owner: int, seq: int) -> bool:
        """Returns False where a terminal's late row made a repeat of an entry by hand: nobody can decide about it."""
        kiosk = self.kiosks[owner]
        place = (self.school, kiosk.device, kiosk.epoch, seq)
        query = "SELECT 1 FROM visit WHERE school = %s AND device = %s AND epoch = %s AND seq = %s"
        return self.db.execute(query, place).fetchone() is not None

    def fields(self, day: str, minute: int) -> dict[str, Any]:
        return {
            "school": self.school, "at": f"{day}T03:{20 + minute % 40:02}:00.000Z", "boot": "b", "mono_ms": 1,
            "clock": ClockQuality.SYNCHRONISED,
        }  # fmt: skip

    @rule(which=kiosks, person=people, day=days, minute=minutes, claim=claims, roster=st.integers(0, 4))
    def enter(self, which: int, person: str, day: str, minute: int, claim: Claim, roster: int) -> None:
        event = Entry(
            person=person, session="lunch", service_date=day, programme="paid", claim=claim, roster=roster,
            **self.fields(day, minute),
        )  # fmt: skip
        self.entries.append((which, self.send(which, event), person))
        self.touched.add(day)

    @rule(which=kiosks, person=people, day=days, minute=minutes, kind=st.sampled_from([Entry, Repeat, Exit, Refusal]))
    def tell_late(self, which: int, person: str, day: str, minute: int, kind: type[Sighting]) -> None:
        """A terminal's row, as the kiosk judged it by what it knew when the row came."""
        fields = self.fields(day, minute) | {"boot": "terminal palm SN1"}
        fields |= {"session": "lunch", "service_date": day} if kind is not Refusal else {"reason": "no_session"}
        self.send(which, kind(person=person, method=Method.TERMINAL, scan_rules=RULES, **fields))
        self.touched.add(day)

    @rule(which=kiosks, person=people, day=days, minute=minutes, kind=st.sampled_from([Entry, Repeat]))
    def tell_by_a_wrong_clock(self, which: int, person: str, day: str, minute: int, kind: type[Sighting]) -> None:
        """A row of a terminal that is a day and ten minutes behind; nothing vouches for it before it is confirmed."""
        fields = self.fields(day, minute)
        at = datetime.fromisoformat(fields["at"])
        fields |= {"boot": "terminal palm SN2 1", "mono_ms": int(at.timestamp() * 1000)}
        fields |= {"clock": ClockQuality.UNSYNCHRONISED, "offset_s": -87_000}
        self.send(which, kind(person=person, method=Method.TERMINAL, scan_rules=RULES, **fields))
        self.touched |= set(DAYS)

    @rule(which=kiosks)
    def confirm(self, which: int) -> None:
        fields = self.fields(DAYS[-1], 39)
        terminal_ms = int(datetime.fromisoformat(fields["at"]).timestamp() * 1000) - 87_000_000
        fields |= {"boot": "terminal palm SN2 1", "mono_ms": terminal_ms}
        step = ClockStep(step_ms=87_000_000, before=ClockQuality.UNSYNCHRONISED, operator="op", note="seen", **fields)
        self.send(which, step)
        self.touched |= set(DAYS)

    @rule(which=kiosks, person=people, day=days, of=days)
    def correct_on_paper(self, which: int, person: str, day: str, of: str) -> None:
        event = Manual(
            person=person, session="lunch", service_date=of, programme="paid", claim=Claim.CLAIMABLE,
            method=Method.MANUAL, operator="op", note="paper", **self.fields(day, 0),
        )  # fmt: skip
        self.entries.append((which, self.send(which, event), person))
        self.touched |= {day, of}

    @precondition(lambda self: self.entries)
    @rule(which=kiosks, choice=st.integers(0, 99), day=days, named=st.booleans())
    def void(self, which: int, choice: int, day: str, named: bool) -> None:
        owner, seq, person = self.entries[choice % len(self.entries)]
        void_device = self.kiosks[owner].device if named else ""
        event = Void(
            person=person, void_epoch=self.kiosks[owner].epoch, void_seq=seq, void_device=void_device, operator="op",
            note="n", **self.fields(day, 30),
        )  # fmt: skip
        self.send(which, event)
        self.touched |= set(DAYS)

    @precondition(lambda self: self.entries)
    @rule(choice=st.integers(0, 99), claim=st.sampled_from([Claim.CLAIMABLE, Claim.NONE, Claim.HELD]))
    def reverse(self, choice: int, claim: Claim) -> None:
        owner, seq, _ = self.entries[choice % len(self.entries)]
        settle_days(self.db, self.school, now=NOW)
        if not self.is_judged(owner, seq):
            return
        decision = Reversal(
            school=self.school, device=self.kiosks[owner].device, epoch=self.kiosks[owner].epoch, seq=seq, claim=claim,
            reason="r", officer="o", decided_at="2026-11-30T09:00:00Z",
        )  # fmt: skip
        body, signature = sign_reversal(decision, self.key)
        reversals.store_reversal(self.db, body, signature, self.key.public_key().public_bytes_raw(), NOW)
        self.touched |= set(DAYS)

    @rule(person=people, there=st.booleans())
    def change_person(self, person: str, there: bool) -> None:
        self.change(
            Person(id=person, given_name="Ә", family_name=f"Қ{next(self.versions)}")
            if there
            else DeletedRecord(deleted_type="person", id=person)
        )

    @rule(person=people, first=days, programme=st.sampled_from(["state", "paid"]))
    def change_entitlement(self, person: str, first: str, programme: str) -> None:
        self.change(Entitlement(id=f"{person}.e", person=person, programme=programme, first=first))

    @rule(which=kiosks, day=days)
    def suspend(self, which: int, day: str) -> None:
        since = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        schools.set_status(self.db, self.kiosks[which].device, "suspended", since=since)
        schools.set_status(self.db, self.kiosks[which].device, "active")
        self.touched |= set(DAYS)

    @rule()
    def settle(self) -> None:
        settle_days(self.db, self.school, now=NOW)
        kept = read_by_day(self.db, self.school)
        assert kept == recompute_visits(self.db, self.school, NOW)
        billed = Counter(
            (visit.person, visit.session, visit.service_date)
            for visits in kept.values()
            for visit in visits
            if visit.claim is Claim.CLAIMABLE
        )
        assert set(billed.values()) <= {1}

    @precondition(lambda self: not self.closed)
    @rule()
    def close(self) -> None:
        settle_days(self.db, self.school, now=NOW)
        assert close_month(self.db, self.school, OCTOBER, now=NOW)
        by_day = read_by_day(self.db, self.school)
        self.closed = {day: by_day.get(day, []) for day in DAYS if day.startswith(OCTOBER)}
        self.touched = set()

    @invariant()
    def no_roster_changes_a_closed_day(self) -> None:
        if self.closed:
            kept = read_by_day(self.db, self.school)
            for day in self.closed.keys() - self.touched:
                assert kept.get(day, []) == self.closed[day]

    def teardown(self) -> None:
        if hasattr(self, "school"):
            self.settle()
            for kiosk in self.kiosks:
                kiosk.close()


@pytest.mark.parametrize(
    ("examples", "steps"), [(10, 20), pytest.param(300, 50, marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_kept_visits_follow_from_the_events(
    db: psycopg.Connection, server: LedgerServer, examples: int, steps: int
) -> None:
    class Machine(JudgedSchool):
        pass

    Machine.db, Machine.url = db, server.url
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )  # fmt: skip
