"""A driver's table from the settings file, checked against its `Settings`. Every complaint names what is accepted."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from msgspec import inspect

from drivers.base import DriverSettings
from drivers.errors import NotSupported

S = TypeVar("S", bound=DriverSettings)


class WrongSetting(NotSupported):
    """One key of a driver's table is missing, unknown or wrong. The caller adds file and table to the message."""

    def __init__(self, key: str, found: str, accepted: str) -> None:
        super().__init__(f"{key}: found {found}; accepted: {accepted}")
        self.key, self.found, self.accepted = key, found, accepted


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean x? ` where some known word is near, and the list of all."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + "known are " + ", ".join(names)


def parse(settings: type[S], options: Mapping[str, object]) -> S:
    """The driver's settings from its keys. Raises `WrongSetting` for the first that is wrong."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(settings)}
    for key in options:
        if key not in fields:
            raise WrongSetting(key, "a key that nobody knows", nearest(key, fields))
    for key, field in fields.items():
        accepted = _accepted(inspect.type_info(field.type))
        if key not in options:
            if field.required:
                raise WrongSetting(key, "nothing", accepted)
            continue
        try:
            msgspec.convert(options[key], field.type)
        except msgspec.ValidationError as error:
            raise WrongSetting(key, repr(options[key]), accepted) from error
    return msgspec.convert(dict(options), settings)


def _accepted(kind: inspect.Type) -> str:
    match kind:
        case inspect.EnumType(cls=cls):
            return "one of " + ", ".join(str(member.value) for member in cls)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case inspect.IntType(ge=low, le=high) if low is not None and high is not None:
            return f"a whole number from {low} to {high}"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return "text"
        case _:
            return type(kind).__name__.removesuffix("Type").lower()
