"""A kiosk as a process of its own, with a school's past in its state folder."""

from collections.abc import Sequence
from pathlib import Path

from drivers.simulated.card_peer import CardPeer
from tests.benchmarks import school
from tests.system.daemon import Daemon, serial_reader


class BenchKiosk(Daemon):
    def __init__(self, folder: Path, peers: Sequence[CardPeer], *, people: int, rows: int) -> None:
        readers = "".join(serial_reader(peer.port.name, "em4100", peer.port) for peer in peers)
        super().__init__(folder, readers, kiosk=f'school = "{school.SCHOOL}"')
        self.state_dir.mkdir()
        school.prepare(self.state_dir, people=people, rows=rows)

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
