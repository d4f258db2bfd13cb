"""The staff's strip: the right level, the most pressing first."""

import pytest

from edge_agent.domain.health import (
    HealthLevel,
    HealthLine,
    KioskHealth,
    LedgerState,
    is_noisy,
    judge_health,
    worst_level,
)
from edge_agent.settings.tables import RulesSettings
from sync.contract.event import ClockQuality

WELL = KioskHealth(ledger=LedgerState.REACHABLE, roster_age_s=60, palm=True, clock=ClockQuality.SYNCHRONISED)


def line(health: KioskHealth, subject: str) -> HealthLine:
    return next(one for one in judge_health(health) if one.subject == subject)


def test_a_well_kiosk_asks_for_nothing() -> None:
    assert worst_level(judge_health(WELL)) is HealthLevel.OK


@pytest.mark.parametrize(
    ("health", "subject", "value", "level", "number"),
    [
        (KioskHealth(recording=False), "recording", "no", HealthLevel.ACT, 0),
        (KioskHealth(ledger=LedgerState.UNREACHABLE), "ledger", "unreachable", HealthLevel.WATCH, 0),
        (KioskHealth(ledger=LedgerState.REFUSED), "ledger", "refused", HealthLevel.ACT, 0),
        (KioskHealth(queued=1_999), "queue", "waiting", HealthLevel.OK, 1_999),
        (KioskHealth(queued=2_000), "queue", "long", HealthLevel.WATCH, 2_000),
        (KioskHealth(roster_age_s=-1), "roster", "missing", HealthLevel.ACT, 0),
        (KioskHealth(roster_age_s=36 * 3600), "roster", "old", HealthLevel.WATCH, 36),
        (KioskHealth(roster_age_s=3 * 86_400), "roster", "old", HealthLevel.WATCH, 72),
        (KioskHealth(roster_age_s=3 * 86_400 + 1), "roster", "stale", HealthLevel.ACT, 3),
        (KioskHealth(roster_age_s=8 * 86_400), "roster", "stale", HealthLevel.ACT, 8),
        (KioskHealth(roster_age_s=7_300, roster_age_max_s=7_200), "roster", "stale", HealthLevel.ACT, 0),
        (KioskHealth(ledger=LedgerState.REACHABLE, ledger_alarm=True), "ledger", "refused", HealthLevel.ACT, 0),
        (KioskHealth(readers_gone=("door", "till")), "readers", "gone", HealthLevel.ACT, 2),
        (KioskHealth(clock=ClockQuality.UNSYNCHRONISED), "clock", "unsynchronised", HealthLevel.WATCH, 0),
    ],
)
def test_each_trouble_has_its_line(
    health: KioskHealth, subject: str, value: str, level: HealthLevel, number: int
) -> None:
    found = line(health, subject)
    assert (found.value, found.level, found.number) == (value, level, number)


def test_the_most_pressing_stands_first() -> None:
    levels = [one.level for one in judge_health(KioskHealth(recording=False, ledger=LedgerState.UNREACHABLE))]
    assert levels == sorted(levels, key=[HealthLevel.ACT, HealthLevel.WATCH, HealthLevel.OK].index)


@pytest.mark.parametrize(("readings", "stream_faults", "noisy"), [(0, 20, False), (0, 21, True), (30, 21, False)])
def test_a_noisy_line_has_more_faults_than_readings(readings: int, stream_faults: int, noisy: bool) -> None:
    assert is_noisy(readings, stream_faults) is noisy


def test_the_age_that_holds_meals_is_the_settings_default() -> None:
    assert RulesSettings().roster_age_max_s == KioskHealth().roster_age_max_s
