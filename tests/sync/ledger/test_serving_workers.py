"""`ledger serve --workers 2` to those who watch it: counts are of both processes, and so is the answer about health."""

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger.registry import schools
from tests.benchmarks.door import serving
from tests.sync.ledger.kiosk import Kiosk, accepted, entry, new_school
from tests.sync.ledger.test_workers import reconnect


def test_counts_and_health_are_of_both_processes(open_folder: Path) -> None:
    folder = open_folder / "watched"
    folder.mkdir(mode=0o755)
    metrics_port = find_free_port()
    with EmbeddedPostgres(folder / "database") as postgres:
        options = ("--workers", "2", "--metrics-port", str(metrics_port))
        with serving(folder, postgres.url, *options) as (url, _):
            with psycopg.connect(postgres.url, autocommit=True) as db:
                school = new_school(db)
                code = schools.issue_code(db, school, "left door", datetime.now(UTC))
            kiosk, counts = Kiosk.enrol(url, code), folder / "ledger" / "counts"
            while not kiosk.payloads or len(list(counts.glob("counter_*.db"))) < 2:
                kiosk.record(entry("u1", school=school))
                reconnect(kiosk, url)  # the kernel chooses a process for each connection
                accepted(kiosk.send(len(kiosk.payloads), len(kiosk.payloads)))
            kiosk.close()
            assert read_count(metrics_port, "batches", "200") == len(kiosk.payloads)
            assert ask_health(url) == {200}
            assert read_count(metrics_port, "health", "200") == HEALTH_QUESTIONS
            postgres.stop()
            assert ask_health(url) == {503}
            postgres.start()
            while ask_health(url) != {200}:
                pass
            assert read_count(metrics_port, "batches", "200") == len(kiosk.payloads)


HEALTH_QUESTIONS = 8  # each on a connection of its own


def ask_health(url: str) -> set[int]:
    """Returns the statuses of the answers."""
    with ThreadPoolExecutor(HEALTH_QUESTIONS) as threads:
        answers = threads.map(lambda _: httpx.get(f"{url}/v1/health", timeout=30), range(HEALTH_QUESTIONS))
        return {answer.status_code for answer in answers}


def read_count(port: int, call: str, status: str) -> float:
    """Returns how many requests Prometheus is told of."""
    families = text_string_to_metric_families(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == "ledger_requests_total"]
    return sum(each.value for each in samples if (each.labels["call"], each.labels["status"]) == (call, status))


def find_free_port() -> int:
    """Returns a port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
