"""The finder's numbers: each stands in the table, with a unit or meaning beside it and an origin above it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import edge_agent.palm.hand as room
from edge_agent.palm.hand import proportions

ROOM = Path(room.__path__[0])
TABLE = ROOM / "proportions.py"
FILES = sorted(path for path in ROOM.rglob("*.py") if path != TABLE)
# What counting, halving and doubling need.
PLAIN = {0, 0.5, 1, 2}
# Rooms beside the finder: their numbers stand at the head of their own files.
BESIDE = {"arrays.py", "cutout.py", "landmarks.py", "liveness.py", "overlay.py"}


def numbers(node: ast.AST) -> Iterator[ast.Constant]:
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and type(child.value) in (int, float, complex):
            yield child


def test_no_function_holds_a_tuned_number() -> None:
    tuned = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                tuned += [
                    f"{path.name}:{number.lineno}: {number.value!r}"
                    for number in numbers(node)
                    if number.value not in PLAIN
                ]
    assert not tuned


def test_the_finders_files_hold_no_share_of_their_own() -> None:
    shares = []
    for path in FILES:
        if path.name in BESIDE:
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                shares += [f"{path.name}:{n.lineno}: {n.value!r}" for n in numbers(node) if isinstance(n.value, float)]
    assert not shares


def test_each_number_of_the_table_says_what_it_is_and_each_section_whence_it_comes() -> None:
    lines = TABLE.read_text("utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    silent = []
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            assert node.end_lineno is not None
            beside, above = lines[node.end_lineno - 1], lines[node.lineno - 2]
            if "#" not in beside and not above.startswith("#"):
                silent.append(ast.unparse(node.target))
    assert not silent
    sections = re.split(r"^# -{20,}$", "\n".join(lines), flags=re.MULTILINE)[1:]
    assert sections
    assert [section.strip().splitlines()[0] for section in sections if "Origin: " not in section] == []


def test_each_number_of_the_table_is_used() -> None:
    code = "\n".join(path.read_text("utf-8") for path in FILES)
    names = [name for name in vars(proportions) if name.isupper()]
    assert len(names) > 100
    derived = TABLE.read_text("utf-8")
    unused = [
        name for name in names if not re.search(rf"\b{name}\b", code) and len(re.findall(rf"\b{name}\b", derived)) < 2
    ]
    assert not unused
