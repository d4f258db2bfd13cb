"""The house itself: rooms that do no input or output, tests that mirror it, a wheel that holds what it should."""

import ast
import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = ("edge_agent/domain", "edge_agent/palm", "sync/contract", "drivers/protocols")
PACKAGES = {"edge_agent", "drivers", "sync", "canteen_demo"}


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_opens_no_file(room: str) -> None:
    """Imports and dotted names are held by the linters; the builtin `open` needs neither."""
    for path in (ROOT / room).rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        opened = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "open"]
        assert not opened, f"{path.relative_to(ROOT)} opens a file in line {opened[0]}"


def test_every_folder_of_tests_is_a_package() -> None:
    """Without it, `tests/drivers` would stand in for our own `drivers`."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_no_test_reads_beside_the_clone() -> None:
    """Palm pictures are the one thing that lies outside, and one module knows where."""
    beside = re.compile(r"(^|/)shared(/|$)|CANTEEN_PALMS|/data/palms")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.name not in {"outside.py", "test_workers.py", "test_house.py"}
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and beside.search(node.value)
    ]
    assert found == [], "read palm pictures through tests/outside.py, everything else through tests/vectors"


def test_the_wheel_alone_owns_its_names_and_brings_the_technicians_files(tmp_path: Path) -> None:
    """On a built wheel in a fresh environment: an editable install would show nothing."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    ask = "import importlib.metadata as m, json; print(json.dumps(m.packages_distributions()))"
    done = subprocess.run([python, "-I", "-c", ask], check=True, capture_output=True, text=True)
    owners = {name: set(dists) for name, dists in json.loads(done.stdout).items()}
    assert {name for name, dists in owners.items() if "canteen-edge-agent" in dists} == PACKAGES
    assert all(owners[name] == {"canteen-edge-agent"} for name in PACKAGES)
    shared = tmp_path / "fresh" / "share" / "edge-agent"
    assert (shared / "agent.example.toml").exists()
    assert (shared / "systemd" / "edge-agent.service").exists()
    assert not list(shared.rglob("*.py"))
