"""The alarms of a kiosk, judged by its last heartbeat and the ledger's own rows. Pure.

The levels are the kiosk's own: *act*, somebody must do something today; *watch*, somebody should know.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sync.contract.wire import PartHealth, PartKind, UpdateReport

SILENT_WATCH: Final = timedelta(hours=1)  # four of the longest waits of a kiosk on a bad line (`ledger.retry_max_s`)
SILENT_ACT: Final = timedelta(hours=36)  # one night without a contact, as a kiosk itself counts
QUEUE_LONG: Final = 2_000  # events; a large school's day
ROSTER_OLD_S: Final = 36 * 3_600
ROSTER_STALE_S: Final = 3 * 86_400  # the rules leave every meal to be judged again
UPDATE_FAILURES: Final = frozenset({"rolled-back", "failed"})


class AlarmKind(StrEnum):
    """The kinds of what may be wrong with a kiosk. The pages have a text for each, under `alarm.<kind>`."""

    TWINS = "twins"  # two kiosks with one identity
    JOURNAL = "journal"  # it cannot be written
    LOG = "log"  # the ledger's log contradicts the kiosk's journal
    SILENT = "silent"
    READERS = "readers"
    TECHNICIAN = "technician"
    TERMINAL_CLOCK = "terminal-clock"
    MISSING = "missing"  # events that were recorded and can no longer be read
    ROSTER = "roster"
    QUEUE = "queue"
    CLOCK = "clock"
    UPDATE = "update"
    SUSPENDED = "suspended"
    OTHER = "other"  # a part that this ledger does not know


class AlarmLevel(StrEnum):
    """The level of an alarm: it says what people have to do."""

    ACT = "act"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class KioskAlarm:
    """One thing that is wrong with a kiosk; `detail` is its own words, in English, or empty."""

    kind: AlarmKind
    level: AlarmLevel
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskState:
    """How a kiosk stands. None and -1: it has not told; its version may be older than the question."""

    school: str
    school_name: str
    timezone: str
    device: str
    name: str
    status: str  # `active` or `suspended`
    enrolled_at: datetime
    heard: datetime | None
    twins: bool
    missing: int  # events
    newest_roster: int
    version: str = ""
    queue: int = -1  # events
    roster: int = -1
    roster_age_s: int = -1  # when it was last heard
    scanned: datetime | None = None
    clock: str = ""
    parts: tuple[PartHealth, ...] = ()
    update: UpdateReport | None = None

    @property
    def readers_gone(self) -> tuple[PartHealth, ...]:
        """Returns the readers that do not work."""
        return tuple(part for part in self.parts if part.state == "failed" and part_kind(part) == PartKind.READER)

    def roster_age_now_s(self, now: datetime) -> int:
        """Returns the roster's age at this moment in seconds: it goes on ageing while nobody hears the kiosk; or -1."""
        if self.roster_age_s < 0 or self.heard is None:
            return -1
        return self.roster_age_s + max(0, int((now - self.heard).total_seconds()))


def part_kind(part: PartHealth) -> str:
    """Returns the kind of a part; of an older kiosk, which does not tell it, by the part's name."""
    if part.kind:
        return part.kind
    if part.part in {PartKind.TECHNICIAN, PartKind.JOURNAL, PartKind.LOG}:
        return part.part
    return PartKind.TERMINAL_CLOCK if part.part.endswith(" clock") else PartKind.READER


_PARTS: Final = {
    PartKind.JOURNAL: (AlarmKind.JOURNAL, AlarmLevel.ACT),
    PartKind.LOG: (AlarmKind.LOG, AlarmLevel.ACT),
    PartKind.READER: (AlarmKind.READERS, AlarmLevel.ACT),
    PartKind.TECHNICIAN: (AlarmKind.TECHNICIAN, AlarmLevel.ACT),
    PartKind.TERMINAL_CLOCK: (AlarmKind.TERMINAL_CLOCK, AlarmLevel.ACT),
}


def judge_kiosk(state: KioskState, now: datetime) -> tuple[KioskAlarm, ...]:
    """Returns what is wrong with a kiosk, what must be acted on first."""
    alarms = [
        *_judge_ledger_rows(state),
        *_judge_silence(state, now),
        *_judge_parts(state),
        *_judge_figures(state, now),
    ]
    return tuple(sorted(alarms, key=lambda alarm: (alarm.level, list(AlarmKind).index(alarm.kind))))


def _judge_ledger_rows(state: KioskState) -> Iterator[KioskAlarm]:
    if state.twins:
        yield KioskAlarm(AlarmKind.TWINS, AlarmLevel.ACT)
    if state.missing:
        yield KioskAlarm(AlarmKind.MISSING, AlarmLevel.ACT, str(state.missing))
    if state.status != "active":
        yield KioskAlarm(AlarmKind.SUSPENDED, AlarmLevel.WATCH)


def _judge_silence(state: KioskState, now: datetime) -> Iterator[KioskAlarm]:
    since = state.heard or state.enrolled_at
    if state.status != "active" or now - since < SILENT_WATCH:
        return
    yield KioskAlarm(AlarmKind.SILENT, AlarmLevel.ACT if now - since >= SILENT_ACT else AlarmLevel.WATCH)


def _judge_parts(state: KioskState) -> Iterator[KioskAlarm]:
    for part in state.parts:
        if part.state == "failed":
            kind, level = _PARTS.get(part_kind(part), (AlarmKind.OTHER, AlarmLevel.ACT))  # type: ignore[call-overload]
            yield KioskAlarm(kind, level, f"{part.part}: {part.detail}" if part.detail else part.part)


def _judge_figures(state: KioskState, now: datetime) -> Iterator[KioskAlarm]:
    if state.queue >= QUEUE_LONG:
        yield KioskAlarm(AlarmKind.QUEUE, AlarmLevel.WATCH, str(state.queue))
    if state.roster == 0 and state.heard is not None:
        yield KioskAlarm(AlarmKind.ROSTER, AlarmLevel.ACT)
    elif (age_s := state.roster_age_now_s(now)) >= ROSTER_OLD_S:
        level = AlarmLevel.ACT if age_s > ROSTER_STALE_S else AlarmLevel.WATCH
        yield KioskAlarm(AlarmKind.ROSTER, level, f"{age_s // 3_600} h")
    if state.clock and state.clock != "synchronised":
        yield KioskAlarm(AlarmKind.CLOCK, AlarmLevel.WATCH, state.clock)
    if state.update is not None and state.update.state in UPDATE_FAILURES:
        detail = f"{state.update.version}: {state.update.why}" if state.update.why else state.update.version
        yield KioskAlarm(AlarmKind.UPDATE, AlarmLevel.ACT, detail)
