"""The sheets of a city's month, from the settled visits in PostgreSQL to canonical bytes and digests.

What is measured begins when the last kiosk's last row has been judged. Two processes share the schools, as two of the
ledger's would; the floor is one statement that only counts the same rows by person, session and day.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from random import Random

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.contract.event import Claim, Method
from sync.contract.roster import Entitlement, MealSession, Person, Record
from sync.contract.visit import EventId, Visit, VisitClosing
from sync.ledger.billing import terms
from sync.ledger.billing.sheet_facts import choose_facts, read_school_month
from sync.ledger.judgement.visit_rows import replace_visits
from sync.ledger.migrate import migrate
from sync.ledger.registry import rosters, schools
from sync.money.building import build_sheet
from sync.money.calendars import read_calendar
from sync.money.canonical import digest_sheet, encode_sheet
from sync.money.months import Month
from sync.money.sheet import SheetSubject
from sync.money.tariffs import read_tariffs
from tests.benchmarks.figures import Figure, Result, Run

SCHOOLS = 151
PUPILS = 700
MONTH = Month(2025, 11)
SHEETS_S_MAX = 60.0
PROCESSES = 2
MONEY = Path(__file__).parents[2] / "config/money"
NOW = datetime(2025, 12, 1, tzinfo=UTC)
SEED = 14
DRAWN = 8  # schools whose month is drawn by the dice; the others are copies of theirs


def run(run: Run) -> Result:
    count, pupils = (4, 30) if run.quick else (SCHOOLS, PUPILS)
    names = [f"sch-{number:04}" for number in range(1, count + 1)]
    with open_database(run.folder / "ledger") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            migrate(connection)
            drawn = names[:DRAWN]
            meals = [fill_school(connection, name, pupils, Random(f"{SEED} {name}")) for name in drawn]
            for place, name in enumerate(names[DRAWN:]):
                copy_school(connection, drawn[place % DRAWN], name, pupils)
                meals.append(meals[place % DRAWN])
            connection.execute("VACUUM ANALYZE visit")
            floor = count_rows(connection)
        started = time.perf_counter()
        digests = make_all(url, names)
        took = time.perf_counter() - started
        again = make_all(url, names[:4])
    wrong = sum(abs(billed - had) for (_, billed), had in zip(digests, meals, strict=True))
    figures = [
        Figure("all sheets: bytes and digests", took, "s", at_most=SHEETS_S_MAX),
        Figure("the same; floor: the rows counted in SQL", took, "s", floor),
        Figure("meals on the sheets that nobody had, or the other way round", wrong, "", at_most=0),
        Figure("digests that differ when they are made again", sum(map(differ, again, digests)), "", at_most=0),
    ]  # fmt: skip
    whole = sha256("".join(digest for digest, _ in digests).encode()).hexdigest()
    return Result(
        "sheets", f"{count} schools, {sum(meals):,} visits of {MONTH}, {PROCESSES} processes", figures,
        listed=[f"seed {SEED} gives the same month on every machine: SHA-256 over all digests, by school: {whole}"],
    )  # fmt: skip


@contextmanager
def open_database(folder: Path) -> Iterator[str]:
    with EmbeddedPostgres(folder) as postgres:
        yield postgres.url


def fill_school(connection: psycopg.Connection, school: str, pupils: int, dice: Random) -> int:
    """A school whose pupils come on 19 of 20 taught days. Returns how many meals they had."""
    schools.add_school(connection, school, school)
    add_terms_and_people(connection, school, pupils)
    people = [f"u{number:05}" for number in range(pupils)]
    meals = 0
    for day in read_calendar((MONEY / "calendar-2025-26.toml").read_text("utf-8")).find_taught_days(MONTH):
        visits = [
            make_visit(school, person, day, meals + place)
            for place, person in enumerate(people)
            if dice.random() < 0.95
        ]
        replace_visits(connection, school, day.isoformat(), visits, NOW)
        meals += len(visits)
    return meals


def copy_school(connection: psycopg.Connection, source: str, school: str, pupils: int) -> None:
    """A school with the same month as another one, and people of its own."""
    schools.add_school(connection, school, school)
    add_terms_and_people(connection, school, pupils)
    columns = connection.execute(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = 'visit' AND column_name <> 'school'"
    ).fetchone()
    assert columns is not None
    text = f"INSERT INTO visit (school, {columns[0]}) SELECT %s, {columns[0]} FROM visit WHERE school = %s"
    connection.execute(text.encode(), (school, source))


def add_terms_and_people(connection: psycopg.Connection, school: str, pupils: int) -> None:
    calendar = read_calendar((MONEY / "calendar-2025-26.toml").read_text("utf-8"))
    terms.import_calendar(connection, school, calendar, by="bench", now=NOW)
    book = read_tariffs((MONEY / "tariffs.example.toml").read_text("utf-8"))
    terms.import_tariffs(connection, school, book, by="bench", now=NOW)
    people = [f"u{number:05}" for number in range(pupils)]
    records: list[Record] = [MealSession(id="lunch", name="Lunch", start="12:00", end="14:00")]
    for number, person in enumerate(people):
        grade = f"{number % 11 + 1:02}"
        records.append(Person(id=person, given_name="A", family_name="B", grade=grade, group=f"{grade} «А»"))
        records.append(Entitlement(id=f"{person}.state", person=person, programme="state"))
    rosters.apply_changes(connection, school, records)


def make_visit(school: str, person: str, day: date, seq: int) -> Visit:
    when = datetime(day.year, day.month, day.day, 7, tzinfo=UTC) + timedelta(seconds=seq % 7000)
    return Visit(
        id=EventId(f"{school}-k1", "e1", seq + 1), person=person, session="lunch", service_date=day.isoformat(),
        method=Method.PALM, programme="state", claim=Claim.CLAIMABLE, recorded_claim=Claim.CLAIMABLE,
        recorded_programme="state", entry_time=when, recorded_time=when.isoformat(), closing=VisitClosing.SESSION,
    )  # fmt: skip


def count_rows(connection: psycopg.Connection) -> float:
    started = time.perf_counter()
    connection.execute("SELECT school, person, session, day, count(*) FROM visit GROUP BY 1, 2, 3, 4").fetchall()
    return time.perf_counter() - started


def make_all(url: str, names: list[str]) -> list[tuple[str, int]]:
    spawn = get_context("spawn")  # a benchmark's own threads are no good company for a fork
    with ProcessPoolExecutor(min(PROCESSES, os.cpu_count() or 1), mp_context=spawn) as pool:
        return list(pool.map(partial(make_sheet, url), names, chunksize=4))


def make_sheet(url: str, school: str) -> tuple[str, int]:
    """The digest of one school's sheet, and the meals on it."""
    with psycopg.connect(url, autocommit=True) as connection:
        facts = choose_facts(connection, read_school_month(connection, school, MONTH), "state")
    sheet = build_sheet(SheetSubject(school, "state", str(MONTH)), 1, facts)
    return digest_sheet(encode_sheet(sheet)), sheet.meals


def differ(again: tuple[str, int], before: tuple[str, int]) -> bool:
    return again != before
