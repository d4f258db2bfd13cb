"""How far long work is: plain lines under a clock of the test's own, a bar in a real terminal, output left alone."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from edge_agent.cli.progress import LINE_S, count_mapped, show_progress
from edge_agent.journal.export import export_journal, verify_export
from edge_agent.journal.verify import verify_journal
from tests.edge_agent.journal.samples import build_entry, open_journal

HERE = Path(__file__).parents[3]


class HandClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_long_work_is_a_line_now_and_then_and_one_at_its_end() -> None:
    clock, text = HandClock(), io.StringIO()
    with show_progress("export", "rows", console=Console(file=text, width=200), clock=clock) as note:
        for done in range(0, 1_001, 10):
            clock.now_s = done / 1_000 * 4 * LINE_S
            note(done, 1_000)
    assert text.getvalue().splitlines() == [
        "export: 250 of 1000 rows (25 %), about 30 s left",
        "export: 500 of 1000 rows (50 %), about 20 s left",
        "export: 750 of 1000 rows (75 %), about 10 s left",
        "export: 1000 of 1000 rows (100 %), about 0 s left",
        "export: 1000 rows, done in 40 s",
    ]


def test_short_work_and_unknown_totals() -> None:
    clock, text = HandClock(), io.StringIO()
    with show_progress("verify", "rows", console=Console(file=text, width=200), clock=clock) as note:
        for done in range(100):
            note(done, 100)
    assert text.getvalue() == ""
    with show_progress("verify", "bytes", console=Console(file=text, width=200), clock=clock) as note:
        clock.now_s += LINE_S
        note(7, 0)
    assert text.getvalue().splitlines() == ["verify: 7 bytes", "verify: 7 bytes, done in 10 s"]


def test_work_that_fails_is_not_said_to_be_done() -> None:
    clock, text = HandClock(), io.StringIO()

    def work() -> None:
        with show_progress("import", "schools", console=Console(file=text, width=200), clock=clock) as note:
            clock.now_s = LINE_S
            note(1, 2)
            raise ValueError

    with pytest.raises(ValueError):
        work()
    assert text.getvalue().splitlines() == ["import: 1 of 2 schools (50 %), about 10 s left"]


SCRIPT = """
from edge_agent.cli.progress import show_progress
from edge_agent.cli.options import print_json
with show_progress("verify", "rows") as note:
    for done in range(101):
        note(done, 100)
    print_json({"holds": True})
"""


def test_a_terminal_gets_a_bar_and_a_pipe_its_output_alone() -> None:
    screen, keyboard = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=keyboard, check=True, timeout=60,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    os.close(keyboard)
    drawn = b""
    try:
        while chunk := os.read(screen, 65_536):
            drawn += chunk
    except OSError:
        pass  # Linux ends a terminal whose other side is closed by EIO
    finally:
        os.close(screen)
    assert done.stdout == b'{"holds": true}\n'
    assert b"verify" in drawn
    assert b"100/100" in drawn
    assert "━".encode() in drawn


def test_mapped_work_is_counted_and_keeps_its_order() -> None:
    assert list(count_mapped(map, "compare", "pieces")(lambda item: item * 2, range(4))) == [0, 2, 4, 6]


def test_a_journal_tells_how_far_its_walk_and_its_export_are(tmp_path: Path) -> None:
    rows, target = 2_500, tmp_path / "export.jsonl"
    with open_journal(tmp_path / "journal.db") as journal:
        journal.append_all([build_entry(number) for number in range(rows)])
    noted: dict[str, list[tuple[int, int]]] = {"verify": [], "export": [], "export's check": []}

    def note(name: str) -> Callable[[int, int], None]:
        return lambda done, total: noted[name].append((done, total))

    assert verify_journal(tmp_path / "journal.db", progress=note("verify")).rows == rows
    assert export_journal(tmp_path / "journal.db", target, note("export")) == rows
    assert verify_export(target, note("export's check")).rows == rows
    for name, total in (("verify", rows), ("export", rows), ("export's check", target.stat().st_size)):
        dones = [done for done, _ in noted[name]]
        assert len(dones) > 1, name
        assert dones == sorted(dones), name
        assert {told for _, told in noted[name]} == {total}, name
        assert dones[-1] <= total, name
    assert noted["verify"][-1] == noted["export"][-1] == (rows, rows)
