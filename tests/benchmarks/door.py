"""The ledger's door: what a kiosk notices of strangers who hold half requests open, flood, and send half bodies."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.contract.wire import BatchReply
from sync.ledger.registry import schools
from tests.benchmarks.figures import Figure, Result, Run, high, middle
from tests.sync.ledger.kiosk import Kiosk, entry

HALF_REQUESTS, UNSIGNED_PER_S, HALF_BODIES = 2_100, 4_000, 300
PACE_S = 0.05  # between two batches of one event; a kiosk at noon sends one in two seconds
P99_MS, MEMORY_MIB = 250.0, 300.0


def run(run: Run) -> Result:
    seconds = 2.0 if run.quick else 20.0
    strangers = (50, 100, 5) if run.quick else (HALF_REQUESTS, UNSIGNED_PER_S, HALF_BODIES)
    with EmbeddedPostgres(run.folder / "ledger") as postgres, serving(run.folder, postgres.url) as (url, process):
        kiosk = enrol(url, postgres.url)
        quiet = [knock(kiosk) for _ in paced(seconds)]
        with knocking(url, *strangers) as answered:
            time.sleep(min(seconds, 3.0))  # until all of them stand there
            loud = [knock(kiosk) for _ in paced(seconds)]
        memory = peak_mib(process.pid)
        kiosk.close()
    refused = sum(not is_stored for is_stored, _ in loud)
    before, meanwhile = [ms for _, ms in quiet], [ms for _, ms in loud]
    what = f"{strangers[0]:,} half requests, {strangers[1]:,} unsigned requests/s wanted, {strangers[2]} half bodies"
    return Result("door", f"a kiosk's batches of one event, without and with strangers: {what}", [
        Figure("batches refused", refused, "", at_most=0),
        Figure("a batch, median", middle(meanwhile), "ms", middle(before)),
        Figure("a batch, p99 without strangers", high(before), "ms"),
        Figure("a batch, p99 with them", high(meanwhile), "ms", at_most=P99_MS),
        Figure("unsigned requests answered", answered[0], "/s"),
        Figure("the ledger's memory at its highest", memory, "MiB", at_most=MEMORY_MIB),
    ])  # fmt: skip


@contextmanager
def serving(folder: Path, database_url: str, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yields the URL and the process of a ledger as it is started for a city."""
    command = [sys.executable, "-P", "-c", "from edge_agent.cli.main import main; main()", "ledger", "serve",
               "--data", str(folder / "ledger"), "--database-url", database_url, "--port", "0", *options]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"http\S+", line)
            assert found, f"the ledger said {line!r}"
            yield found[0], process
        finally:
            process.terminate()


@contextmanager
def knocking(url: str, half: int, rate_per_s: int, bodies: int) -> Iterator[list[float]]:
    """Yields a list that holds, afterwards, how many unsigned requests a second were answered."""
    address = urlsplit(url)
    command = [sys.executable, "-m", "tests.benchmarks.strangers", str(address.hostname), str(address.port)]
    numbers = [str(number) for number in (half, rate_per_s, bodies)]
    answered: list[float] = []
    with subprocess.Popen([*command, *numbers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield answered
        said, _ = process.communicate()
        answered.append(float(said.split()[-1]))


def enrol(url: str, database_url: str) -> Kiosk:
    """Returns a kiosk of a school of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        schools.add_school(connection, "sch-1", "Мектеп")
        return Kiosk.enrol(url, schools.issue_code(connection, "sch-1", "left door", datetime.now(UTC)))


def paced(seconds: float) -> Iterator[None]:
    """Yields at an even pace, whatever happens between."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        yield
        time.sleep(max(0.0, began + PACE_S - time.monotonic()))


def knock(kiosk: Kiosk) -> tuple[bool, float]:
    """Sends one event; returns if it was stored at once, and the milliseconds until the answer."""
    kiosk.record(entry("u1", school=kiosk.school))
    number = len(kiosk.payloads)
    began = time.perf_counter()
    try:
        is_stored = isinstance(kiosk.send(number, number), BatchReply)
    except httpx.HTTPError:
        is_stored = False
    return is_stored, 1e3 * (time.perf_counter() - began)


def peak_mib(pid: int) -> float:
    """Returns the most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kib) / 1024
