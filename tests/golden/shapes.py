"""Types and values as text in the outside's words: field names, kinds, bounds, defaults; never a class's name."""

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

INDENT = "  "


def of_type(kind: Any) -> str:
    """A type that msgspec knows, one line a field; what lies within a field stands below it."""
    return "\n".join(_lines(inspect.type_info(kind)))


def _lines(kind: inspect.Type) -> Iterator[str]:
    head, below = _split(kind)
    yield head
    for line in below:
        yield INDENT + line


def _split(kind: inspect.Type) -> tuple[str, list[str]]:
    """The kind in a word or two, and the lines of what it is made of."""
    match kind:
        case inspect.Metadata(type=inner):
            return _split(inner)
        case inspect.StructType():
            options = " omit-defaults" if kind.cls.__struct_config__.omit_defaults else ""
            options += " strict" if kind.forbid_unknown_fields else ""
            options += " as-list" if kind.array_like else ""
            tag = [f"{kind.tag_field} = {kind.tag!r}"] if kind.tag_field else []
            return f"object{options}", tag + [line for field in kind.fields for line in _field(field)]
        case inspect.DataclassType():
            return "object", [line for field in kind.fields for line in _field(field)]
        case inspect.EnumType(cls=cls):
            return "one of", [repr(member.value) for member in cls]
        case inspect.LiteralType(values=values):
            return "one of", [repr(value) for value in values]
        case inspect.UnionType(types=types):
            plain = [_split(each) for each in types]
            if all(not below for _, below in plain):
                return " or ".join(head for head, _ in plain), []
            return "either", [line for each in types for line in _lines(each)]
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            head, below = _split(item)
            return f"list of {head}", below
        case inspect.TupleType(item_types=items):
            return "list of exactly", [line for item in items for line in _lines(item)]
        case inspect.DictType(key_type=key, value_type=value):
            head, below = _split(value)
            return f"map {_split(key)[0]} to {head}", below
        case inspect.CustomType(cls=cls) if issubclass(cls, Path):
            return "path", []
        case inspect.CustomType() | inspect.RawType():
            return "anything", []
        case _:
            return _plain(kind), []


def _plain(kind: inspect.Type) -> str:
    name = type(kind).__name__.removesuffix("Type").lower()
    bounds = {
        each: getattr(kind, each)
        for each in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "multiple_of")
        if getattr(kind, each, None) is not None
    }
    return " ".join([name, *(f"{name}={value!r}" for name, value in bounds.items())])


def _field(field: inspect.Field) -> Iterator[str]:
    head, below = _split(field.type)
    yield f"{field.encode_name}: {head}{_default(field)}"
    for line in below:
        yield INDENT + line


def _default(field: inspect.Field) -> str:
    if field.required:
        return " required"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, msgspec.Struct):
        return ""  # its own fields say theirs
    if isinstance(value, Path):
        value = str(value)
    return f" = {value!r}"


def of_value(value: object) -> list[str]:
    """The keys of a JSON value and what kind each has: `journal.head: int`, `readers[].name: str`."""
    return sorted(set(_paths(value, "")))


def _paths(value: object, at: str) -> Iterator[str]:
    match value:
        case dict() if value:
            for key, each in value.items():
                yield from _paths(each, f"{at}.{key}" if at else str(key))
        case list() if value:
            for each in value:
                yield from _paths(each, f"{at}[]")
        case _:
            yield f"{at or '.'}: {'null' if value is None else type(value).__name__}"
