"""Rows of a terminal without what must not be kept: card numbers, names, passwords, pictures, templates.

Kept are the columns that say who, when and what: times, the PIN, codes of a few digits. Everything else becomes `x`. A
PIN of six digits or more is kept in the first column and under its key only: elsewhere it looks like a card's number.
"""

import re

ROW_CHARACTERS_MAX = 512
_PLAIN_KEYS = frozenset(
    {"time", "time_second", "pin", "index", "event", "eventtype", "eventaddr", "doorid", "sn"}
    | {"inoutstatus", "inoutstate", "verifytype", "verified"}
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_NUMBER = re.compile("[0-9A-Za-z]{1,24}", re.ASCII)
_VALUE = re.compile(r"[0-9A-Za-z:. -]{0,24}", re.ASCII)
_CODE = re.compile(r"[0-9.:-]{0,5}", re.ASCII)
_SECRET = re.compile(r"[0-9A-Za-z+/=]{6,}|[^\W\d_]|[^\x20-\x7e]")


def redact_row(row: str) -> str:
    """Returns the row with `x` in the place of what must not be kept, cut after ROW_CHARACTERS_MAX characters."""
    columns = row[:ROW_CHARACTERS_MAX].split("\t")
    return "\t".join(_redact(column, first=not place) for place, column in enumerate(columns))


def _redact(column: str, *, first: bool) -> str:
    key, mark, value = column.partition("=")
    if mark:
        is_plain = _CODE.fullmatch(value) or (key.strip().lower() in _PLAIN_KEYS and _VALUE.fullmatch(value))
        return f"{_plain_key(key)}={value if is_plain else _mask(value)}"
    if _TIME.fullmatch(column) or _CODE.fullmatch(column) or (first and _NUMBER.fullmatch(column.strip(" "))):
        return column
    return _text(column)


def _plain_key(key: str) -> str:
    return key if re.fullmatch("[~A-Za-z_ ]{0,32}[0-9]{0,3}", key, re.ASCII) else _mask(key)


def _mask(value: str) -> str:
    return "x" * len(value)


def _text(column: str) -> str:
    """Masks letters and long numbers, and leaves times alone."""
    parts: list[str] = []
    end = 0
    for time in _TIME.finditer(column):
        parts += [_SECRET.sub(lambda run: _mask(run[0]), column[end : time.start()]), time[0]]
        end = time.end()
    return "".join([*parts, _SECRET.sub(lambda run: _mask(run[0]), column[end:])])
