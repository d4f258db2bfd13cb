"""A run with parallel workers: a group stays on one, `alone` has the machine, one line counts what was left out."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = """
import os, pathlib, time
import pytest
from tests.outside import find_palms

@pytest.fixture(autouse=True)
def noted(request):
    began = time.monotonic()
    yield
    with pathlib.Path("times").open("a") as file:
        file.write(f"{request.node.name} {began} {time.monotonic()} {os.environ['PYTEST_XDIST_WORKER']}\\n")

@pytest.mark.parametrize("number", range(20))
def test_small(number):
    time.sleep(0.02)

@pytest.mark.alone
@pytest.mark.parametrize("number", range(3))
def test_lonely(number):
    time.sleep(0.05)

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(12))
def test_of_a_group(number):
    time.sleep(0.02)

@pytest.mark.parametrize("number", range(4))
def test_of_palms(number):
    find_palms("iitd")
"""


def test_two_workers_share_the_machine_and_count_together_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "test_made.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    alone: has the machine\n")
    plugins = ["-p", "xdist", "-p", "tests.conftest"]
    command = [sys.executable, "-m", "pytest", *plugins, "-n", "2", "--dist", "loadgroup"]
    env = {"PYTHONPATH": str(ROOT), "CANTEEN_PALMS": str(tmp_path / "none"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = [line for line in done.stdout.splitlines() if line.startswith("palm pictures: ")]
    assert [line.split(",")[1] for line in counted] == [" 4 tests not run (CANTEEN_PALMS names another folder)"]

    lines = [line.split() for line in (tmp_path / "times").read_text().splitlines()]
    assert len({worker for name, *_, worker in lines if "of_a_group" in name}) == 1
    times = {name: (float(began), float(ended)) for name, began, ended, _ in lines}
    lonely = [name for name in times if "lonely" in name]
    assert len(lonely) == 3
    for name in lonely:
        began, ended = times.pop(name)
        assert [other for other, (start, end) in times.items() if start < ended and began < end] == []
