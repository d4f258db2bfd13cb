"""The matching's numbers: each stands in the table, with a unit or meaning beside it and an origin above it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import edge_agent.palm.matching as room
from edge_agent.palm.matching import limits

ROOM = Path(room.__path__[0])
TABLE = ROOM / "limits.py"
FILES = sorted(path for path in ROOM.rglob("*.py") if path != TABLE)
# What counting, halving and doubling need; -1 is 1 with a sign.
PLAIN = {0.0, 0.5, 1.0, 2.0}
# The grids that the code's bytes are laid out on.
LAYOUT = {"code.py: 4.0", "code.py: 8.0"}


def shares(node: ast.AST) -> Iterator[ast.Constant]:
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, float) and child.value not in PLAIN:
            yield child


def test_no_function_of_the_matching_holds_a_tuned_number() -> None:
    tuned = [
        f"{path.name}:{share.lineno}: {share.value!r}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.Lambda)
        for share in shares(node)
    ]
    assert not tuned


def test_the_matchings_files_hold_no_share_of_their_own() -> None:
    own = {
        f"{path.name}: {share.value!r}"
        for path in FILES
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for share in shares(node)
    }
    assert own == LAYOUT


def test_each_limit_says_what_it_is_and_each_section_where_it_comes_from() -> None:
    lines = TABLE.read_text("utf-8").splitlines()
    silent = [
        ast.unparse(node.target)
        for node in ast.parse("\n".join(lines)).body
        if isinstance(node, ast.AnnAssign) and "#" not in lines[node.lineno - 1]
    ]
    assert not silent
    sections = re.split(r"^# -{20,}$", "\n".join(lines), flags=re.MULTILINE)[1:]
    assert len(sections) > 5
    assert [section.strip().splitlines()[0] for section in sections if "Origin: " not in section] == []


def test_each_limit_is_used() -> None:
    names = [name for name in vars(limits) if name.isupper()]
    assert len(names) > 50
    code = "\n".join(path.read_text("utf-8") for path in FILES)
    beside = {"QUALITY_MIN"}  # used by the kiosk's enrolment and recognition alone
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == beside
