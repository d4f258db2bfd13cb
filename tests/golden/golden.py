"""Golden files: what a collector says now against what stands in the tree."""

import difflib
from pathlib import Path

SHOWN_LINES_MAX = 40


def difference(path: Path, now: str) -> str:
    """Empty where they agree; else a diff that a person can read, and what to do."""
    then = path.read_text("utf-8") if path.exists() else ""
    if then == now:
        return ""
    lines = list(
        difflib.unified_diff(then.splitlines(), now.splitlines(), f"golden {path.name}", "now", lineterm="", n=2)
    )
    shown = [line if len(line) <= 400 else line[:397] + "..." for line in lines[:SHOWN_LINES_MAX]]
    more = [f"... {len(lines) - SHOWN_LINES_MAX} lines more"] if len(lines) > SHOWN_LINES_MAX else []
    advice = [
        f"{path.name}: something that outsiders depend on has changed.",
        "Where that is meant: python -m tests.golden --write, and say in the commit who has to know.",
    ]
    return "\n".join([*advice, *shown, *more])


def check(path: Path, now: str) -> None:
    found = difference(path, now)
    assert not found, found
