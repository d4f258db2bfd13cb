"""Measures how well names and docstrings read on their own, room by room.

    python -m tests.measure_names [FOLDER ...] [--list]

Counted over every name that the code binds (functions, classes, arguments, variables, attributes, aliases): the share
of words that say nothing alone; class definitions that share a name with another one; constants of one name with
several values; docstrings that do not begin a sentence of their own. `--list` shows each place. `tests/test_words.py`
holds the limits.
"""

import argparse
import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("edge_agent", "drivers", "sync", "canteen_demo")

# Words that need the sentence they were cut out of.
EMPTY_WORDS = frozenset(
    [
        "told",
        "found",
        "kept",
        "seen",
        "asked",
        "heard",
        "coming",
        "left",
        "each",
        "one",
        "of",
        "at",
        "other",
        "known",
        "here",
        "there",
        "ones",
        "wish",
        "look",
        "ahead",
        "come",
        "gone",
        "given",
        "made",
        "taken",
        "answer",
    ]
)
# Words that fit everything and so name nothing.
VAGUE_WORDS = frozenset(["info", "data", "item", "items", "thing", "things", "obj", "stuff", "misc"])
# How a docstring may not begin: it would continue the sentence of its neighbour.
FRAGMENT_STARTS = frozenset(["as", "of", "also", "what", "whose", "whether", "likewise", "ditto"])


@dataclass(frozen=True, slots=True)
class Place:
    """One place in the code."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(slots=True)
class Measures:
    """The counts over some folders, and the places behind them."""

    names: int = 0
    empty: list[Place] = field(default_factory=list)  # names that are an empty word
    partly_empty: list[Place] = field(default_factory=list)  # names with an empty word among others
    vague: list[Place] = field(default_factory=list)
    classes: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    constants: dict[str, dict[str, list[Place]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    docstrings: int = 0
    fragments: list[Place] = field(default_factory=list)

    @property
    def empty_percent(self) -> float:
        """The share of bound names that are an empty word, in percent."""
        return 100 * len(self.empty) / max(self.names, 1)

    def shared_classes(self, allowed: Iterable[str] = ()) -> dict[str, list[Place]]:
        """Class names that are defined more than once, with every definition."""
        return {
            name: places for name, places in self.classes.items() if len(places) > 1 and name not in frozenset(allowed)
        }

    def shared_constants(self) -> dict[str, dict[str, list[Place]]]:
        """Constant names that have more than one value, with the places of each value."""
        return {name: values for name, values in self.constants.items() if len(values) > 1}


def measure(folders: Iterable[Path]) -> Measures:
    """Measure every Python file below these folders."""
    measures = Measures()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            _measure_file(path, measures)
    return measures


def _measure_file(path: Path, measures: Measures) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    relative = path.resolve().relative_to(ROOT)
    for name, line in _bound_names(tree):
        measures.names += 1
        place = Place(relative, line, name)
        parts = _parts(name)
        if name.strip("_").lower() in EMPTY_WORDS:
            measures.empty.append(place)
        elif EMPTY_WORDS & parts:
            measures.partly_empty.append(place)
        if name.strip("_").lower() in VAGUE_WORDS:
            measures.vague.append(place)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            measures.classes[node.name].append(Place(relative, node.lineno, node.name))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            _measure_docstring(node, relative, measures)
    for constant, line, value in _constants(tree):
        measures.constants[constant][value].append(Place(relative, line, f"{constant} = {value}"))


def _measure_docstring(
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Module, path: Path, measures: Measures
) -> None:
    text = ast.get_docstring(node)
    if text is None:
        return
    measures.docstrings += 1
    first = text.split("\n\n")[0].replace("\n", " ").strip()
    words = re.findall(r"[\w'`-]+", first.lower())
    fragment = not words or words[0] in FRAGMENT_STARTS or words[:2] == ["the", "same"]
    if fragment or first.rstrip("`")[-1:] not in {".", "!", "?", ":"}:
        measures.fragments.append(Place(path, getattr(node, "lineno", 1), first[:100]))


def _bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.alias(asname=str(alias)):
                yield alias, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno


def _constants(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Numbers and texts that a module names in capitals."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if name.isupper() and not name.startswith("_") and isinstance(value, ast.Constant | ast.BinOp | ast.UnaryOp):
            yield name, node.lineno, ast.unparse(value)


def _parts(name: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure names and docstrings.")
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / package for package in PACKAGES])
    parser.add_argument("--list", action="store_true", help="show each place")
    options = parser.parse_args()
    measures = measure(folder for folder in options.folders if folder.exists())
    shared = measures.shared_classes()
    constants = measures.shared_constants()
    print(f"names bound           {measures.names}")
    print(f"empty words           {len(measures.empty)} ({measures.empty_percent:.2f} %)")
    print(f"names with one inside {len(measures.partly_empty)}")
    print(f"vague names           {len(measures.vague)}")
    print(f"classes that share a name  {sum(map(len, shared.values()))} ({len(shared)} names)")
    print(f"constants with several values  {len(constants)}")
    print(f"docstrings            {measures.docstrings}, of them fragments {len(measures.fragments)}")
    if options.list:
        for place in [*measures.empty, *measures.partly_empty, *measures.vague, *measures.fragments]:
            print(place)
        for places in shared.values():
            print(*places, sep="\n")
        print("most frequent:", Counter(place.text for place in measures.empty).most_common(20))
        for values in constants.values():
            print(*(place for places in values.values() for place in places), sep="\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
