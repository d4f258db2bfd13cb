"""Every SQL statement of the ledger's code, and whether it is about one school.

A statement is read as PostgreSQL would read it. Each of its tables that has a column `school` must be held to one
school: by an equal condition with a parameter, or with the column of a table that is held so.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

ROOT = Path(__file__).parents[4]
LEDGER = ROOT / "sync" / "ledger"
MARKER = "# Of the city: "
_STATEMENT = re.compile(r"\s*(?:--.*\n\s*)*(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|COPY)\s")
_PARAMETER = re.compile(r"%(?:\(\w+\))?[sb]")
_SCHEMA_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(\n?\s*(\w+)")


@dataclass(frozen=True, slots=True)
class CodeStatement:
    """A statement and the place of its text. `is_marked`: the line above says that it is the city's."""

    path: Path
    line: int
    text: str
    is_marked: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def list_statements(paths: Iterable[Path]) -> Iterator[CodeStatement]:
    """Yields every statement in these files; parts that are put in from constants are filled in."""
    for path in paths:
        source = path.read_text("utf-8")
        lines = source.split("\n")
        names = vars(import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)))
        for line, top, text in _find_texts(ast.parse(source), 0, names):
            yield CodeStatement(path, line, text, _is_marked(lines, top))


def _is_marked(lines: list[str], line: int) -> bool:
    """Returns True where the comment right above this line, counted from 1, has the marker."""
    above = takewhile(lambda text: text.startswith("#"), (text.strip() for text in reversed(lines[: line - 1])))
    return any(text.startswith(MARKER) for text in above)


def _find_texts(node: ast.AST, top: int, names: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """Yields the texts of SQL below a node, with their lines and those of the Python statements that hold them."""
    if isinstance(node, ast.stmt):
        top = node.lineno
    if isinstance(node, ast.JoinedStr):
        first = node.values[0] if node.values else None
        if isinstance(first, ast.Constant) and _STATEMENT.match(str(first.value)):
            yield node.lineno, top, "".join(_fill_in(part, names) for part in node.values)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
        yield node.lineno, top, node.value
    for child in ast.iter_child_nodes(node):
        yield from _find_texts(child, top, names)


def _fill_in(part: ast.expr, names: Mapping[str, Any]) -> str:
    """Returns a part of a text. A function's own condition, which binds no table for certain, reads as true."""
    if not isinstance(part, ast.FormattedValue):
        return str(part.value) if isinstance(part, ast.Constant) else ""
    if isinstance(part.value, ast.Name) and part.value.id not in names:
        return "true"
    code = compile(ast.Expression(part.value), "<text>", "eval")
    return str(eval(code, dict(names)))  # a constant of this repository


def list_school_tables() -> frozenset[str]:
    """Returns the tables and views whose rows are of schools."""
    schema = "".join(path.read_text("utf-8") for path in sorted((LEDGER / "schema").glob("*.sql")))
    return frozenset(table for table, first in _SCHEMA_TABLE.findall(schema) if first == "school") | {"fact"}


def find_unbound(text: str, tables: frozenset[str]) -> list[str]:
    """Returns the tables of a statement that are not held to one school, by alias."""
    if text.lstrip().startswith("COPY "):
        return []  # its rows are of the caller's school: there is no condition in it
    (statement,) = sqlglot.parse(_PARAMETER.sub(":p", text).replace("%%", "%"), dialect="postgres")
    assert statement is not None
    return [*_Reading(tables).read(statement, frozenset())]


_Places = dict[str, set[str]]


class _Reading:
    """One statement, scope by scope. `views`: the names of its WITH queries, which are read where they stand."""

    def __init__(self, tables: frozenset[str]) -> None:
        self._tables = tables

    def read(self, node: exp.Expression, views: frozenset[str]) -> Iterator[str]:
        """Yields the unbound tables in a statement or a subquery."""
        with_ = node.args.get("with_") or node.args.get("with")
        if with_ is not None:
            for view in with_.expressions:
                yield from self.read(view.this, views)
                views |= {view.alias}
        if isinstance(node, exp.SetOperation):
            for side in (node.this, node.expression):
                yield from self.read(side, views)
            return
        if isinstance(node, exp.Subquery):
            yield from self.read(node.this, views)
            return
        if isinstance(node, exp.Insert):
            yield from self._read_insert(node, views)
            return
        yield from self._read_scope(node, views)

    def _read_insert(self, node: exp.Insert, views: frozenset[str]) -> Iterator[str]:
        target = node.this.this.name if isinstance(node.this, exp.Schema) else node.this.name
        columns = [column.name for column in node.this.expressions] if isinstance(node.this, exp.Schema) else ["school"]
        if target in self._tables and columns[:1] != ["school"]:
            yield target
        if node.expression is not None and not isinstance(node.expression, exp.Values):
            yield from self.read(node.expression, views)

    def _read_scope(self, node: exp.Expression, views: frozenset[str]) -> Iterator[str]:
        sources: list[exp.Expression] = []
        if isinstance(node, exp.Update | exp.Delete):
            sources.append(node.this)
            using = node.args.get("using") or []
            sources += using if isinstance(using, list) else [using]
        from_ = node.args.get("from_") or node.args.get("from")
        joins = list(node.args.get("joins") or [])
        if from_ is not None:
            sources.append(from_.this)
        for source in [*sources]:
            joins += source.args.get("joins") or []
        own: dict[str, bool] = {}
        conditions = [node.args["where"].this] if node.args.get("where") else []
        joined: list[list[str]] = []
        for join in joins:
            sources.append(join.this)
            if join.args.get("on"):
                conditions.append(join.args["on"])
            if any(column.name == "school" for column in join.args.get("using") or []):
                joined.append([])
        for source in sources:
            table = source.this if isinstance(source, exp.Lateral) else source
            if isinstance(table, exp.Table) and table.name in self._tables and table.name not in views:
                own[table.alias_or_name] = False
        equal: list[tuple[str, str]] = []
        names = list(own)
        if joined:
            equal += [(names[0], name) for name in names[1:]]
        for condition in conditions:
            equal += [*self._list_equal(condition, names)]
        known = {**own, "$": True}
        for _ in range(len(known)):
            for left, right in equal:
                if known.get(left) or known.get(right):
                    known[left] = known[right] = True
        yield from (name for name in own if not known.get(name))
        for part in self._list_subqueries(node):
            yield from self.read(part, views)

    def _list_equal(self, condition: exp.Expression, names: list[str]) -> Iterator[tuple[str, str]]:
        """Yields the pairs of aliases, or alias and `$` for a parameter, whose schools a condition holds equal."""
        if isinstance(condition, exp.Paren):
            yield from self._list_equal(condition.this, names)
        elif isinstance(condition, exp.And):
            for side in (condition.this, condition.expression):
                yield from self._list_equal(side, names)
        elif isinstance(condition, exp.EQ):
            left, right = (self._name_side(side, names) for side in (condition.this, condition.expression))
            if left and right:
                yield left, right

    def _name_side(self, side: exp.Expression, names: list[str]) -> str:
        if isinstance(side, exp.Column) and side.name == "school":
            return str(side.table) or (names[0] if names else "")
        return "$" if isinstance(side, exp.Parameter | exp.Placeholder) else ""

    def _list_subqueries(self, node: exp.Expression) -> Iterator[exp.Expression]:
        """Yields the queries directly inside a scope; those of its own WITH have been read."""
        for key, value in node.args.items():
            if key in ("with", "with_"):
                continue
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, exp.Select | exp.SetOperation):
                    yield part
                elif isinstance(part, exp.Expression):
                    yield from self._list_subqueries(part)
