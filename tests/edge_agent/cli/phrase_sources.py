"""The texts that doctor and setup say, as the code has them: phrases, parts of the report, obstacles of devices."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cli.doctor import CHECKS

ROOT = Path(__file__).parents[3]
CLI = ROOT / "edge_agent" / "cli"
FINDINGS = {"good": 0, "attention": 0, "failure": 0, "error_finding": 0, "Finding": 0, "_from_line": 1}
OBSTACLES = {"Obstacle", "NoPermission", "Disturbance"}
COMMAND = re.compile(
    r"(modprobe|echo|systemctl|chmod|chown) [^,]*$"
)  # nothing but a command says itself in any language


def read_phrases() -> set[str]:
    """Returns the template of every call of `phrase` in the command line's code that has words of its own."""
    templates = set()
    for place, node in _walk(CLI):
        if _called(node) == "phrase":
            assert isinstance(node, ast.Call)
            template = node.args[0]
            assert isinstance(template, ast.Constant), f"{place}: a template is a literal"
            templates.add(str(template.value))
    return {template for template in templates if has_words(template)}


def read_parts() -> set[str]:
    """Returns the parts of the doctor's report that are no phrases."""
    parts = {part for part, _ in CHECKS}
    for _, node in (*_walk(CLI / "checks"), *_walk(CLI / "doctor.py")):
        if isinstance(node, ast.Call) and (index := FINDINGS.get(_called(node))) is not None:
            parts |= set(_texts(node.args[index]))
        if isinstance(node, ast.Assign):
            parts |= set(_assigned(node, {"part"}))
    return parts


def read_obstacles() -> set[str]:
    """Returns the reasons and next steps of all obstacles of the drivers, an f-string as a template."""
    texts = set()
    for path in (*(ROOT / "drivers").rglob("*.py"), *CLI.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        found = [node for node in nodes if isinstance(node, ast.Call) and _called(node) in OBSTACLES]
        for node in found:
            texts |= {text for argument in node.args for text in _texts(argument)}
        if found:
            assigned = [node for node in nodes if isinstance(node, ast.Assign)]
            texts |= {text for node in assigned for text in _assigned(node, {"reason", "step"})}
    return {text for text in texts if has_words(text) and not COMMAND.match(text)}


def read_lower_texts() -> set[str]:
    """Returns every text of the rooms below the command line, an f-string as a template: what may be recognised."""
    texts = set()
    for folder in (ROOT / "drivers", ROOT / "sync" / "client", ROOT / "edge_agent"):
        for path in folder.rglob("*.py"):
            if not path.is_relative_to(CLI):
                for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                    texts |= set(_texts(node))
    return texts


def has_words(template: str) -> bool:
    """Returns True for a template that says something by itself."""
    return any(character.isalpha() for character in re.sub(r"\{\w+\}", "", template))


def _walk(folder: Path) -> Iterator[tuple[str, ast.AST]]:
    for path in folder.rglob("*.py") if folder.is_dir() else (folder,):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield f"{path}:{getattr(node, 'lineno', 0)}", node


def _called(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return "failure" if isinstance(node, ast.Call) and isinstance(node.func, ast.IfExp) else ""


def _assigned(node: ast.Assign, names: set[str]) -> Iterator[str]:
    (target,) = node.targets
    pairs = (
        zip(target.elts, node.value.elts, strict=True)
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
        else [(target, node.value)]
    )
    for name, value in pairs:
        if isinstance(name, ast.Name) and name.id in names:
            yield from _texts(value)


def _texts(node: ast.AST) -> Iterator[str]:
    """Yields a literal, or both of a choice; an f-string as the template that its text is recognised by."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.JoinedStr):
        pieces = (value.value if isinstance(value, ast.Constant) else f"{{{_blank(value)}}}" for value in node.values)
        yield "".join(str(piece) for piece in pieces)


def _blank(node: ast.AST) -> str:
    """Returns the last name of what an f-string shows, as it can stand in a template: `device.module` is `module`."""
    shown = node.value if isinstance(node, ast.FormattedValue) else node
    names: list[str] = re.findall(r"[A-Za-z]\w*", ast.unparse(shown))
    return names[-1].strip("_").split("_")[-1]
