"""Events of a kiosk in November 2025, and the terms that a sheet of them needs."""

from collections.abc import Callable

import msgspec

from sync.contract.event import Boot, Claim, ClockQuality, Entry
from tests.sync.ledger.kiosk import entry
from tests.sync.money.conftest import MONEY

Command = Callable[..., str]


def meal(person: str, school: str, day: int, minute: int = 0) -> Entry:
    """An entry in November 2025 at 09:00 in Almaty, UTC+5, and some minutes."""
    when = {"at": f"2025-11-{day:02}T04:{minute:02}:00.000Z", "service_date": f"2025-11-{day:02}"}
    paid = {"programme": "state", "claim": Claim.CLAIMABLE, "mono_ms": (day * 1440 + minute) * 60_000}
    return msgspec.structs.replace(entry(person, school=school), **when, **paid)


def boot(school: str, day: int, minute: int) -> Boot:
    return Boot(
        school=school, at=f"2025-11-{day:02}T04:{minute:02}:00.000Z", boot=f"b{day}", mono_ms=1,
        clock=ClockQuality.SYNCHRONISED, version="1",
    )  # fmt: skip


def import_terms(command: Command, school: str) -> None:
    command("calendar", "import", MONEY / "calendar-2025-26.toml", "--by", "city", "--school", school)
    command("tariff", "import", MONEY / "tariffs.example.toml", "--by", "city", "--school", school)
