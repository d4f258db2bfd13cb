"""The rows of an export as one import leaves them for the next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from sync.contract.oneroster.rows import ExportRow

_RowT = TypeVar("_RowT", bound=ExportRow)


@dataclass(frozen=True, slots=True)
class RememberedRow:
    """A row as the last import left it. `line`: in the file that brought it just now, else 0."""

    fields: Mapping[str, str] = field(repr=False)  # by column name
    modified: str = ""  # UTC, always of one form; empty where the source never said
    active: bool = True
    line: int = 0


RememberedFiles = Mapping[str, Mapping[str, RememberedRow]]
"""By file name and id: what a school's source has said so far. The next delta needs it, so it is stored."""


def active_rows(files: RememberedFiles, row: type[_RowT]) -> Iterator[tuple[str, _RowT]]:
    """Yields the ids and rows of one file that count."""
    for row_id, remembered in files.get(row.file, {}).items():
        if remembered.active:
            yield row_id, msgspec.convert(remembered.fields, row)


def canonical_moment(text: str) -> str:
    """Returns one form for every notation of a moment, so that texts compare as moments do; nothing for nothing."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds") if text else ""


def split_list(text: str) -> list[str]:
    """Returns the parts of a comma-separated cell."""
    return [part.strip() for part in text.split(",") if part.strip()]


def canonical_grades(text: str) -> str:
    """Returns grades with two digits: `1, 2` and `01,02` are the same."""
    return ",".join(part.zfill(2) if part.isdecimal() else part for part in split_list(text))
