"""Every benchmark runs, and finds nothing lost, doubled or out of order. How fast it was decides nothing here."""

from pathlib import Path

import pytest

from tests.benchmarks import figures
from tests.benchmarks.__main__ import LONG, NAMES, measure
from tests.benchmarks.figures import Figure, Result, Run

# Each of these starts kiosks and waits for people's paces; the others run their parts as well.
PACED = frozenset({"scan", "burst", "memory", "tablets", "start", "hatch", "palm_flow", "enrolment"})
MANY_PROCESSES = frozenset({"lunch", "backlog", "door", "ingest"})  # each starts ledgers and clients of its own
SOAKED = PACED | MANY_PROCESSES
QUICK = [pytest.param(name, marks=pytest.mark.soak) if name in SOAKED else name for name in (*NAMES, *LONG)]


@pytest.mark.parametrize("name", QUICK)
def test_each_benchmark_runs_and_loses_nothing(name: str, open_folder: Path) -> None:
    folder = open_folder / f"benchmark-{name}"
    folder.mkdir(mode=0o755)
    result = measure(name, Run(folder, quick=True))
    counted = [figure for figure in result.figures if figure.at_most == 0]
    assert [figure.what for figure in counted if figure.missed] == []
    assert name in figures.plain([result])
    assert "| figure |" in figures.markdown([result])


def test_a_limit_is_on_the_ratio_where_there_is_a_floor_and_a_missed_one_is_named() -> None:
    slow = Figure("p50", 3.0, "ms", floor=1.0, at_most=1.5)
    quick = Figure("p50", 3.0, "ms", floor=2.5, at_most=1.5)
    lost = Figure("lost", 1, "", at_most=0)
    few = Figure("posts", 10.0, "/s", floor=100.0, at_least=0.25)
    stated = Figure("to COPY", 10.0, "/s", floor=100.0)
    assert [figure.missed for figure in (slow, quick, lost, few, stated)] == [True, False, True, True, False]
    assert Result("scan", "", [slow, quick, lost]).missed == [
        "scan: p50: 3.00 × is not ≤ 1.5 ×",
        "scan: lost: 1 is not ≤ 0",
    ]


def test_the_99th_of_a_hundred_is_not_the_greatest() -> None:
    assert figures.high([float(value) for value in range(200)]) == 198.0
    assert figures.high([1.0, 5.0]) == 5.0
