"""Categories change before and after a month is closed: what was closed holds, and corrections say the difference."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sync.audit.archive import AuditFailure, encode_line
from sync.audit.audit import AuditReport, TrustedKeys, audit_files
from sync.contract.roster import Entitlement, MealSession, Person
from sync.ledger import keys
from sync.ledger.billing import sheet_work, terms
from sync.ledger.billing.categories import import_categories, read_category_versions
from sync.ledger.billing.sheet_store import read_closed, read_version
from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.migrate import steps
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer
from sync.ledger.transparency.archive_export import export_sheet
from sync.money.calendars import Calendar
from sync.money.errors import ActRefused
from sync.money.sheet import SheetSubject, sum_billed
from sync.money.tariffs import DailyMark, PayerKind, ProgrammeTerms, Tariff, TariffBook
from sync.proof.leaves import LogName
from sync.proof.signer import LogSigner
from tests.sync.ledger.billing.sheet_school import meal
from tests.sync.ledger.billing.test_sheets import CATERER, SCHOOL, Party
from tests.sync.ledger.kiosk import Kiosk, accepted, new_school

NOW = datetime(2025, 12, 2, 9, tzinfo=UTC)
MONTH = "2025-11"
MEALS = {"u1": (3, 4, 12, 20), "u2": (3, 13, 21), "u3": (5,)}
PRICES = {"": 100, "c1": 70, "c2": 30}
BOOK = TariffBook(
    id="prices", region="r", source="s",
    programmes=(ProgrammeTerms(id="state", payer=PayerKind.STATE, mark=DailyMark.MEAL),),
    tariffs=tuple(
        Tariff(id=f"t{code}", programme="state", tiyn=tiyn, first=date(2025, 9, 1), category=code)
        for code, tiyn in PRICES.items()
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One import: everybody's category from a day on."""

    first: date
    codes: Mapping[str, str]


@dataclass(slots=True)
class PricedSchool:
    """A school whose meals cost by category, beside a plain reckoning of what they must cost."""

    db: psycopg.Connection
    signer: LogSigner
    receipts_key: bytes
    school: str
    parties: list[Party] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def subject(self) -> SheetSubject:
        return SheetSubject(self.school, "state", MONTH)

    def change(self, first: date, codes: Mapping[str, str]) -> None:
        import_categories(self.db, self.school, codes, first=first, by="anna", now=NOW)
        self.changes.append(Change(first, codes))

    def expected(self) -> dict[str, int]:
        """What each child's meals cost by the newest of those changes that are in force on the day."""
        sums = {}
        for person, days in MEALS.items():
            sums[person] = 0
            for day in days:
                counting = [change for change in self.changes if change.first <= date(2025, 11, day)]
                sums[person] += PRICES[counting[-1].codes.get(person, "") if counting else ""]
        return sums

    def billed(self) -> dict[str, int]:
        closed = [sheet for _, sheet in read_closed(self.db, self.school, "state", MONTH)]
        return {person: row.tiyn for (person, _), row in sum_billed(closed).items() if row.tiyn}

    def close(self, subject: SheetSubject) -> None:
        for party in self.parties:
            party.hand_in(subject, read_version(self.db, subject).body)
        sheet_work.close(self.db, subject, by="city", now=NOW)

    def close_month(self) -> None:
        sheet_work.propose(self.db, self.subject, by="cook", now=NOW)
        self.parties = [Party(self.db, self.school, CATERER), Party(self.db, self.school, SCHOOL)]
        self.close(self.subject)

    def correct(self) -> bool:
        """Proposes and closes a correction sheet; returns False where there is nothing to correct."""
        try:
            correction, _ = sheet_work.propose_correction(self.db, self.subject, by="cook", now=NOW)
        except ActRefused:
            return False
        self.export()  # proposed and not closed: it is proved as well
        self.close(correction)
        return True

    def export(self) -> list[bytes]:
        """The lines of an export, which must hold."""
        lines = export_sheet(
            self.db, self.subject, self.signer, receipts_key=self.receipts_key, witness_key=None, now=NOW
        )
        written = [encode_line(line) for line in lines]
        self.audit(written)
        return written

    def audit(self, lines: list[bytes]) -> AuditReport:
        return audit_files({"all": b"".join(lines)}, TrustedKeys(self.signer.ledger_key), ZoneInfo)


def add_pupils(db: psycopg.Connection, school: str) -> None:
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        *(Person(id=person, given_name="А", family_name="Б", grade="05") for person in MEALS),
        *(Entitlement(id=f"{person}.state", person=person, programme="state") for person in MEALS),
    ], in_force=datetime(2025, 9, 1, tzinfo=UTC))  # fmt: skip


@pytest.fixture
def open_school(
    db: psycopg.Connection, server: LedgerServer, open_folder: Path, calendar: Calendar
) -> Callable[[], PricedSchool]:
    signer = keys.load_or_create_signer(open_folder / "ledger" / "log.key", "canteen.local")
    receipts_key = keys.load_or_create(open_folder / "ledger" / "receipt.key").public_key().public_bytes_raw()

    def make() -> PricedSchool:
        school = new_school(db)
        add_pupils(db, school)
        terms.import_calendar(db, school, calendar, by="city", now=NOW)
        terms.import_tariffs(db, school, BOOK, by="city", now=NOW)
        kiosk = Kiosk.enrol(server.url, schools.issue_code(db, school, "door", datetime.now(UTC)))
        meals = sorted((day, minute, person) for minute, person in enumerate(MEALS) for day in MEALS[person])
        kiosk.record(*(meal(person, school, day, minute) for day, minute, person in meals))
        accepted(kiosk.send_all())
        kiosk.close()
        return PricedSchool(db, signer, receipts_key, school)

    return make


def test_a_category_changed_after_closing_is_corrected_and_both_sheets_hold(
    open_school: Callable[[], PricedSchool],
) -> None:
    priced = open_school()
    priced.change(date(2025, 9, 1), {"u1": "c1", "u2": "c2"})
    priced.close_month()
    assert priced.billed() == {"u1": 4 * 70, "u2": 3 * 30, "u3": 100}
    priced.export()
    priced.change(date(2025, 12, 1), {"u1": "c2"})
    assert not priced.correct()
    priced.change(date(2025, 11, 12), {"u1": "c2", "u3": "c1"})
    report = priced.audit(priced.export())
    assert report.steps[-1].endswith("closed, " + read_version(priced.db, priced.subject).digest + LATER)
    assert "the log of events has the categories, with 4 rows that count: version 1, 2, 3" in "\n".join(report.steps)
    assert priced.correct()
    assert priced.billed() == {"u1": 2 * 70 + 2 * 30, "u2": 30 + 2 * 100, "u3": 100}
    assert not priced.audit(priced.export()).steps[-1].endswith(LATER)
    assert not priced.correct()


LATER = "; what came later is for a correction sheet"
CODES = st.dictionaries(st.sampled_from(sorted(MEALS)), st.sampled_from(sorted(PRICES)))
DECEMBER = date(2025, 12, 2)
CHANGES = st.lists(st.tuples(st.dates(date(2025, 10, 25), date(2025, 12, 5)), CODES), max_size=3)


def test_any_changes_before_and_after_closing(open_school: Callable[[], PricedSchool]) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(CHANGES, st.lists(CHANGES, min_size=1, max_size=2))
    @example([(DECEMBER, {})], [[(date(2025, 10, 30), {"u2": "c1"}), (DECEMBER, {})], []])  # twice the same, and empty
    def check(before: list[tuple[date, dict[str, str]]], later: list[list[tuple[date, dict[str, str]]]]) -> None:
        priced = open_school()
        for first, codes in before:
            priced.change(first, codes)
        priced.close_month()
        assert priced.billed() == priced.expected()
        for changes in later:
            for first, codes in changes:
                priced.change(first, codes)
            differs = priced.billed() != priced.expected()
            priced.export()
            assert priced.correct() is differs
            assert priced.billed() == priced.expected()
        priced.export()

    check()


def test_a_category_edited_in_the_export_is_named(open_school: Callable[[], PricedSchool]) -> None:
    priced = open_school()
    priced.change(date(2025, 9, 1), {"u1": "c1", "u2": "c2"})
    priced.close_month()
    lines = priced.export()
    records = [json.loads(line) for line in lines]
    row = next(number for number, record in enumerate(records) if record.get("category") == "c2")
    version = next(number for number, record in enumerate(records) if record["line"] == "category_version")

    def fail(number: int, **values: object) -> str:
        changed = json.dumps(records[number] | values).encode() + b"\n"
        with pytest.raises(AuditFailure) as failure:
            priced.audit([*lines[:number], changed, *lines[number + 1 :]])
        return str(failure.value)

    named = f"all line {row + 1}: the person, the category and the salt do not have this hash"
    assert fail(row, category="c1") == named
    assert fail(row, person="u3") == named
    assert fail(row, salt=base64.b64encode(bytes(16)).decode()) == named
    assert fail(row, salt="AA==") == f"all line {row + 1}: a salt of 1 bytes, expected 16"
    assert fail(row, version=7) == f"all line {version + 1}: these are not the rows of categories version 1"
    assert fail(row, hash=base64.b64encode(bytes(32)).decode()) == named
    in_log = f"all line {version + 1}: the log has no such version: it was changed or added"
    assert fail(version, first="2025-11-05") == in_log
    assert fail(version, rows=3) == in_log
    with pytest.raises(AuditFailure, match="the log has a version that the export lacks"):
        priced.audit(lines[:version] + lines[version + 1 :])
    with pytest.raises(AuditFailure, match="these are not the rows of categories version 1"):
        priced.audit(lines[:row] + lines[row + 1 :])
    added = b'{"line":"category","person":"u3","category":"c2"}\n'
    with pytest.raises(AuditFailure, match="a category outside of the versions: it was added"):
        priced.audit([*lines, added])
    without_rows = [line for line, record in zip(lines, records, strict=True) if record["line"] != "category_row"]
    with pytest.raises(AuditFailure, match="the rows of categories version 1 are not in the export"):
        priced.audit(without_rows)


def test_an_erased_person_leaves_hashes_and_what_was_closed(open_school: Callable[[], PricedSchool]) -> None:
    priced = open_school()
    db, school = priced.db, priced.school
    priced.change(date(2025, 9, 1), {"u1": "c1", "u2": "c2"})
    priced.change(date(2025, 11, 10), {"u1": "c2", "u2": "c2"})
    priced.close_month()
    before = priced.billed()
    assert erase_from_ledger(db, school, "u1", NOW).categories == 2
    stored = db.execute("SELECT person, category FROM category_row WHERE school = %s ORDER BY 1", (school,)).fetchall()
    assert stored == [("", ""), ("", ""), ("u2", "c2"), ("u2", "c2")]
    lines = priced.export()
    assert not any(b'"u1"' in line for line in lines if b'"line":"category_row"' in line)
    report = priced.audit(lines)
    assert "the categories of 2 rows, of people who were erased" in report.unproved
    assert not report.steps[-1].endswith(LATER)
    assert not priced.correct()
    # A file that names them again is taken without that line; others go on being corrected.
    done = import_categories(db, school, {"u1": "c1"}, first=date(2025, 11, 13), by="anna", now=NOW)
    assert (done.people, done.erased) == (0, 1)
    assert priced.correct()
    assert priced.billed() == before | {"u2": 30 + 2 * 100}
    priced.export()


def test_what_was_imported_again_is_the_same_version(open_school: Callable[[], PricedSchool]) -> None:
    priced = open_school()
    db, school = priced.db, priced.school
    first = import_categories(db, school, {"u1": "c1", "u2": ""}, by="anna", now=NOW)
    assert (first.version, first.first, first.people, first.changed) == (1, date.min, 1, True)
    assert not import_categories(db, school, {"u1": "c1"}, by="anna", now=NOW).changed
    assert import_categories(db, school, {"u1": "c1", "u3": "c1"}, by="anna", now=NOW).first == date.min
    priced.close_month()
    later = import_categories(db, school, {"u1": "c2"}, by="anna", now=NOW)
    assert (later.version, later.first) == (3, date(2025, 12, 1))  # what is closed stays
    assert not priced.correct()
    again = import_categories(db, school, {"u1": "c2"}, first=date(2025, 11, 1), by="anna", now=NOW)
    assert (again.version, again.changed, again.corrected, later.corrected) == (4, True, (MONTH,), ())
    assert priced.correct()
    kept = db.execute("SELECT version, imported_by, imported_at FROM category_version WHERE school = %s", (school,))
    assert kept.fetchall() == [(number, "anna", NOW) for number in (1, 2, 3, 4)]


def test_rows_from_before_versions_become_one_that_older_sheets_mean(
    open_school: Callable[[], PricedSchool],
) -> None:
    priced = open_school()
    db, school = priced.db, priced.school
    [text] = [text for number, text in steps() if number == 80]
    db.execute("CREATE TEMPORARY TABLE person_category (LIKE public.person_category)")
    with db.transaction():
        db.execute("CREATE TEMPORARY TABLE category_version (LIKE public.category_version) ON COMMIT DROP")
        db.execute("CREATE TEMPORARY TABLE category_row (LIKE public.category_row) ON COMMIT DROP")
        db.execute("INSERT INTO person_category VALUES (%(s)s, 'u1', 'c1'), (%(s)s, 'ұ2', 'c2')", {"s": school})
        db.execute(text[text.index("CREATE TEMPORARY TABLE former_category") :].encode())
        db.execute("INSERT INTO public.category_version SELECT * FROM category_version")
        db.execute("INSERT INTO public.category_row SELECT * FROM category_row")
    db.execute("DROP TABLE pg_temp.person_category")
    [version] = read_category_versions(db, school)
    assert (version.number, version.first) == (0, date.min)
    priced.changes.append(Change(date.min, {"u1": "c1"}))
    priced.close_month()
    assert priced.billed() == priced.expected()
    lines = priced.export()  # the digests that SQL made are those that Python proves
    assert sum(b'"line":"category_row"' in line for line in lines) == 2
    assert db.execute("SELECT count(*) FROM log_leaf WHERE school = %s AND log = %s AND leaf LIKE %s",
                      (school, LogName.EVENTS, b"canteen version v1\ncategories\n%")).fetchone() == (1,)  # fmt: skip
    sheet = read_closed(db, school, "state", MONTH)[0][1]
    assert sheet.categories == version.digest
    assert sheet.take_terms(replace(sheet, categories="")) == replace(sheet, categories="")
