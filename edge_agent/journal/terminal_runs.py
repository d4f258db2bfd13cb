"""The runs of terminals' wrong clocks: what is held, until a named person confirms by how much they are off.

A table beside the events, made from them in their transaction, so that a restart forgets no doubt.
"""

import sqlite3
from dataclasses import dataclass

from drivers.readings import IMPOSSIBLE_RUN
from edge_agent.journal.store import Store
from sync.contract.event import TERMINAL_BOOT, ClockStep, Event, Sighting
from sync.contract.timelines import is_terminal_boot

RUNS_LISTED_MAX = 100

UPSERT_RUN = """
    INSERT INTO terminal_run (boot, offset_s, rows, first_at, last_at) VALUES (?1, ?2, 1, ?3, ?3)
    ON CONFLICT (boot) DO UPDATE SET rows = rows + 1, first_at = min(first_at, ?3), last_at = max(last_at, ?3)
"""
UPDATE_CONFIRMED = "UPDATE terminal_run SET confirmed_ms = ? WHERE boot = ?"
SELECT_HELD = """
    SELECT boot, offset_s, rows, first_at, last_at FROM terminal_run WHERE confirmed_ms IS NULL
    ORDER BY first_at DESC LIMIT ?
"""
SELECT_CONFIRMED = "SELECT confirmed_ms FROM terminal_run WHERE boot = ? AND confirmed_ms IS NOT NULL"


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run whose rows are held. Times are the terminal's own, as UTC texts."""

    boot: str
    offset_s: int  # how far the terminal's clock was ahead, as measured
    rows: int
    first_at: str
    last_at: str

    @property
    def terminal(self) -> str:
        """The terminal's serial number; its reader's name where it has none."""
        return self.name.split(" ")[-2]

    @property
    def name(self) -> str:
        """The run as people name it: reader, serial number, and when it began."""
        return self.boot.removeprefix(TERMINAL_BOOT)


class TerminalRuns:
    """Reads the runs of the journal."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def held(self) -> list[HeldRun]:
        """Returns the runs whose rows are held, the newest first."""
        return [HeldRun(*row) for row in self._store.read(SELECT_HELD, (RUNS_LISTED_MAX,))]

    def confirmed_ms(self, boot: str) -> int | None:
        """Returns how far this run's clock is ahead, as a person has confirmed it; None while nobody has."""
        rows = self._store.read(SELECT_CONFIRMED, (boot,))
        return int(rows[0][0]) if rows else None


def note_run(connection: sqlite3.Connection, event: Event) -> None:
    """Enters an event that was just appended: a row of a run, or a person's word about one."""
    if isinstance(event, Sighting):
        if event.offset_s and is_terminal_boot(event.boot) and not event.boot.endswith(f" {IMPOSSIBLE_RUN}"):
            connection.execute(UPSERT_RUN, (event.boot, event.offset_s, event.at))
    elif isinstance(event, ClockStep) and is_terminal_boot(event.boot):
        connection.execute(UPDATE_CONFIRMED, (-event.step_ms, event.boot))
