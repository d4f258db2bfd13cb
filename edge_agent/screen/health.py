"""The kiosk's own state in lines that staff can act on: pure. It never speaks of money."""

from dataclasses import dataclass
from enum import StrEnum

from sync.contract.event import ClockQuality

QUEUE_LONG = 2_000  # events: more than a mean school's day
ROSTER_OLD_S = 36 * 3600  # one missed night
ROSTER_STALE_S = 7 * 24 * 3600


class LedgerState(StrEnum):
    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # it answers, and does not let this kiosk in
    NONE = "none"  # no ledger is set


@dataclass(frozen=True, slots=True)
class KioskHealth:
    """The kiosk's own state, as the runtime sees it."""

    recording: bool = True  # the journal can be written
    ledger: LedgerState = LedgerState.NONE
    queued: int = 0  # events that the ledger has not acknowledged
    roster_age_s: int = -1  # since the ledger last confirmed it; -1: no roster yet
    palm: bool = False  # a palm reader works
    card: bool = True  # a card or code reader works
    readers_gone: tuple[str, ...] = ()  # by their names in the settings
    clock: ClockQuality = ClockQuality.UNKNOWN


class Level(StrEnum):
    OK = "ok"
    WATCH = "watch"  # the kiosk goes on; somebody should know
    ACT = "act"  # somebody must do something today


@dataclass(frozen=True, slots=True)
class HealthLine:
    """One line of the staff's strip. Its words are `health.<subject>.<value>` in the catalogues."""

    subject: str
    value: str
    level: Level
    number: int = 0  # events, hours or days, as the words say
    names: tuple[str, ...] = ()


def health_lines(health: KioskHealth) -> tuple[HealthLine, ...]:
    """The staff's strip, most pressing first. It never speaks of money."""
    lines = [_recording(health), _ledger(health), _queue(health), _roster(health), _readers(health), _clock(health)]
    return tuple(sorted(lines, key=lambda line: list(Level)[::-1].index(line.level)))


def worst(lines: tuple[HealthLine, ...]) -> Level:
    return max((line.level for line in lines), key=list(Level).index, default=Level.OK)


def _recording(health: KioskHealth) -> HealthLine:
    if health.recording:
        return HealthLine("recording", "yes", Level.OK)
    return HealthLine("recording", "no", Level.ACT)


def _ledger(health: KioskHealth) -> HealthLine:
    levels = {
        LedgerState.REACHABLE: Level.OK,
        LedgerState.UNREACHABLE: Level.WATCH,
        LedgerState.REFUSED: Level.ACT,
        LedgerState.NONE: Level.WATCH,
    }
    return HealthLine("ledger", health.ledger, levels[health.ledger])


def _queue(health: KioskHealth) -> HealthLine:
    if health.queued == 0:
        return HealthLine("queue", "empty", Level.OK)
    if health.queued < QUEUE_LONG:
        return HealthLine("queue", "waiting", Level.OK, health.queued)
    return HealthLine("queue", "long", Level.WATCH, health.queued)


def _roster(health: KioskHealth) -> HealthLine:
    age_s = health.roster_age_s
    if age_s < 0:
        return HealthLine("roster", "missing", Level.ACT)
    if age_s < ROSTER_OLD_S:
        return HealthLine("roster", "fresh", Level.OK, age_s // 3600)
    if age_s < ROSTER_STALE_S:
        return HealthLine("roster", "old", Level.WATCH, age_s // 3600)
    return HealthLine("roster", "stale", Level.ACT, age_s // 86400)


def _readers(health: KioskHealth) -> HealthLine:
    if not health.readers_gone:
        return HealthLine("readers", "present", Level.OK)
    return HealthLine("readers", "gone", Level.ACT, len(health.readers_gone), health.readers_gone)


def _clock(health: KioskHealth) -> HealthLine:
    return HealthLine("clock", health.clock, Level.OK if health.clock is ClockQuality.SYNCHRONISED else Level.WATCH)
