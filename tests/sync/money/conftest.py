"""Terms that every test of money starts from."""

from pathlib import Path

import pytest

from sync.money.calendars import Calendar, read_calendar
from sync.money.tariffs import TariffBook, read_tariffs

MONEY = Path(__file__).parents[3] / "config/money"


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    """The school year 2025/26, as it is shipped."""
    return read_calendar((MONEY / "calendar-2025-26.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def tariffs() -> TariffBook:
    """The example of a region's prices, as it is shipped."""
    return read_tariffs((MONEY / "tariffs.example.toml").read_text("utf-8"))
