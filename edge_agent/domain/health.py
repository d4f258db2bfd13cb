"""The kiosk's health, judged once: the only place that says when a queue is long and a roster old. Pure.

    facts ─▶ KioskHealth ─▶ judge_health ─▶ one HealthLine a subject

Four renderings follow it and judge nothing themselves: the staff's strip on the screen, `edge-agent doctor`, the status
line for systemd, and the heartbeat to the ledger. Health never speaks of money. Decision 0004 gives the reasons.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from drivers.readings import FaultCause
from edge_agent.domain.update_plan import UpdateCause
from sync.contract.event import ClockQuality

QUEUE_LONG = 2_000  # events; a large school's day
ROSTER_OLD_S = 36 * 3_600  # one night without a contact
ROSTER_AGE_MAX_S = 3 * 86_400  # where the settings say nothing else (rules.roster_age_max_s)
STREAM_FAULTS_MANY = 20
STREAM_FAULTS_ONLY = 3  # without one reading: more than a start's noise, and few enough for the first children


@dataclass(frozen=True, slots=True)
class ReaderReport:
    """A reader that has something to say to the staff: why it is away, the last thing that it refused, or how much
    of what it sent nobody understood.
    """

    name: str
    away: str = ""  # the reason, and what to do; empty while it is there
    refused: str = ""  # the driver's sentence; empty: it has refused nothing
    cause: FaultCause = FaultCause.LINE
    count: int = 0  # of that sentence since the start
    refused_s: int = 0  # when, in seconds of Unix time
    unread: int = 0  # requests of it that nobody understood, and that are stored


class LedgerState(StrEnum):
    """How the ledger can be reached."""

    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # it answers, and does not let this kiosk in
    NONE = "none"  # no ledger is set


@dataclass(frozen=True, slots=True)
class KioskHealth:
    """The facts that the kiosk's health is judged by."""

    recording: bool = True  # the journal can be written
    waiting: int = 0  # scans in memory, until it can be
    hand_count: int = 0  # people whom the staff counted meanwhile
    ledger: LedgerState = LedgerState.NONE
    ledger_alarm: bool = False  # the ledger's last answer needs a person, whatever came after it
    has_twin: bool = False  # another kiosk is heard under this one's identity
    queued: int = 0  # events that the ledger has not acknowledged
    roster_age_s: int = -1  # since the ledger last confirmed it; -1: no roster yet
    roster_age_max_s: float = ROSTER_AGE_MAX_S  # older, and the rules leave every meal to be judged again
    palm: bool = False  # a palm reader works
    card: bool = True  # a card or code reader works
    readers_gone: tuple[str, ...] = ()  # by their names in the settings
    readers_misset: tuple[str, ...] = ()  # there, and read no card for their settings or wires: `is_misset`
    clock: ClockQuality = ClockQuality.UNKNOWN
    doubted_clocks: tuple[str, ...] = ()  # serial numbers of terminals whose rows are held for their clock
    readers: tuple[ReaderReport, ...] = ()  # those that have something to say
    technician_called: bool = False  # and nobody has answered
    taken_back: UpdateCause | None = None  # why the last update was rolled back by itself
    taken_back_version: str = ""


class HealthLevel(StrEnum):
    """The level of a health line: it says what people have to do."""

    OK = "ok"
    WATCH = "watch"  # the kiosk goes on; somebody should know
    ACT = "act"  # somebody must do something today


@dataclass(frozen=True, slots=True)
class HealthLine:
    """The judgement on one subject. The screen's words for it are `health.<subject>.<value>` in the catalogues."""

    subject: str
    value: str
    level: HealthLevel
    number: int = 0  # events, hours or days, as the words say
    names: tuple[str, ...] = ()


def judge_health(health: KioskHealth) -> tuple[HealthLine, ...]:
    """Returns one line for each subject, the most pressing first."""
    lines = [
        judge_recording(health),
        judge_ledger(health),
        judge_queue(health),
        judge_roster(health),
        judge_readers(health),
        judge_clock(health),
        *judge_identity(health),
        *judge_terminals(health),
        *judge_calls(health),
        *judge_update(health),
    ]
    return tuple(sorted(lines, key=lambda line: list(HealthLevel)[::-1].index(line.level)))


def worst_level(lines: Iterable[HealthLine]) -> HealthLevel:
    """Returns the most pressing level among these lines; OK where there are none."""
    return max((line.level for line in lines), key=list(HealthLevel).index, default=HealthLevel.OK)


def judge_recording(health: KioskHealth) -> HealthLine:
    """Returns `yes`; while the journal cannot be written `held` with the number of scans in memory, or `no`."""
    if health.recording:
        return HealthLine("recording", "yes", HealthLevel.OK)
    if health.waiting:
        return HealthLine("recording", "held", HealthLevel.ACT, health.waiting)
    return HealthLine("recording", "no", HealthLevel.ACT)


def judge_ledger(health: KioskHealth) -> HealthLine:
    """Returns how the ledger can be reached; an answer that needs a person counts as a refusal."""
    levels = {
        LedgerState.REACHABLE: HealthLevel.OK,
        LedgerState.UNREACHABLE: HealthLevel.WATCH,
        LedgerState.REFUSED: HealthLevel.ACT,
        LedgerState.NONE: HealthLevel.WATCH,
    }
    state = LedgerState.REFUSED if health.ledger_alarm else health.ledger
    return HealthLine("ledger", state, levels[state])


def judge_queue(health: KioskHealth) -> HealthLine:
    """Returns `empty`, `waiting` or `long`, with the number of events."""
    if health.queued == 0:
        return HealthLine("queue", "empty", HealthLevel.OK)
    if health.queued < QUEUE_LONG:
        return HealthLine("queue", "waiting", HealthLevel.OK, health.queued)
    return HealthLine("queue", "long", HealthLevel.WATCH, health.queued)


def judge_roster(health: KioskHealth) -> HealthLine:
    """Returns `missing`, `stale` with days, or `old` or `fresh` with hours."""
    age_s = health.roster_age_s
    if age_s < 0:
        return HealthLine("roster", "missing", HealthLevel.ACT)
    if age_s > health.roster_age_max_s:
        return HealthLine("roster", "stale", HealthLevel.ACT, age_s // 86_400)
    if age_s >= ROSTER_OLD_S:
        return HealthLine("roster", "old", HealthLevel.WATCH, age_s // 3_600)
    return HealthLine("roster", "fresh", HealthLevel.OK, age_s // 3_600)


def judge_readers(health: KioskHealth) -> HealthLine:
    """Returns `present`, or `gone` with the names of the readers that do not answer, else `misset` with those that read
    nothing.
    """
    misset = health.readers_misset
    if not health.readers_gone and misset:
        return HealthLine("readers", "misset", HealthLevel.ACT, len(misset), misset)
    if not health.readers_gone:
        return HealthLine("readers", "present", HealthLevel.OK)
    return HealthLine("readers", "gone", HealthLevel.ACT, len(health.readers_gone), health.readers_gone)


def judge_clock(health: KioskHealth) -> HealthLine:
    """Returns the clock's quality."""
    level = HealthLevel.OK if health.clock is ClockQuality.SYNCHRONISED else HealthLevel.WATCH
    return HealthLine("clock", health.clock, level)


def is_misset(readings: int, stream_faults: int, refused: FaultCause | None) -> bool:
    """Returns True for a present reader that has read nothing: the last thing was refused for its settings or wires, or
    all that it sends is garbage, as at a wrong speed or under a wrong driver.
    """
    return readings == 0 and (refused is FaultCause.SETTINGS or is_garbled(readings, stream_faults))


def is_garbled(readings: int, stream_faults: int) -> bool:
    """Returns True for a device that sends, and nothing of it is a reading."""
    return readings == 0 and stream_faults >= STREAM_FAULTS_ONLY


def judge_terminals(health: KioskHealth) -> tuple[HealthLine, ...]:
    """Returns `doubted` with the terminals whose clocks are not believed; no line where there are none."""
    names = health.doubted_clocks
    return (HealthLine("terminal_clock", "doubted", HealthLevel.ACT, len(names), names),) if names else ()


def judge_identity(health: KioskHealth) -> tuple[HealthLine, ...]:
    """Returns `doubled` while another kiosk has this one's identity; no line where none has."""
    return (HealthLine("identity", "doubled", HealthLevel.ACT),) if health.has_twin else ()


def judge_calls(health: KioskHealth) -> tuple[HealthLine, ...]:
    """Returns `called` while a call of the technician is open; no line where there is none."""
    return (HealthLine("technician", "called", HealthLevel.ACT),) if health.technician_called else ()


def judge_update(health: KioskHealth) -> tuple[HealthLine, ...]:
    """Returns why the last update was rolled back, with its version; no line where it was not, or by a person."""
    cause = health.taken_back
    if cause is None or cause is UpdateCause.BY_HAND:
        return ()
    return (HealthLine("update", cause, HealthLevel.WATCH, names=(health.taken_back_version,)),)


def is_noisy(readings: int, stream_faults: int) -> bool:
    """Returns True for a device of whose line most is no frame: a wrong speed, or a bad cable."""
    return stream_faults > STREAM_FAULTS_MANY and stream_faults > readings
