"""The staff's strip: the right level, the most pressing first."""

import pytest

from edge_agent.screen.health import Health, HealthLine, Ledger, Level, health_lines, worst
from sync.contract.event import Clock

WELL = Health(ledger=Ledger.REACHABLE, roster_age_s=60, palm=True, clock=Clock.SYNCHRONISED)


def line(health: Health, subject: str) -> HealthLine:
    return next(one for one in health_lines(health) if one.subject == subject)


def test_a_well_kiosk_asks_for_nothing() -> None:
    assert worst(health_lines(WELL)) is Level.OK


@pytest.mark.parametrize(
    ("health", "subject", "value", "level", "number"),
    [
        (Health(recording=False), "recording", "no", Level.ACT, 0),
        (Health(ledger=Ledger.UNREACHABLE), "ledger", "unreachable", Level.WATCH, 0),
        (Health(ledger=Ledger.REFUSED), "ledger", "refused", Level.ACT, 0),
        (Health(queued=1_999), "queue", "waiting", Level.OK, 1_999),
        (Health(queued=2_000), "queue", "long", Level.WATCH, 2_000),
        (Health(roster_age_s=-1), "roster", "missing", Level.ACT, 0),
        (Health(roster_age_s=36 * 3600), "roster", "old", Level.WATCH, 36),
        (Health(roster_age_s=8 * 86_400), "roster", "stale", Level.ACT, 8),
        (Health(readers_gone=("door", "till")), "readers", "gone", Level.ACT, 2),
        (Health(clock=Clock.UNSYNCHRONISED), "clock", "unsynchronised", Level.WATCH, 0),
    ],
)
def test_each_trouble_has_its_line(health: Health, subject: str, value: str, level: Level, number: int) -> None:
    found = line(health, subject)
    assert (found.value, found.level, found.number) == (value, level, number)


def test_the_most_pressing_stands_first() -> None:
    levels = [one.level for one in health_lines(Health(recording=False, ledger=Ledger.UNREACHABLE))]
    assert levels == sorted(levels, key=[Level.ACT, Level.WATCH, Level.OK].index)
