"""What the agent keeps resident when nobody is there, and whether that grows with the scans that pass through it.

The scans come as fast as the kiosk takes them, through the pty of a reader, one in twenty of a card that nobody knows.
"""

import select
import statistics
import time
from collections.abc import Callable

from drivers.simulated.card_peer import CardPeer, ReaderModel, frame
from tests.benchmarks import school
from tests.benchmarks.figures import Figure, Result, Run
from tests.benchmarks.kiosk import BenchKiosk

PEOPLE = 5_000
ROWS = 12_000
STRANGER_EVERY = 20
IDLE_MIB_MAX = 60.0  # a kiosk without a camera: neither NumPy nor OpenCV is loaded
GROWTH_BYTES_MAX = 10.0  # a scan: less than the smallest object that could be forgotten at each
PATIENCE_S = 120.0


def run(run: Run) -> Result:
    scans, chunk = (1_000, 100) if run.quick else (100_000, 2_500)
    folder = run.folder / "memory"
    folder.mkdir()
    with CardPeer(folder / "door") as peer, BenchKiosk(folder, [peer], people=PEOPLE, rows=ROWS) as kiosk:
        kiosk.start()
        kiosk.until(lambda status: status["journal"]["checked"] is not None)
        idle = kiosk.memory_kib()["VmRSS"]
        descriptors, threads = _settled(kiosk.descriptors), _settled(kiosk.threads)
        resident: list[tuple[int, int]] = []  # scans, KiB
        started = time.monotonic()
        for done in range(chunk, scans + 1, chunk):
            _bring(peer, done - chunk, done)
            _until_taken(kiosk, done)
            resident.append((done, kiosk.memory_kib()["VmRSS"]))
        seconds = time.monotonic() - started
        head = int(kiosk.status()["journal"]["head"])
        figures = [
            Figure("resident, idle", idle / 1024, "MiB", at_most=IDLE_MIB_MAX),
            Figure(f"resident after {scans:,} scans", resident[-1][1] / 1024, "MiB"),
            Figure("growth over the second half", _slope(resident), "bytes a scan", at_most=GROWTH_BYTES_MAX),
            Figure("open files, more than before", _settled(kiosk.descriptors) - descriptors, "", at_most=0),
            Figure("threads, more than before", _settled(kiosk.threads) - threads, "", at_most=0),
            Figure("rows lost", ROWS + scans - scans // STRANGER_EVERY + 1 - head, "", at_most=0),
            Figure("scans a second, one after the other", scans / seconds, ""),
        ]
        assert kiosk.stop() == 0
    return Result("memory", f"{scans:,} scans as fast as they are taken, {PEOPLE:,} people", figures)


def _bring(peer: CardPeer, first: int, last: int) -> None:
    for number in range(first, last):
        data = frame(ReaderModel.RDM6300, _card(number))
        while data:
            select.select([], [peer.fileno()], [], PATIENCE_S)
            data = data[peer.send(data) :]


def _card(number: int) -> bytes:
    """Every card is another one than those of the half second before: a reader reports a held card only twice."""
    if number % STRANGER_EVERY == 0:
        return b"\x02" + number.to_bytes(4, "big")
    return school.card(number % PEOPLE)


def _until_taken(kiosk: BenchKiosk, scans: int) -> None:
    until = time.monotonic() + PATIENCE_S
    rows = ROWS + 1 + scans - scans // STRANGER_EVERY  # one that it started
    while True:
        status = kiosk.status()
        if status["readers"][0]["readings"] >= scans and status["journal"]["head"] >= rows:
            return
        assert time.monotonic() < until, f"not taken: {status}"
        time.sleep(0.1)


def _settled(count: Callable[[], int]) -> int:
    """The least of a second: whoever was just answered holds a socket and a thread for a moment more."""
    counts = []
    for _ in range(20):
        counts.append(count())
        time.sleep(0.05)
    return min(counts)


def _slope(resident: list[tuple[int, int]]) -> float:
    """Bytes a scan, by least squares over the second half: in the first, caches fill to their limits."""
    half = resident[len(resident) // 2 :]
    fitted = statistics.linear_regression([scans for scans, _ in half], [kib * 1024 for _, kib in half])
    return fitted.slope
