"""From the lunch to money: the day's sheets, one meal's proof read back, and a difference that is explained.

Prices and calendar are the demo's own. The proof is checked by `verify_meal.py` in a process that gets nothing but the
text of the QR code and the two keys of a paper slip.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import psycopg

from canteen_demo.proof import ProofLine
from canteen_demo.school import SCHOOL
from sync.contract.event import Claim
from sync.contract.visit import Visit
from sync.ledger.billing import payers, sheet_work, terms
from sync.ledger.billing.other_count import compare_with_payer
from sync.ledger.billing.sheet_store import read_version
from sync.ledger.judgement.days import read_visits
from sync.ledger.transparency.statements import MealProof, prove_meals
from sync.money.calendars import Calendar
from sync.money.canonical import decode_sheet
from sync.money.differences import CountComparison
from sync.money.months import Month
from sync.money.payer_file import PayerChild, PayerMeal, PayerSheet
from sync.money.payer_people import hash_number
from sync.money.sheet import Sheet, SheetSubject
from sync.money.tariffs import PayerKind, ProgrammeTerms, Tariff, TariffBook
from sync.proof import verify_meal
from sync.proof.notes import NoteKey

PROGRAMMES = {"state": PayerKind.STATE, "paid": PayerKind.PAID}
PRICE_TIYN = 77_500  # the country's mean price of a school lunch, 775 tenge
PAYER_KEY = b"the demo's payer"
PROOF_WAIT_S = 60.0  # from the last row to its cosigned statement


@dataclass(frozen=True, slots=True)
class DemoMoney:
    """The end of a demo: its figures, its claims, and what a reader of the proof sees."""

    figures: dict[str, object]
    lines: tuple[ProofLine, ...]
    read_back: str  # what `verify_meal.py` printed
    differences: tuple[str, ...]


def settle_money(database_url: str, day: date, now: datetime, log_key: NoteKey, witness_key: NoteKey) -> DemoMoney:
    """Makes the sheets of the day's month, proves a meal and explains a payer's count. Raises MoneyError."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        _import_terms(connection, day, now)
        month = str(Month(day.year, day.month))
        sheets = {name: _propose(connection, SheetSubject(SCHOOL, name, month), now) for name in PROGRAMMES}
        billed = [visit for visit in read_visits(connection, SCHOOL, day, day) if visit.claim is Claim.CLAIMABLE]
        proof = _wait_for_proof(connection, billed[0], log_key, witness_key)
        comparison = _compare(connection, SheetSubject(SCHOOL, "state", month), sheets["state"], day, now)
    holds, read_back = _read_back(proof, billed[0], log_key, witness_key)
    shown = sorted((line.person, line.kind.value, line.ours, line.theirs) for line in comparison.differences)
    missing, doubled = _planted(sheets["state"])
    return DemoMoney(
        {
            "meals on the day's sheets": sum(sheet.meals for sheet in sheets.values()),
            "tenge on the day's sheets": sum(sheet.tiyn for sheet in sheets.values()) // 100,
        },
        (
            ProofLine("the sheets bill each claimable visit", len(billed), sum(s.meals for s in sheets.values())),
            ProofLine("a meal is proved by the text of its QR code and two keys", True, holds),
            ProofLine(
                "both differences of the payer's count are explained, and no other is found",
                sorted([(missing, "ours_without_theirs", 1, 0), (doubled, "theirs_without_ours", 0, 1)]),
                shown,
            ),
        ),
        read_back,
        tuple(f"{person}: {kind}, ours {ours}, theirs {theirs}" for person, kind, ours, theirs in shown),
    )


def _import_terms(connection: psycopg.Connection, day: date, now: datetime) -> None:
    month = Month(day.year, day.month)
    every_day = (1, 2, 3, 4, 5, 6, 7)
    calendar = Calendar(id="demo", source="the demo", first=month.first, last=month.last, weekdays=every_day)
    book = TariffBook(
        id="demo", region="demo", source="the demo",
        programmes=tuple(ProgrammeTerms(id=name, payer=payer) for name, payer in PROGRAMMES.items()),
        tariffs=tuple(
            Tariff(id=name, programme=name, tiyn=PRICE_TIYN, first=month.first, last=month.last) for name in PROGRAMMES
        ),
    )  # fmt: skip
    terms.import_calendar(connection, SCHOOL, calendar, by="demo", now=now)
    terms.import_tariffs(connection, SCHOOL, book, by="demo", now=now)


def _propose(connection: psycopg.Connection, subject: SheetSubject, now: datetime) -> Sheet:
    sheet_work.propose(connection, subject, by="demo", now=now)
    return decode_sheet(read_version(connection, subject).body)


def _wait_for_proof(connection: psycopg.Connection, visit: Visit, log_key: NoteKey, witness_key: NoteKey) -> MealProof:
    """Returns the proof of a visit, once its day's statement is under a cosigned checkpoint. Raises TimeoutError."""
    until = time.monotonic() + PROOF_WAIT_S
    name = (visit.id.device, visit.id.epoch, str(visit.id.seq))
    while True:
        proofs = prove_meals(connection, SCHOOL, visit.person, [visit.day], log_key, witness_key)
        if name in proofs:
            return proofs[name]
        if time.monotonic() > until:
            raise TimeoutError("no cosigned statement of the day: see ledger.log and witness.log")
        time.sleep(0.2)


def _read_back(proof: MealProof, visit: Visit, log_key: NoteKey, witness_key: NoteKey) -> tuple[bool, str]:
    """Returns if `verify_meal.py` accepts the proof, and what it prints."""
    done = subprocess.run(
        [
            sys.executable, "-I", str(Path(verify_meal.__file__)), "--ledger", str(log_key), "--witness",
            str(witness_key), "--child", visit.person, "--day", visit.day, "-",
        ],
        input=proof.text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0, done.stdout or done.stderr


def _planted(sheet: Sheet) -> tuple[str, str]:
    """Returns the child whose meal the payer lacks, and the one whose meal it has twice."""
    eaters = [row.person for row in sheet.rows if row.days]
    return eaters[0], eaters[-1]


def _compare(
    connection: psycopg.Connection, subject: SheetSubject, sheet: Sheet, day: date, now: datetime
) -> CountComparison:
    """Returns the comparison with a payer's sheet that is ours but for two planted differences."""
    missing, doubled = _planted(sheet)
    eaters = [row for row in sheet.rows if row.days]
    numbers = [(hash_number(row.person, PAYER_KEY), row.person) for row in eaters]
    payers.replace_numbers(connection, SCHOOL, numbers)
    meals = [
        PayerMeal(line, PayerChild(row.person, "", ""), day, 2 if row.person == doubled else 1, row.session)
        for line, row in enumerate(eaters, 2)
        if row.person != missing
    ]
    return compare_with_payer(
        connection, subject, PayerSheet(tuple(meals), (), ()), key=PAYER_KEY, now=now, made_at=now
    )
