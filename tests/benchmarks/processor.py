"""Processor time: what other work on the machine changes least."""

import os
from collections.abc import Sequence
from pathlib import Path

from canteen_demo.postgres import EmbeddedPostgres, processes_in


class ProcessorTimes:
    """The processor time that a ledger and its PostgreSQL have used since this was made."""

    def __init__(self, ledger: Sequence[int], postgres: EmbeddedPostgres) -> None:
        """Begins to count. `ledger`: the ids of its answering processes."""
        self._ledger = ledger
        self._postgres = postgres
        self._before = self._sums()

    def read(self) -> tuple[float, float]:
        """Returns the seconds of the ledger, and those of all processes of PostgreSQL."""
        ledger, postgres = self._sums()
        return ledger - self._before[0], postgres - self._before[1]

    def _sums(self) -> tuple[float, float]:
        postgres = processes_in(self._postgres.cluster_dir)
        return sum(map(_processor_s, self._ledger)), sum(map(_processor_s, postgres))


def _processor_s(pid: int) -> float:
    """Returns the seconds that a process has used, and its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
