"""A kiosk as a process of its own, with a school's past in its state folder."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from drivers.simulated.card_peer import CardPeer
from tests.benchmarks import school
from tests.system.daemon import Daemon, serial_reader


class BenchKiosk(Daemon):
    def __init__(
        self,
        folder: Path,
        peers: Sequence[CardPeer],
        *,
        people: int,
        rows: int,
        palms: int = 0,
        other_readers: str = "",
        tables: str = "",
    ) -> None:
        readers = "".join(serial_reader(peer.port.name, "em4100", peer.port) for peer in peers)
        super().__init__(folder, readers + other_readers, kiosk=f'school = "{school.SCHOOL}"', tables=tables)
        self.state_dir.mkdir(exist_ok=True)
        school.prepare(self.state_dir, people=people, rows=rows, palms=palms)

    def __enter__(self) -> "BenchKiosk":
        return self

    @property
    def process(self) -> Path:
        """Its folder under /proc."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}")

    def memory_kib(self) -> dict[str, int]:
        """VmRSS, VmHWM and their like."""
        lines = (self.process / "status").read_text("ascii").splitlines()
        return {
            name: int(rest.split()[0])
            for name, rest in (line.split(":", 1) for line in lines)
            if name.startswith(("Vm", "Rss"))
        }

    def descriptors(self) -> int:
        return len(list((self.process / "fd").iterdir()))

    def threads(self) -> int:
        return len(list((self.process / "task").iterdir()))

    def wake_ups(self) -> int:
        """Returns how often its threads have gone to sleep so far: each time something woke them again."""
        statuses = [(task / "status").read_text("ascii") for task in (self.process / "task").iterdir()]
        lines = [line for status in statuses for line in status.splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    def processor_s(self) -> float:
        """Returns the processor time that it has taken so far, user and system, in seconds."""
        fields = (self.process / "stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def keep_on_core(self, core: int) -> None:
        """Binds every thread of it to one core; threads that they start later stay there as well."""
        for task in (self.process / "task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # a thread that has ended since
                os.sched_setaffinity(int(task.name), {core})
