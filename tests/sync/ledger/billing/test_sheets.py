"""Sheets in the ledger: proposed, objected to, signed, handed in once, closed, corrected."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sync.contract.visit import Visit
from sync.errors import Wording
from sync.ledger.billing import sheet_signers, sheet_store, sheets, terms
from sync.ledger.billing.signatures import RegisteredSigner, SignatureRefused
from sync.ledger.errors import NotUnderstood
from sync.money.building import SheetFacts, build_sheet
from sync.money.calendars import Calendar, CalendarSpan, take_six_days
from sync.money.canonical import decode_sheet, digest_sheet
from sync.money.errors import ActRefused, SheetUnreadable, TermsMissing, TermsWrong
from sync.money.protocol import ClosingObstacle, HandedSignature, Objection, SheetProcess, SheetSide, SheetState
from sync.money.sheet import SheetSubject, sum_billed
from sync.money.tariffs import TariffBook
from tests.sync.ledger.kiosk import new_school
from tests.sync.money.school import MONTH, PRICE, SUBJECT, facts, pupil, visit

NOW = datetime(2025, 12, 2, 9, tzinfo=UTC)
CATERER, SCHOOL, CITY = SheetSide.CATERER, SheetSide.SCHOOL, SheetSide.CITY
PEOPLE = [pupil("p1"), pupil("p2"), pupil("p3")]


@pytest.fixture
def november(calendar: Calendar, tariffs: TariffBook) -> SheetFacts:
    return facts([visit("p1", 3), visit("p2", 3), visit("p1", 4)], PEOPLE, calendar, tariffs)


@pytest.fixture
def subject(school: str) -> SheetSubject:
    return replace(SUBJECT, school=school)


class Party:
    """A side with a key of its own, which the ledger never sees."""

    def __init__(
        self, db: psycopg.Connection, school: str, side: SheetSide, form: Callable[[bytes], bytes] = bytes
    ) -> None:
        """`form`: how the signature is written when it is handed in."""
        self._db, self._school, self.side, self._form = db, school, side, form
        self._key = Ed25519PrivateKey.generate()
        signer = RegisteredSigner("ed25519", self._key.public_key().public_bytes_raw().hex(), f"{side} person")
        sheet_signers.add_signer(db, school, side, signer, by="city", now=NOW)

    def verify(self, content: bytes) -> HandedSignature:
        signature = self._form(self._key.sign(content))
        return sheet_signers.verify_signature(self._db, self._school, self.side, "ed25519", content, signature)

    def hand_in(self, subject: SheetSubject, content: bytes) -> sheets.ActOutcome:
        signed, signature = self.verify(content), self._form(self._key.sign(content))
        return sheets.hand_in(self._db, subject, signed, signature, by="office", now=NOW)


@pytest.fixture
def caterer(db: psycopg.Connection, school: str) -> Party:
    return Party(db, school, CATERER)


@pytest.fixture
def principal(db: psycopg.Connection, school: str) -> Party:
    return Party(db, school, SCHOOL)


def propose(db: psycopg.Connection, subject: SheetSubject, given: SheetFacts) -> bytes:
    sheets.propose(db, subject, given, by="caterer", now=NOW)
    return sheet_store.read_version(db, subject).body


def agree(db: psycopg.Connection, subject: SheetSubject, given: SheetFacts, *parties: Party) -> str:
    content = propose(db, subject, given)
    for party in parties:
        party.hand_in(subject, content)
    return digest_sheet(content)


def test_proposed_agreed_closed(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party, principal: Party
) -> None:
    outcome = sheets.propose(db, subject, november, by="caterer", now=NOW)
    assert (outcome.process.state, outcome.process.version, outcome.recognised) == (SheetState.PROPOSED, 1, False)
    assert sheets.propose(db, subject, november, by="school", now=NOW).recognised
    content = sheet_store.read_version(db, subject).body
    assert digest_sheet(content) == outcome.process.digest
    assert decode_sheet(content).tiyn == 3 * PRICE
    assert caterer.hand_in(subject, content).process.state is SheetState.PROPOSED
    with pytest.raises(ActRefused, match="not agreed; no signature of the school; let both"):
        sheets.close(db, subject, digest_sheet(content), (), by="city", now=NOW)
    assert principal.hand_in(subject, content).process.state is SheetState.AGREED
    closed = sheets.close(db, subject, digest_sheet(content), (), by="city", now=NOW)
    assert closed.process.state is SheetState.CLOSED
    kinds = [record.kind for record in sheet_store.read_acts(db, subject)]
    assert kinds == ["proposal", "signature", "signature", "closing"]
    assert sheet_store.list_subjects(db, subject.school) == [subject]


def test_handed_in_and_closed_exactly_once(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party, principal: Party
) -> None:
    first = propose(db, subject, november)
    assert not caterer.hand_in(subject, first).recognised
    assert caterer.hand_in(subject, first).recognised
    later = replace(november, visits=[*november.visits, visit("p3", 5)])
    second = propose(db, subject, later)
    with pytest.raises(ActRefused, match=r"this is version 1 .* version 2 is in force; download"):
        caterer.hand_in(subject, first)
    with pytest.raises(ActRefused, match="of no version of"):
        caterer.hand_in(subject, second.replace(b'"p3"', b'"p4"'))
    caterer.hand_in(subject, second)
    principal.hand_in(subject, second)
    digest = digest_sheet(second)
    sheets.close(db, subject, digest, (), by="city", now=NOW)
    assert sheets.close(db, subject, digest, (), by="city", now=NOW).recognised
    assert caterer.hand_in(subject, second).recognised  # sent in again: nothing happens
    with pytest.raises(ActRefused, match=r"is closed with digest .* a month closes once"):
        sheets.close(db, subject, digest_sheet(first), (), by="city", now=NOW)
    with pytest.raises(ActRefused, match="is closed and never changes; put what came later into a correction sheet"):
        sheets.propose(db, subject, november, by="caterer", now=NOW)


def test_terms_that_change_nothing_of_the_month_make_no_version(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party
) -> None:
    caterer.hand_in(subject, propose(db, subject, november))
    storm = CalendarSpan(first=date(2026, 3, 3))
    march = replace(november, calendar=msgspec.structs.replace(november.calendar, remote=(storm,)))
    assert sheets.propose(db, subject, march, by="caterer", now=NOW).recognised
    assert sheets.find_changes(db, subject, march) == ()
    here = CalendarSpan(first=date(2025, 11, 4))
    remote = replace(november, calendar=msgspec.structs.replace(november.calendar, remote=(here,)))
    assert sheets.find_changes(db, subject, remote)
    assert sheets.propose(db, subject, remote, by="caterer", now=NOW).process.version == 2


def test_an_objection_names_lines_and_makes_the_next_version(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party, principal: Party
) -> None:
    content = propose(db, subject, november)
    caterer.hand_in(subject, content)
    lines = (("p1", "lunch"),)
    wrong = Objection(SCHOOL, 1, (("p9", "lunch"),), "")
    with pytest.raises(ActRefused, match="no line p9:lunch"):
        sheets.object_to(db, subject, wrong, november, by="principal", now=NOW)
    with pytest.raises(ActRefused, match="the caterer has signed version 1"):
        sheets.object_to(db, subject, Objection(CATERER, 1, lines, ""), november, by="cook", now=NOW)
    objection = Objection(SCHOOL, 1, lines, "was ill on the 4th")
    outcome = sheets.object_to(db, subject, objection, november, by="principal", now=NOW)
    assert (outcome.process.version, outcome.process.state) == (2, SheetState.PROPOSED)
    assert outcome.process.missing_sides == (CATERER, SCHOOL)  # the caterer signed version 1
    second = sheet_store.read_version(db, subject)
    assert decode_sheet(second.body).objections[0].person == "p1"
    assert b"ill" not in second.body
    with pytest.raises(ActRefused, match=r"version 1 of .* is not in force"):
        sheets.object_to(db, subject, objection, november, by="principal", now=NOW)
    assert agree(db, subject, november, caterer, principal) == second.digest
    assert sheet_store.read_version(db, subject, 1).body == content


def test_a_click_confirms_and_agrees_to_nothing(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts
) -> None:
    digest = digest_sheet(propose(db, subject, november))
    for side in (CATERER, SCHOOL):
        outcome = sheets.confirm(db, subject, side, digest, by="somebody", now=NOW)
    assert outcome.process.state is SheetState.PROPOSED
    assert len(outcome.process.confirmations) == 2
    assert sheets.confirm(db, subject, SCHOOL, digest, by="somebody", now=NOW).recognised


def test_obstacles_keep_a_sheet_from_closing(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party, principal: Party
) -> None:
    digest = agree(db, subject, november, caterer, principal)
    assert sheets.find_changes(db, subject, november) == ()
    later = replace(november, visits=[*november.visits, visit("p3", 5)])
    (changed,) = sheets.find_changes(db, subject, later)
    obstacles = [changed, ClosingObstacle("a day", "wait", Wording("obstacle.open_days", days="", count=1))]
    with pytest.raises(ActRefused, match=r"rows of .* have changed since version 1; a day; propose it again .*; wait"):
        sheets.close(db, subject, digest, obstacles, by="city", now=NOW)
    assert sheet_store.read_process(db, subject).state is SheetState.AGREED


def test_what_comes_after_the_closing_goes_to_numbered_corrections(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party, principal: Party
) -> None:
    with pytest.raises(ActRefused, match="is not closed; propose it again"):
        sheets.next_correction(db, subject.school, "state", MONTH)
    sheets.close(db, subject, agree(db, subject, november, caterer, principal), (), by="city", now=NOW)
    first = sheets.next_correction(db, subject.school, "state", MONTH)
    assert first == replace(subject, number=1)
    with pytest.raises(ActRefused, match="nothing of state 2025-11 differs"):
        sheets.propose(db, first, november, by="caterer", now=NOW)
    with pytest.raises(ActRefused, match="correction 1 is not closed yet"):
        sheets.propose(db, replace(subject, number=2), november, by="caterer", now=NOW)
    later = replace(november, visits=[*november.visits[:2], visit("p3", 5)])
    sheets.close(db, first, agree(db, first, later, caterer, principal), (), by="city", now=NOW)
    second = sheets.next_correction(db, subject.school, "state", MONTH)
    sheets.close(db, second, agree(db, second, november, caterer, principal), (), by="city", now=NOW)
    closed = [sheet for _, sheet in sheet_store.read_closed(db, subject.school, "state", MONTH)]
    assert [(sheet.meals, sheet.tiyn) for sheet in closed] == [(3, 3 * PRICE), (0, 0), (0, 0)]
    assert closed[2].base == tuple(
        digest for digest, _ in sheet_store.read_closed(db, subject.school, "state", MONTH)[:2]
    )


def test_a_correction_that_has_lost_its_reason_can_still_be_agreed(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party, principal: Party
) -> None:
    sheets.close(db, subject, agree(db, subject, november, caterer, principal), (), by="city", now=NOW)
    first = replace(subject, number=1)
    propose(db, first, replace(november, visits=november.visits[:2]))
    assert agree(db, first, november, caterer, principal)
    assert decode_sheet(sheet_store.read_version(db, first).body).corrections == ()


def test_a_signature_of_the_other_side_or_a_retired_signer_is_refused(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party
) -> None:
    content = propose(db, subject, november)
    caterer.side = SCHOOL
    with pytest.raises(SignatureRefused, match="no registered key of this side"):
        caterer.hand_in(subject, content)
    caterer.side = CATERER
    (signer,) = sheet_signers.list_signers(db, subject.school, CATERER, "ed25519")
    sheet_signers.retire_signer(db, subject.school, CATERER, "ed25519", signer.material, now=NOW)
    with pytest.raises(SignatureRefused, match="register the key"):
        caterer.hand_in(subject, content)
    with pytest.raises(NotUnderstood, match="no such signer"):
        sheet_signers.retire_signer(db, subject.school, SCHOOL, "ed25519", signer.material, now=NOW)
    for scheme, material in (("ed25519", "zz"), ("cms", "BIN1")):
        wrong = RegisteredSigner(scheme, material, "x")
        with pytest.raises(NotUnderstood):
            sheet_signers.add_signer(db, subject.school, CATERER, wrong, by="city", now=NOW)


def test_nobody_signs_for_both_sides(db: psycopg.Connection, school: str, caterer: Party, principal: Party) -> None:
    """One certificate may be registered by several attributes of its subject; one key has one way to be named."""
    (signer,) = sheet_signers.list_signers(db, school, CATERER, "ed25519")
    with pytest.raises(NotUnderstood, match=r"signs for the caterer of .* already, and nobody signs for two sides"):
        sheet_signers.add_signer(db, school, SCHOOL, signer, by="city", now=NOW)
    db.execute("UPDATE sheet_signer SET material = upper(material) WHERE school = %s AND side = %s", (school, CATERER))
    sheet_signers.add_signer(db, school, SCHOOL, signer, by="city", now=NOW)  # the same key, written in another way
    for side in (SCHOOL, CATERER):
        caterer.side = side
        with pytest.raises(SignatureRefused, match=r"signs for the .* too, and nobody signs for two sides"):
            caterer.verify(b"a sheet")
    assert principal.verify(b"a sheet").side is SCHOOL


def test_bytes_that_somebody_changed_in_the_table_are_not_shown(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts
) -> None:
    propose(db, subject, november)
    db.execute("UPDATE sheet_version SET body = body || ' ' WHERE school = %s", (subject.school,))
    with pytest.raises(SheetUnreadable, match=r"are not those of digest .*; restore the table"):
        sheet_store.read_version(db, subject)


def test_terms_come_in_versions(db: psycopg.Connection, school: str, calendar: Calendar, tariffs: TariffBook) -> None:
    with pytest.raises(TermsMissing, match="has no tariffs; import them"):
        terms.read_tariffs(db, school)
    assert terms.import_calendar(db, school, calendar, by="city", now=NOW).version == 1
    assert not terms.import_calendar(db, school, calendar, by="city", now=NOW).changed
    assert terms.import_calendar(db, school, take_six_days(calendar), by="city", now=NOW).version == 2
    assert terms.read_calendars(db, school) == (take_six_days(calendar),)
    assert terms.import_tariffs(db, school, tariffs, by="city", now=NOW).changed
    assert not terms.import_tariffs(db, school, tariffs, by="city", now=NOW).changed
    assert terms.read_tariffs(db, school) == tariffs
    twin = msgspec.structs.replace(calendar, id="twin", first=date(2026, 5, 26), last=date(2026, 8, 31))
    with pytest.raises(TermsWrong, match="twin and school-2025-26 speak for the same months"):
        terms.import_calendar(db, school, twin, by="city", now=NOW)
    camp = msgspec.structs.replace(twin, kind="camp")
    assert terms.import_calendar(db, school, camp, by="city", now=NOW).changed
    with pytest.raises(NotUnderstood, match="no school 'nowhere'"):
        terms.import_calendar(db, "nowhere", calendar, by="city", now=NOW)


class SheetMachine(RuleBasedStateMachine):
    """One month at one school under any order of acts. `billed` is what the closed sheets must sum to."""

    db: psycopg.Connection
    start: SheetFacts
    parties: tuple[Party, Party]
    _numbers = itertools.count(10_000)

    def __init__(self) -> None:
        super().__init__()
        self.subject = replace(SUBJECT, school=new_school(self.db))
        self.parties = (Party(self.db, self.subject.school, CATERER), Party(self.db, self.subject.school, SCHOOL))
        self.facts = self.start
        self.closed_facts: SheetFacts | None = None
        self.signed: dict[SheetSide, str] = {}

    def _process(self) -> SheetProcess:
        return sheet_store.read_process(self.db, self.subject)

    @rule(person=st.sampled_from(["p1", "p2", "p3"]), day=st.sampled_from([3, 4, 5, 6, 7]))
    def late_row(self, person: str, day: int) -> None:
        self.facts = replace(self.facts, visits=[*self.facts.visits, visit(person, day, next(self._numbers))])

    @precondition(lambda self: self.facts.visits)
    @rule(place=st.integers(0, 50))
    def void_row(self, place: int) -> None:
        visits: list[Visit] = list(self.facts.visits)
        visits.pop(place % len(visits))
        self.facts = replace(self.facts, visits=visits)

    @rule()
    def propose(self) -> None:
        before = self._process()
        try:
            after = sheets.propose(self.db, self.subject, self.facts, by="x", now=NOW)
        except ActRefused:
            unchanged = self.subject.number > 0 and self._billed() == self._newest()
            assert before.state is SheetState.CLOSED or (before.version == 0 and unchanged)
            return
        if not after.recognised:
            self.signed = {}
            assert after.process.version == before.version + 1

    @rule(side=st.sampled_from([0, 1]), stale=st.booleans())
    def sign(self, side: int, stale: bool) -> None:
        process = self._process()
        version = 1 if stale else 0
        if process.version == 0:
            return
        content = sheet_store.read_version(self.db, self.subject, version).body
        if digest_sheet(content) != process.digest:
            with pytest.raises(ActRefused):
                self.parties[side].hand_in(self.subject, content)
            return
        outcome = self.parties[side].hand_in(self.subject, content)
        assert outcome.recognised == (self.parties[side].side in self.signed)
        self.signed[self.parties[side].side] = process.digest

    @rule(side=st.sampled_from([CATERER, SCHOOL, CITY]), row=st.integers(0, 5))
    def object(self, side: SheetSide, row: int) -> None:
        process = self._process()
        if process.version == 0:
            return
        sheet = decode_sheet(sheet_store.read_version(self.db, self.subject).body)
        keys = [each.key for each in sheet.rows] + [each.key for each in sheet.corrections]
        lines = (keys[row % len(keys)],) if keys else (("p1", "lunch"),)
        try:
            objection = Objection(side, process.version, lines, "")
            after = sheets.object_to(self.db, self.subject, objection, self.facts, by="x", now=NOW)
        except ActRefused:
            assert process.state is SheetState.CLOSED or side in self.signed or not keys
            return
        assert after.process.version == process.version + 1
        self.signed = {}

    @rule()
    def close(self) -> None:
        process = self._process()
        if process.version == 0:
            return
        obstacles = () if process.state is SheetState.CLOSED else sheets.find_changes(self.db, self.subject, self.facts)
        try:
            outcome = sheets.close(self.db, self.subject, process.digest, obstacles, by="city", now=NOW)
        except ActRefused:
            assert len(self.signed) < 2 or obstacles
            return
        if not outcome.recognised:
            assert len(self.signed) == 2
            self.closed_facts = self.facts

    @rule()
    def run_through(self) -> None:
        """Everybody agrees with what stands, so that machines come to corrections of corrections."""
        self.propose()
        for side in (0, 1):
            self.sign(side, stale=False)
        self.close()
        self.correct()

    @rule()
    def correct(self) -> None:
        if self._process().state is SheetState.CLOSED:
            self.subject = sheets.next_correction(self.db, self.subject.school, "state", MONTH)
            self.signed = {}

    def _billed(self) -> dict[tuple[str, str], tuple[frozenset[int], int]]:
        closed = sheet_store.read_closed(self.db, self.subject.school, "state", MONTH)
        summed = sum_billed(sheet for _, sheet in closed)
        return {key: (row.days, row.tiyn) for key, row in summed.items() if row.days or row.tiyn}

    def _newest(self) -> dict[tuple[str, str], tuple[frozenset[int], int]]:
        summed = sum_billed([build_sheet(replace(self.subject, number=0), 1, self.facts)])
        return {key: (row.days, row.tiyn) for key, row in summed.items() if row.days or row.tiyn}

    @invariant()
    def what_is_closed_is_what_was_true_when_it_closed(self) -> None:
        if self.closed_facts is not None:
            newest = sum_billed([build_sheet(replace(self.subject, number=0), 1, self.closed_facts)])
            expected = {key: (row.days, row.tiyn) for key, row in newest.items() if row.days or row.tiyn}
            assert self._billed() == expected


@pytest.mark.parametrize("examples", [25, pytest.param(1000, marks=pytest.mark.soak)])
def test_any_order_of_acts_keeps_the_sheet_true(db: psycopg.Connection, november: SheetFacts, examples: int) -> None:
    machine = type("Machine", (SheetMachine,), {"db": db, "start": november})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None,
                                   suppress_health_check=list(HealthCheck)),
    )  # fmt: skip


def test_a_closing_is_logged_once(
    db: psycopg.Connection, subject: SheetSubject, november: SheetFacts, caterer: Party,
    principal: Party,
) -> None:  # fmt: skip
    digest = agree(db, subject, november, caterer, principal)
    for _ in range(2):
        sheets.close(db, subject, digest, (), by="city", now=NOW)
    rows = db.execute("SELECT leaf FROM log_leaf WHERE school = %s AND log = 'claims'", (subject.school,)).fetchall()
    assert rows == [(f"canteen sheet v1\n{MONTH}\nstate\n0\n{digest}\n".encode(),)]
