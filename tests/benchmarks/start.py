"""From the start of the process to READY=1, with a year's rows and the largest school, everything in the page cache."""

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.simulated.card_peer import CardPeer
from tests.benchmarks.figures import Figure, Result, Run, middle
from tests.benchmarks.kiosk import BenchKiosk

READY_S = 2.0
PATIENCE_S = 120.0
IMPORTS = "import edge_agent.cli.run, drivers.cards.em4100"


def run(run: Run) -> Result:
    rows, people, rounds = (3_000, 500, 1) if run.quick else (300_000, 5_000, 7)
    folder = run.folder / "start"
    folder.mkdir()
    ready: list[float] = []
    bare: list[float] = []
    imports: list[float] = []
    with (
        CardPeer(folder / "door") as peer,
        BenchKiosk(folder, [peer], people=people, rows=rows) as kiosk,
    ):
        for number in range(rounds + 1):
            bare.append(_python("pass"))
            imports.append(_python(IMPORTS))
            ready.append(_until_ready(kiosk, folder / f"notify-{number}"))
            status = kiosk.status()
            assert status["journal"]["head"] > rows
            assert status["roster"]["people"] == people
            assert kiosk.stop() == 0
    # The first round fills the page cache and writes the byte code.
    warm: Sequence[float] = ready[1:]
    figures = [
        Figure(f"process start to READY=1, median of {len(warm)}", middle(warm), "s", at_most=READY_S),
        Figure("the slowest", max(warm), "s", at_most=READY_S),
        Figure("Python with every import of `run` and nothing else", middle(imports[1:]), "s"),
        Figure("Python with nothing at all", middle(bare[1:]), "s"),
    ]
    return Result("start", f"{rows:,} rows journaled, a roster of {people:,} people, warm page cache", figures)


def _until_ready(kiosk: BenchKiosk, path: Path) -> float:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(PATIENCE_S)
        started = time.monotonic()
        kiosk.launch(NOTIFY_SOCKET=str(path))
        said = systemd.recv(4096)
        seconds = time.monotonic() - started
    assert said.startswith(b"READY=1"), said
    return seconds


def _python(code: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
    return time.monotonic() - started
