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
PURE = ("edge_agent/domain", "edge_agent/palm", "sync/contract", "sync/money", "drivers/protocols")
PACKAGES = {"edge_agent", "drivers", "sync", "canteen_demo"}


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_opens_no_file(room: str) -> None:
    """Imports and dotted names are held by the linters; the builtin `open` needs neither."""
    for path in (ROOT / room).rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        opened = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "open"]
        assert not opened, f"{path.relative_to(ROOT)} opens a file in line {opened[0]}"


def _attributes_set(method: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, int]:
    """The attributes of `self` that this method sets, with the line of each."""
    attributes = [node for node in ast.walk(method) if isinstance(node, ast.Attribute)]
    return {
        node.attr: node.lineno
        for node in attributes
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }


def _declared(made: ast.ClassDef) -> set[str]:
    """The fields of a dataclass, and attributes that the class itself gives a value."""
    fields = [node for node in made.body if isinstance(node, ast.AnnAssign)]
    return {
        node.target.id
        for node in fields
        if isinstance(node.target, ast.Name) and (made.decorator_list or node.value is not None)
    }


def _born_late(source: str) -> list[str]:
    """`Class.attribute in line …` for each attribute that is first set after the object was made."""
    found = []
    for made in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)):
        known = _declared(made)
        methods = [node for node in made.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for method in methods:
            if method.name in {"__init__", "__post_init__"}:
                known |= _attributes_set(method).keys()
        for method in methods:
            late = ((name, line) for name, line in _attributes_set(method).items() if name not in known)
            found += [f"{made.name}.{name} in line {line}" for name, line in late]
    return found


def _reached_through_agent(source: str) -> list[int]:
    """Lines with `agent.x.y`: who needs y is handed x."""
    chains = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    links = (chain for chain in chains if isinstance(chain, ast.Attribute))
    return [
        link.lineno
        for link in links
        if (isinstance(link.value, ast.Name) and link.value.id == "agent")
        or (isinstance(link.value, ast.Attribute) and link.value.attr in {"agent", "_agent"})
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "edge_agent/runtime").rglob("*.py")), ids=lambda path: path.stem)
def test_no_attribute_of_the_runtime_is_born_after_its_object(path: Path) -> None:
    """Between the two, everything that reads it fails, and mypy cannot see that."""
    assert not _born_late(path.read_text("utf-8"))


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_nobody_reaches_through_the_agent(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        lines = _reached_through_agent(path.read_text("utf-8"))
        assert not lines, f"{path.relative_to(ROOT)} reaches through the agent in line {lines[0]}"


def test_these_two_rules_see_what_they_forbid() -> None:
    late = "class A:\n  x: int\n  def __init__(self): self.y = 1\n  def go(self): self.y = self.x = 2"
    assert _born_late(late) == ["A.x in line 4"]
    assert _born_late(f"@dataclass\n{late}") == []
    assert _reached_through_agent("agent.a\nagent.a.b\nself.agent.a.b()\nself._agent.a\n") == [2, 3]


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
