"""Lunch: the kiosks of many schools send each event as it happens, in a batch of its own, signed beforehand.

Processor time is the honest measure where clients, ledger and PostgreSQL share two cores. Two processes of the ledger,
each on a core of its own, take twice as many batches as one, if a batch costs them no more; so what two give is twice
the ratio of what a batch costs. The floor is the same server behind the same sockets: it echoes, or stores one row.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.contract import batch
from sync.contract.roster import Entitlement, MealSession, Person
from sync.ledger.door.limits import DoorLimits
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerOptions
from sync.ledger.workers import run_workers
from tests.benchmarks.figures import Figure, Result, Run
from tests.benchmarks.ingest import Backlog, count_stored, deliver, write_request
from tests.benchmarks.lunch_floor import serving_floor
from tests.benchmarks.processor import ProcessorTimes
from tests.sync.ledger.kiosk import OPEN_DOOR, Kiosk, entry

KIOSKS = 32  # each in a school of its own
BATCHES = 150  # of each kiosk, of one event
WARMING = 10  # of them before the measuring begins: statements are prepared, connections opened
PEOPLE = 100
BATCHES_PER_S_MIN, ADMITTED_PER_S_MIN, TWO_BESIDE_ONE_MIN = 900.0, 400.0, 1.6


@dataclass(frozen=True, slots=True)
class LunchCost:
    """What a number of batches has cost. Seconds; those of the processor add up over all processes."""

    batches: int
    took_s: float
    ledger_s: float
    postgres_s: float

    @property
    def rate(self) -> float:
        """Returns the batches a second."""
        return self.batches / self.took_s

    @property
    def cost_ms(self) -> float:
        """Returns the milliseconds of processor time that a batch costs, PostgreSQL's included."""
        return 1e3 * (self.ledger_s + self.postgres_s) / self.batches


def run(run: Run) -> Result:
    kiosks, batches = (2, 12) if run.quick else (KIOSKS, BATCHES)
    with EmbeddedPostgres(run.folder / "lunch") as postgres:
        serve = partial(_measure, postgres, kiosks, batches)
        one, backlogs = serve("one", 1)
        (two, _), (default, _) = serve("two", 2), serve("default", 2, DoorLimits())
        with closing(psycopg.connect(postgres.url, autocommit=True)) as db:
            stored = count_stored(db)
        echo, row = (_measure_floor(postgres, backlogs, stores=stores) for stores in (False, True))
    limited = not run.quick  # at the reduced size a process spends its time on its first statements
    figures = [
        Figure("one process", one.rate, "batches/s", at_least=BATCHES_PER_S_MIN if limited else None),
        Figure("two processes", two.rate, "batches/s"),
        Figure("two processes; floor: the same server stores a row", two.rate, "batches/s", row.rate),
        Figure("two processes; floor: it echoes", two.rate, "batches/s", echo.rate),
        Figure("processor time a batch, one process", one.cost_ms, "ms"),
        Figure("the same; floor: the server stores a row", one.cost_ms, "ms", row.cost_ms),
        Figure("the same; floor: it echoes", one.cost_ms, "ms", echo.cost_ms),
        Figure("of it the ledger's", 1e3 * one.ledger_s / one.batches, "ms"),
        Figure("of it PostgreSQL's", 1e3 * one.postgres_s / one.batches, "ms"),
        Figure("processor time a batch, two processes", two.cost_ms, "ms"),
        Figure(
            "two processes beside one, each on its core", 2 * one.cost_ms / two.cost_ms, "times",
            at_least=TWO_BESIDE_ONE_MIN if limited else None,
        ),
        Figure(
            "with the limits as they are shipped", default.rate, "batches/s",
            at_least=ADMITTED_PER_S_MIN if limited else None,
        ),
        Figure("batches that the ledger lacks", 3 * kiosks * batches - stored, "", at_most=0),
    ]  # fmt: skip
    return Result("lunch", f"{kiosks} kiosks, {batches} batches of one event each, signed beforehand", figures)


def _measure(
    postgres: EmbeddedPostgres, kiosks: int, batches: int, name: str, workers: int, limits: DoorLimits = OPEN_DOOR
) -> tuple[LunchCost, Sequence[Backlog]]:
    """Lets a ledger of so many processes take the batches of kiosks of its own, and returns them, too."""
    options = LedgerOptions(folder=postgres.cluster_dir.parent, port=0, limits=limits, settle_interval_s=0)
    with (
        run_workers(postgres.url, options, workers) as ledger,
        closing(psycopg.connect(postgres.url, autocommit=True)) as db,
    ):
        backlogs = [prepare(db, ledger.url, f"sch-{name}-{number}", batches) for number in range(kiosks)]
        return _deliver(ledger.url, ledger.list_pids(), postgres, backlogs), backlogs


def _measure_floor(postgres: EmbeddedPostgres, backlogs: Sequence[Backlog], *, stores: bool) -> LunchCost:
    """Lets the bare server take the same requests from as many connections."""
    with serving_floor(postgres.url, stores=stores) as (url, pid):
        return _deliver(url, [pid], postgres, backlogs)


def _deliver(url: str, pids: list[int], postgres: EmbeddedPostgres, backlogs: Sequence[Backlog]) -> LunchCost:
    deliver(url, [Backlog(each.device, each.requests[:WARMING]) for each in backlogs], insists=True)
    rest = [Backlog(each.device, each.requests[WARMING:]) for each in backlogs]
    spent = ProcessorTimes(pids, postgres)
    took_s = deliver(url, rest, insists=True)
    return LunchCost(sum(len(each.requests) for each in rest), took_s, *spent.read())


def prepare(db: psycopg.Connection, url: str, school: str, batches: int) -> Backlog:
    """A school with a roster, and the signed requests of its kiosk, each with one entry to lunch."""
    people = [f"u-{number:08}" for number in range(PEOPLE)]
    schools.add_school(db, school, school)
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="09:00", end="12:00"),
        *(Person(id=person, given_name="Ә", family_name="Қ") for person in people),
        *(Entitlement(id=f"{person}.state", person=person, programme="state") for person in people),
    ], in_force=datetime(2026, 11, 1, tzinfo=UTC))  # fmt: skip
    kiosk = Kiosk.enrol(url, schools.issue_code(db, school, "door", datetime.now(UTC)))
    kiosk.close()
    kiosk.record(*(
        entry(people[number % PEOPLE], school=school, day="2026-11-20", minute=number, programme="state")
        for number in range(batches)
    ))  # fmt: skip
    hashes, compress = kiosk.hashes, batch.Compressor()
    return Backlog(kiosk.device, [
        write_request(kiosk, compress(batch.encode(
            batch.BatchHeader(first_seq=seq, count=1, prev=hashes[seq - 1].hex(), head=hashes[seq].hex()),
            kiosk.payloads[seq - 1 : seq],
        )))
        for seq in range(1, batches + 1)
    ])  # fmt: skip
