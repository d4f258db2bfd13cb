"""The list of kiosks that somebody asks for: filtered, in order of need, and as a CSV file. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sync.ledger.fleet.alarms import AlarmKind, AlarmLevel, KioskAlarm, KioskState, judge_kiosk
from sync.money.neutral import neutralise

CSV_COLUMNS = (
    "school", "school_name", "kiosk", "name", "status", "version", "last_heard", "queue", "roster", "newest_roster",
    "roster_age_s", "last_scan", "readers_gone", "alarms", "update_version", "update_state", "update_why",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KioskRow:
    """A kiosk as the list has it, at the moment of asking."""

    state: KioskState
    alarms: tuple[KioskAlarm, ...]
    roster_age_s: int  # -1: not known

    @property
    def zone(self) -> ZoneInfo:
        """Returns the zone in which people at the school read the clock."""
        return ZoneInfo(self.state.timezone)

    @property
    def level(self) -> str:
        """Returns the level of the most pressing alarm; `ok` where there is none."""
        return self.alarms[0].level if self.alarms else "ok"


@dataclass(frozen=True, slots=True)
class FleetFilter:
    """The fields by which kiosks are asked for; an empty one asks for everything. Unknown values find nothing."""

    text: str = ""  # a part of the school's or the kiosk's id or name
    level: str = ""  # `act`, `watch` (or worse), `ok`
    alarm: str = ""  # an `AlarmKind`
    version: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "FleetFilter":
        """Returns the filter that an address names."""
        return cls(*(query.get(name, "").strip()[:100] for name in ("text", "level", "alarm", "version")))

    def admits(self, row: KioskRow) -> bool:
        """Returns True for a kiosk that is asked for."""
        state = row.state
        names = (state.school, state.school_name, state.device, state.name)
        levels = {"": True, "watch": row.level != "ok"}.get(self.level, row.level == self.level)
        return (
            levels
            and any(self.text.casefold() in name.casefold() for name in names)
            and (not self.alarm or any(alarm.kind == self.alarm for alarm in row.alarms))
            and self.version in {"", state.version}
        )


def list_kiosks(states: Iterable[KioskState], now: datetime) -> list[KioskRow]:
    """Returns the kiosks with their alarms, those that need somebody first, else by school and id."""
    rows = [KioskRow(state, judge_kiosk(state, now), state.roster_age_now_s(now)) for state in states]
    levels = [AlarmLevel.ACT, AlarmLevel.WATCH, "ok"]
    return sorted(rows, key=lambda row: (levels.index(row.level), row.state.school, row.state.device))


def count_versions(rows: Iterable[KioskRow]) -> Mapping[str, int]:
    """Returns on how many kiosks each version runs, the newest text last; those that have told none are left out."""
    counts: dict[str, int] = {}
    for row in rows:
        if row.state.version:
            counts[row.state.version] = counts.get(row.state.version, 0) + 1
    return dict(sorted(counts.items()))


def list_alarm_kinds(rows: Iterable[KioskRow]) -> Sequence[AlarmKind]:
    """Returns the kinds of alarms that there are, in their order."""
    present = {alarm.kind for row in rows for alarm in row.alarms}
    return [kind for kind in AlarmKind if kind in present]


def write_csv(rows: Iterable[KioskRow]) -> bytes:
    """Returns the rows as a CSV file with a byte order mark, for spreadsheets. Times are local, with their offset."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        state, update = row.state, row.state.update
        cells = (
            state.school, state.school_name, state.device, state.name, state.status, state.version,
            _local(state.heard, row.zone), _known(state.queue), _known(state.roster), state.newest_roster,
            _known(row.roster_age_s), _local(state.scanned, row.zone),
            " ".join(part.part for part in state.readers_gone),
            "; ".join(f"{alarm.level} {alarm.kind} {alarm.detail}".strip() for alarm in row.alarms),
            *((update.version, update.state, update.why) if update is not None else ("", "", "")),
        )  # fmt: skip
        writer.writerow(map(neutralise, cells))
    return file.getvalue().encode("utf-8-sig")


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds") if moment is not None else ""


def _known(number: int) -> int | str:
    return number if number >= 0 else ""
