"""Checks a table of the settings file against its struct. Every complaint names what is accepted."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import inspect

from drivers.errors import NotSupported

S = TypeVar("S", bound=msgspec.Struct)


class WrongSetting(NotSupported):
    """One key is missing, unknown or wrong. The caller adds file and table to the message."""

    def __init__(self, key: str, found: str, accepted: str) -> None:
        super().__init__(f"{key}: found {found}; accepted: {accepted}")
        self.key, self.found, self.accepted = key, found, accepted


def nearest(word: str, words: Iterable[str]) -> str:
    """Returns `did you mean x? ` where some known word is near, and the list of all."""
    import difflib  # for who mistypes, and not in an idle kiosk

    names = sorted(words)
    close = difflib.get_close_matches(word, names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + "known are " + ", ".join(names)


def parse(settings: type[S], options: Mapping[str, object]) -> S:
    """Returns the settings from these keys. Raises `WrongSetting` for the first that is wrong."""
    for fault in faults(settings, options):
        raise fault
    return msgspec.convert(dict(options), settings, dec_hook=_path)


def faults(settings: type[msgspec.Struct], options: Mapping[str, object]) -> Iterator[WrongSetting]:
    """Yields everything that is wrong with these keys: unknown ones first, then in the order of the settings."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(settings)}
    for key in options:
        if key not in fields:
            yield WrongSetting(key, "a key that nobody knows", nearest(key, fields))
    for key, field in fields.items():
        if key in options:
            try:
                msgspec.convert(options[key], field.type, dec_hook=_path)
            except msgspec.ValidationError:
                yield WrongSetting(key, _shown(options[key]), _accepted(inspect.type_info(field.type)))
        elif field.required:
            yield WrongSetting(key, "nothing", _accepted(inspect.type_info(field.type)))


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError("a path is text")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _accepted(kind: inspect.Type) -> str:
    match kind:
        case inspect.EnumType(cls=cls):
            return "one of " + ", ".join(str(member.value) for member in cls)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case inspect.IntType(ge=low, le=high):
            return "a whole number" + _bounds(low, high)
        case inspect.FloatType(ge=low, le=high):
            return "a number" + _bounds(low, high)
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType(pattern=str(pattern)):
            return f"text of the form {pattern}"
        case inspect.StrType():
            return "text"
        case inspect.CustomType(cls=cls) if cls is Path:
            return "a path, as text"
        case inspect.VarTupleType(item_type=element) | inspect.ListType(item_type=element):
            return f"a list, each of it {_accepted(element)}"
        case inspect.StructType(fields=fields):
            return "a table with " + ", ".join(field.encode_name for field in fields)
        case inspect.UnionType(types=types):
            return " or ".join(_accepted(option) for option in types if not isinstance(option, inspect.NoneType))
        case inspect.Metadata(type=inner):
            return _accepted(inner)
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _bounds(low: float | None, high: float | None) -> str:
    match low, high:
        case None, None:
            return ""
        case _, None:
            return f" of at least {low:g}"
        case None, _:
            return f" of at most {high:g}"
        case _:
            return f" from {low:g} to {high:g}"
