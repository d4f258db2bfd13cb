"""The technician's page: the daemon's status, the last readings without names, versions, disk, and a day."""

import platform
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.control_api import DaemonStatus
from edge_agent.journal.journal import Journal
from edge_agent.runtime.day_history import DayHistory, DaySample
from edge_agent.version import VERSION

READINGS_SHOWN: Final = 20
_ROWS_LOOKED_AT: Final = 200
_SIGHTINGS: Final = frozenset({"entry", "exit", "repeat", "refusal"})


class ReadingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One reading as it was recorded: when, at which reader, and what became of it. Never who."""

    at: str
    kind: str
    reader: str = ""
    reason: str = ""
    method: str = ""


class TechnicianStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the technician's page shows."""

    status: DaemonStatus
    last_readings: tuple[ReadingRow, ...]  # the newest first
    versions: dict[str, str]
    free_mib: int  # of the disk under the state folder
    day: tuple[DaySample, ...]


@dataclass(frozen=True, slots=True)
class StatusDesk:
    """Implements `screen.status_api.StatusSource`."""

    read_daemon: Callable[[], DaemonStatus]
    journal: Journal
    history: DayHistory
    state_dir: Path

    def read_status(self) -> TechnicianStatus:
        """Returns the kiosk as it is now."""
        return TechnicianStatus(
            status=self.read_daemon(),
            last_readings=self._list_readings(),
            versions={
                "edge-agent": VERSION,
                "Python": platform.python_version(),
                "SQLite": sqlite3.sqlite_version,
                "system": platform.platform(),
            },
            free_mib=shutil.disk_usage(self.state_dir).free // (1024 * 1024),
            day=self.history.samples(),
        )

    def _list_readings(self) -> tuple[ReadingRow, ...]:
        rows = (msgspec.json.decode(row.payload, type=ReadingRow) for row in self.journal.recent(_ROWS_LOOKED_AT))
        return tuple(row for row in rows if row.kind in _SIGHTINGS)[:READINGS_SHOWN]
