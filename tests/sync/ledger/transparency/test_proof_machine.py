"""Late events, voids, decisions, contests, rosters and closings in any order: what was stated stays, and is proved.

No statement is ever edited; the newest of each day says what the visits say; and an auditor derives the very same
visits from the exported bytes alone.
"""

from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from sync.audit.archive import encode_line
from sync.audit.audit import AuditReport, TrustedKeys, audit_visits
from sync.audit.school_archive import read_archive
from sync.contract.contests import ContestAnswer, ContestOutcome, sign_answer
from sync.contract.visit import EventId
from sync.ledger import keys
from sync.ledger.judgement import contests
from sync.ledger.judgement.days import settle_days
from sync.ledger.server import LedgerServer
from sync.ledger.transparency.archive_export import export_sheet
from sync.ledger.transparency.statements import read_row_hashes, read_statements, state_days
from sync.money.sheet import SheetSubject
from sync.proof.signer import LogSigner
from sync.proof.statements import make_row, read_row
from sync.proof.tree import HashTree
from tests.sync.ledger.judgement.recomputation import read_by_day
from tests.sync.ledger.judgement.test_judgement_machine import DAYS, NOW, OCTOBER, JudgedSchool


class ProvedSchool(JudgedSchool):
    """A judged school whose days are stated, contested and audited."""

    signer: LogSigner
    receipts_key: bytes

    @precondition(lambda self: self.entries)
    @rule(choice=st.integers(0, 99))
    def contest(self, choice: int) -> None:
        owner, seq, person = self.entries[choice % len(self.entries)]
        settle_days(self.db, self.school, now=NOW)
        if not self.is_judged(owner, seq):
            return
        entry = EventId(self.kiosks[owner].device, self.kiosks[owner].epoch, seq)
        contests.contest_entry(self.db, self.school, person, entry, "", NOW)
        self.touched |= set(DAYS)

    @rule(outcome=st.sampled_from(ContestOutcome))
    def answer(self, outcome: ContestOutcome) -> None:
        for contest in contests.list_contests(self.db, self.school, "", "~", open_only=True)[:1]:
            body, signature = sign_answer(
                ContestAnswer(
                    school=self.school, contest=contest.contest, outcome=outcome, reason="r", officer="o",
                    decided_at="2026-11-30T09:00:00Z",
                ),
                self.key,
            )  # fmt: skip
            contests.answer_contest(self.db, body, signature, self.key.public_key().public_bytes_raw(), NOW)
            self.touched |= set(DAYS)

    @rule()
    def state(self) -> None:
        settle_days(self.db, self.school, now=NOW)
        state_days(self.db, self.school, now=NOW)
        newest: dict[str, int] = {}
        for entry in read_statements(self.db, self.school, "", "~"):
            newest[entry.statement.day] = entry.statement.number
        by_day = read_by_day(self.db, self.school)
        for day, number in newest.items():
            rows = self.db.execute(
                "SELECT body FROM statement_row WHERE school = %s AND day = %s AND number = %s",
                (self.school, day, number),
            )
            assert {read_row(row[0]) for row in rows} == {make_row(visit) for visit in by_day.get(day, [])}
        assert {day for day, visits in by_day.items() if visits} <= newest.keys()

    @invariant()
    def no_statement_is_edited(self) -> None:
        stated = self.__dict__.setdefault("stated", {})
        if not hasattr(self, "school"):
            return
        for entry in read_statements(self.db, self.school, "", "~"):
            statement = entry.statement
            assert stated.setdefault((statement.day, statement.number), statement) == statement
            hashes = read_row_hashes(self.db, self.school, statement.day, statement.number)
            assert HashTree(hashes).root() == statement.root

    def teardown(self) -> None:
        if hasattr(self, "school"):
            self.state()
            self.audit()
        super().teardown()

    def audit(self) -> None:
        lines = export_sheet(
            self.db, SheetSubject(self.school, "state", OCTOBER), self.signer, receipts_key=self.receipts_key,
            witness_key=None, now=NOW,
        )  # fmt: skip
        archive = read_archive({"export": b"".join(map(encode_line, lines))})
        audited = audit_visits(archive, TrustedKeys(ledger=self.signer.ledger_key), ZoneInfo, AuditReport())
        by_day: dict[str, list[Any]] = defaultdict(list)
        for visit in audited.visits:
            by_day[visit.day].append(visit)
        assert by_day == read_by_day(self.db, self.school)


def test_what_was_stated_stays_and_is_proved(db: psycopg.Connection, server: LedgerServer, open_folder: Any) -> None:
    class Machine(ProvedSchool):
        pass

    Machine.db, Machine.url = db, server.url
    Machine.signer = keys.load_or_create_signer(open_folder / "ledger" / "log.key", "canteen.local")
    Machine.receipts_key = keys.load_or_create(open_folder / "ledger" / "receipt.key").public_key().public_bytes_raw()
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=6, stateful_step_count=18, deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )  # fmt: skip
