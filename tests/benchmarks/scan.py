"""From a card's frame on the pty to its light, in a kiosk that is a process of its own.

Three situations, each with a person's limit: a quiet break; a lunch in which two readers, an upload and a palm search
run at once; a kiosk whose only core three other programs want as well. Beside them stand what a scan costs in processor
time and how often an idle kiosk wakes up. The floor is a bare loop: the same bytes in, one durable row, a light out.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from drivers.simulated.card_peer import CardPeer, ReaderModel, frame
from edge_agent import identity
from edge_agent.identity import Registration
from tests.benchmarks import school
from tests.benchmarks.figures import Figure, Result, Run, high, middle, milliseconds
from tests.benchmarks.floor import BareLoop
from tests.benchmarks.kiosk import BenchKiosk
from tests.benchmarks.sink import sink
from tests.sync.client.drain import DEVICE
from tests.sync.client.ledger import SERVER_PUBLIC

PEOPLE, QUICK_PEOPLE = 2_000, 200
ROWS = 12_000
BACKLOG_ROWS = 60_000  # to be uploaded while the cards of the lunch come
QUICK_ROWS, QUICK_BACKLOG_ROWS = 1_000, 15_000
UPLOAD_PAUSE_S = 0.5  # of the sink before each answer: the upload lasts as long as the lunch
PALMS = 500
QUICK_PALMS = 8
PER_SECOND = 5
LUNCH_P99_MS = 20.0  # a child sees the light at once, whatever else the kiosk does
CROWDED_P99_MS = 50.0  # still at once to the eye, with three busy programs on the same core
BUSY_LOOPS = 3
IDLE_S = 10.0
PATIENCE_S = 30.0


def run(run: Run) -> Result:
    """Measures the three situations one after the other, each with a kiosk of its own."""
    folder = run.folder / "scan"
    folder.mkdir()
    count = 10 if run.quick else 300
    people = QUICK_PEOPLE if run.quick else PEOPLE
    rows, backlog = (QUICK_ROWS, QUICK_BACKLOG_ROWS) if run.quick else (ROWS, BACKLOG_ROWS)
    quiet, wakes, cpu_s = _quiet(folder / "quiet", count, rows, people, 1.0 if run.quick else IDLE_S)
    floor, floor_cpu_s = _bare(folder / "quiet", count)
    lunch = _lunch(folder / "lunch", count, backlog, people, QUICK_PALMS if run.quick else PALMS)
    crowded = _crowded(folder / "crowded", count, rows, people)
    limits = (None, None) if run.quick else (LUNCH_P99_MS, CROWDED_P99_MS)
    figures = [
        *_waits(f"quiet, {PER_SECOND}/s", quiet, floor),
        *_waits("burst, upload and palm search", lunch, at_most=limits[0]),
        *_waits(f"one core, {BUSY_LOOPS} busy loops on it", crowded, at_most=limits[1]),
        Figure("processor time of 1,000 scans", 1000 * cpu_s / count, "s", 1000 * floor_cpu_s / count),
        Figure("wake-ups of an idle kiosk", wakes, "a second"),
    ]
    title = f"Card to light, {count} cards each, {rows:,} rows before, {people:,} people; floor: the bare loop"
    return Result("scan", title, figures)


def _waits(
    situation: str, waits: Sequence[int], floor: Sequence[int] = (), at_most: float | None = None
) -> list[Figure]:
    """Returns median, p99 and longest of these waits in nanoseconds; a limit is on the p99 in milliseconds."""
    p50, p99 = milliseconds(middle(waits)), milliseconds(high(waits))
    return [
        Figure(f"{situation}: p50", p50, "ms", milliseconds(middle(floor)) if floor else None),
        Figure(f"{situation}: p99", p99, "ms", at_most=at_most),
        Figure(f"{situation}: the longest", milliseconds(max(waits)), "ms"),
    ]


def _quiet(folder: Path, count: int, rows: int, people: int, idle_s: float) -> tuple[list[int], float, float]:
    """Returns waits in nanoseconds, wake-ups a second of the idle kiosk, and processor seconds of the scans."""
    folder.mkdir()
    with CardPeer(folder / "door") as peer, BenchKiosk(folder, [peer], people=people, rows=rows) as kiosk:
        shutil.copy(kiosk.journal, folder / "bare.db")
        kiosk.start()
        kiosk.until(lambda status: status["journal"]["checked"] is not None)
        before = kiosk.wake_ups()
        time.sleep(idle_s)
        wakes = (kiosk.wake_ups() - before) / idle_s
        cpu_s = kiosk.processor_s()
        waits = _bring(kiosk, [peer], count)
        cpu_s = kiosk.processor_s() - cpu_s
        assert kiosk.stop() == 0
    return waits, wakes, cpu_s


def _bare(folder: Path, count: int) -> tuple[list[int], float]:
    """Returns the same of the bare loop, on a copy of the kiosk's journal from before its first card."""
    frames = {frame(ReaderModel.RDM6300, school.card(number)): school.person(number) for number in range(count)}
    bare = BareLoop(folder / "bare.db", frames)
    waits: list[int] = []
    cpu_s = time.process_time()
    try:
        for number in range(count):
            time.sleep(1 / PER_SECOND)
            sent_ns = time.monotonic_ns()
            os.write(bare.line, frame(ReaderModel.RDM6300, school.card(number)))
            _wait(lambda: len(bare.shown) > len(waits))
            waits.append(bare.shown[-1] - sent_ns)
    finally:
        cpu_s = time.process_time() - cpu_s
        bare.close()
    return waits, cpu_s


def _lunch(folder: Path, count: int, rows: int, people: int, palms: int) -> list[int]:
    """Returns the waits of cards at two readers while a backlog goes up and unknown hands lie before the camera."""
    folder.mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(sink(UPLOAD_PAUSE_S))
        registration = Registration(device=DEVICE, school=school.SCHOOL, ledger=url, server_key=SERVER_PUBLIC.hex())
        (folder / "state").mkdir()
        identity.write_registration(folder / "state", registration)
        peers = [stack.enter_context(CardPeer(folder / name)) for name in ("left", "right")]
        hands = school.draw_hands(folder / "hands")
        camera = f'[[readers]]\nname = "camera"\ndriver = "folder"\nfolder = "{hands}"\nfps = 10\nrepeat = true\n'
        kiosk = stack.enter_context(
            BenchKiosk(folder, peers, people=people, rows=rows, palms=palms, other_readers=camera)
        )
        kiosk.start()
        kiosk.until(lambda status: status["palm"]["ready"])
        waits = _bring(kiosk, peers, count)
        status = kiosk.status()
        assert status["journal"]["queue"] > 0, "the upload ended before the cards did"
        assert status["palm"]["people"] > 0
        assert kiosk.stop() == 0
    return waits


def _crowded(folder: Path, count: int, rows: int, people: int) -> list[int]:
    """Returns the waits of cards at a kiosk that shares its only core with busy loops."""
    folder.mkdir()
    core = min(os.sched_getaffinity(0))
    with CardPeer(folder / "door") as peer, BenchKiosk(folder, [peer], people=people, rows=rows) as kiosk:
        kiosk.start()
        kiosk.keep_on_core(core)
        with _busy_loops(core):
            waits = _bring(kiosk, [peer], count)
        assert kiosk.stop() == 0
    return waits


def _bring(kiosk: BenchKiosk, peers: Sequence[CardPeer], count: int) -> list[int]:
    """Brings one card after the other to these readers in turn; returns nanoseconds from the frame to the light."""
    sent: list[int] = []
    due = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, due - time.monotonic()))
        due += 1 / PER_SECOND
        sent.append(time.monotonic_ns())
        peers[number % len(peers)].present(school.card(number))
    path = kiosk.folder / "light.jsonl"
    _wait(lambda: len(welcomes(path)) >= count)
    return [shown - began for began, shown in zip(sent, welcomes(path), strict=True)]


def welcomes(path: Path) -> list[int]:
    """Returns when the light said welcome, in nanoseconds; a hand that nobody knows gets another signal."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [line["t_ns"] for line in lines if line["signal"] == "welcome"]


@contextmanager
def _busy_loops(core: int) -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY_LOOPS)]
    try:
        for loop in loops:
            os.sched_setaffinity(loop.pid, {core})
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, "a card got no light; look at the kiosk's log"
        time.sleep(0.005)
