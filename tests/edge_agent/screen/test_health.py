"""The staff's strip: the right level, the most pressing first."""

import pytest

from edge_agent.screen.health import HealthLine, KioskHealth, LedgerState, Level, health_lines, worst
from sync.contract.event import ClockQuality

WELL = KioskHealth(ledger=LedgerState.REACHABLE, roster_age_s=60, palm=True, clock=ClockQuality.SYNCHRONISED)


def line(health: KioskHealth, subject: str) -> HealthLine:
    return next(one for one in health_lines(health) if one.subject == subject)


def test_a_well_kiosk_asks_for_nothing() -> None:
    assert worst(health_lines(WELL)) is Level.OK


@pytest.mark.parametrize(
    ("health", "subject", "value", "level", "number"),
    [
        (KioskHealth(recording=False), "recording", "no", Level.ACT, 0),
        (KioskHealth(ledger=LedgerState.UNREACHABLE), "ledger", "unreachable", Level.WATCH, 0),
        (KioskHealth(ledger=LedgerState.REFUSED), "ledger", "refused", Level.ACT, 0),
        (KioskHealth(queued=1_999), "queue", "waiting", Level.OK, 1_999),
        (KioskHealth(queued=2_000), "queue", "long", Level.WATCH, 2_000),
        (KioskHealth(roster_age_s=-1), "roster", "missing", Level.ACT, 0),
        (KioskHealth(roster_age_s=36 * 3600), "roster", "old", Level.WATCH, 36),
        (KioskHealth(roster_age_s=8 * 86_400), "roster", "stale", Level.ACT, 8),
        (KioskHealth(readers_gone=("door", "till")), "readers", "gone", Level.ACT, 2),
        (KioskHealth(clock=ClockQuality.UNSYNCHRONISED), "clock", "unsynchronised", Level.WATCH, 0),
    ],
)
def test_each_trouble_has_its_line(health: KioskHealth, subject: str, value: str, level: Level, number: int) -> None:
    found = line(health, subject)
    assert (found.value, found.level, found.number) == (value, level, number)


def test_the_most_pressing_stands_first() -> None:
    levels = [one.level for one in health_lines(KioskHealth(recording=False, ledger=LedgerState.UNREACHABLE))]
    assert levels == sorted(levels, key=[Level.ACT, Level.WATCH, Level.OK].index)
