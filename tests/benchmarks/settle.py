"""A school's month judged from its events' columns, and one day again after a late event.

The floor is what any judgement must do: group the columns once in PostgreSQL, and read each payload's JSON once.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.contract.chain import Epoch, Hash
from sync.contract.event import Claim, ClockQuality, Entry, Event, Exit, decode, encode
from sync.contract.roster import Entitlement, MealSession, Person
from sync.ledger.intake.event_columns import read_columns
from sync.ledger.intake.event_storing import store_events
from sync.ledger.judgement.day_marks import mark_days, mark_dirty
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.migrate import migrate
from sync.ledger.registry import rosters, schools
from tests.benchmarks.figures import Figure, Result, Run
from tests.benchmarks.processor import ProcessorTimes

EPOCH = Epoch("00000000000000aa")
FIRST = date(2026, 11, 2)
NOW = datetime(2026, 12, 5, tzinfo=UTC)
DAYS = 21  # school days of a month
DAY_EVENTS = 1_400  # of one school of the city: 151 of them make 4.4 million a month
CITY_EVENTS = 4_400_000
CITY_S_MAX = 60.0  # with two processes
DAY_S_MAX = 0.3


def run(run: Run) -> Result:
    count, days = (2, 3) if run.quick else (8, DAYS)
    folder = run.folder / "settle"
    folder.mkdir(mode=0o755)
    with EmbeddedPostgres(folder) as postgres, closing(psycopg.connect(postgres.url, autocommit=True)) as db:
        migrate(db)
        names = [f"sch-{number}" for number in range(count)]
        events = sum(_fill_school(db, name, days) for name in names)
        db.execute("ANALYZE")
        spent = ProcessorTimes((), postgres)
        first, judging_s = _in_two_processes(postgres.url, names)
        used_s = judging_s + spent.read()[1]
        for name in names:
            mark_dirty(db, name, [day.isoformat() for day in _school_days(days)])
        again, _ = _in_two_processes(postgres.url, names)
        late = _late_event(db, names[0])
        grouped, parsed = _floor(db, names)
        visits = sum(len(read_visits(db, name, FIRST, FIRST + timedelta(days=60))) for name in names)
        unbilled = visits - _count_billed(db)
    city = CITY_EVENTS / events
    limited = not run.quick  # at the reduced size a process spends its time on starting
    figures = [
        Figure(
            "a city's month of 4.4 million events from the columns, two processes", first * city, "s",
            at_most=CITY_S_MAX if limited else None,
        ),
        Figure("processor time of it, PostgreSQL's included", used_s * city, "s"),
        Figure("judged again, with nothing changed", again * city, "s", at_most=CITY_S_MAX if limited else None),
        Figure("floor: its columns grouped in PostgreSQL", grouped * city, "s"),
        Figure("floor: one JSON pass over it, one process", parsed * city, "s"),
        Figure("one school-day after a late event", late, "s", at_most=DAY_S_MAX if limited else None),
        Figure("entries that are not billed", unbilled, "", at_most=0),
    ]  # fmt: skip
    return Result("settle", f"{events:,} events of {count} schools on {days} days", figures)


def _school_days(days: int) -> list[date]:
    weekdays = (FIRST + timedelta(days=ahead) for ahead in range(days * 2))
    return [day for day in weekdays if day.isoweekday() <= 5][:days]


def _fill_school(db: psycopg.Connection, school: str, days: int) -> int:
    people = [f"u-{number:08}" for number in range(DAY_EVENTS // 2)]
    schools.add_school(db, school, school)
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="09:00", end="12:00"),
        *(Person(id=person, given_name="Ә", family_name="Қ") for person in people),
        *(Entitlement(id=f"{person}.state", person=person, programme="state") for person in people),
    ], in_force=datetime(2026, 11, 1, tzinfo=UTC))  # fmt: skip
    device = f"{school}-0000000000000001"
    db.execute("INSERT INTO device (school, device, name) VALUES (%s, %s, '')", (school, device))
    seq = 0
    for day in _school_days(days):
        payloads = [encode(event) for event in _lunch(school, day, people, seq)]
        now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        columns = read_columns(payloads, seq + 1, school=school, epoch=EPOCH, now=now)
        with db.transaction():
            hashes = [Hash(bytes(32))] * len(payloads)
            store_events(db, (school, device, EPOCH), seq + 1, payloads, hashes, columns.rows)
            mark_days(db, school, device, columns.effects)
        seq += len(payloads)
    return seq


def _lunch(school: str, day: date, people: list[str], seq: int) -> list[Event]:
    events: list[Event] = []
    start = datetime(day.year, day.month, day.day, 4, 1, tzinfo=UTC)
    for number, person in enumerate(people):
        entry_seq = seq + 2 * number + 1
        events.append(Entry(
            **_seen(school, start + timedelta(seconds=4 * number), person), programme="state", claim=Claim.CLAIMABLE
        ))  # fmt: skip
        events.append(Exit(
            **_seen(school, start + timedelta(seconds=4 * number + 3), person), entry_epoch=EPOCH, entry_seq=entry_seq
        ))  # fmt: skip
    return events


def _seen(school: str, at: datetime, person: str) -> dict[str, Any]:
    return {
        "school": school, "at": f"{at:%Y-%m-%dT%H:%M:%S}.123Z", "boot": "8c1b9b5e-6a10-4be9-9d92-6f0a6ad6dc55",
        "mono_ms": int(at.timestamp() * 1000) % 10**9, "clock": ClockQuality.SYNCHRONISED, "roster": 1,
        "roster_age_s": 60, "person": person, "session": "lunch", "service_date": at.date().isoformat(),
        "reader": "door", "credential": f"c-{person}",
    }  # fmt: skip


def _settle(url: str, names: list[str]) -> float:
    """Returns the processor time that it takes this process."""
    started = time.process_time()
    with psycopg.connect(url, autocommit=True) as db:
        for name in names:
            settle_days(db, name, now=NOW)
    return time.process_time() - started


def _in_two_processes(url: str, names: list[str]) -> tuple[float, float]:
    """Returns the seconds, and the processor time of both processes."""
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_warm, range(2)))
        started = time.perf_counter()
        used = list(pool.map(_settle, [url] * 2, [names[::2], names[1::2]]))
        return time.perf_counter() - started, sum(used)


def _warm(_: int) -> int:
    return os.getpid()


def _late_event(db: psycopg.Connection, school: str) -> float:
    mark_dirty(db, school, [FIRST.isoformat()])
    return _seconds(lambda: settle_days(db, school, now=NOW))


def _floor(db: psycopg.Connection, names: list[str]) -> tuple[float, float]:
    grouped = _seconds(lambda: [
        db.execute(
            "SELECT day, session, programme, claim, count(DISTINCT person) FROM event WHERE school = %s"
            " GROUP BY day, session, programme, claim", (name,),
        ).fetchall()
        for name in names
    ])  # fmt: skip
    payloads = [row[0] for row in db.execute("SELECT payload FROM event", binary=True)]
    return grouped, _seconds(lambda: [decode(payload) for payload in payloads])


def _count_billed(db: psycopg.Connection) -> int:
    row = db.execute("SELECT count(*) FROM visit WHERE claim = 'claimable'").fetchone()
    assert row is not None
    return int(row[0])


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
