"""The CSV files of a OneRoster 1.2 export, and our own beside them, as checked rows: bytes in, rows or faults out.

Every fault of every file is found before anything is refused: a school's clerk mends a file once, not once a fault.

    users.csv line 3, column grades: found '13', accepted: grades 00 to 12, comma-separated

Traps that exports in the field hold: a byte order mark, CRLF, quoted commas and newlines, Windows-1251 instead of
UTF-8, semicolons (Excel under a Russian locale). The last two are refused by name, not guessed at.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sync.contract.oneroster.columns import Column
from sync.contract.oneroster.rows import MANIFEST_COLUMNS, ONEROSTER, OWN, Columns, ManifestRow

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
ROWS_MAX: Final = 500_000
_MANIFEST: Final = ManifestRow.file
FAULTS_MAX: Final = 1_000  # beyond it the file is of another kind, and the list of no use


@dataclass(frozen=True, slots=True)
class ExportFault:
    """One thing to mend in an export. `line` counts the file's lines from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: str
    actual: str
    accepted: str

    def __str__(self) -> str:
        place = (
            self.file + (f" line {self.line}" if self.line else "") + (f", column {self.column}" if self.column else "")
        )
        return f"{place}: found {self.actual}, accepted: {self.accepted}"


class ExportRefused(ValueError):
    """Nothing of the export was taken, for these reasons."""

    def __init__(self, faults: Sequence[ExportFault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """The cells of one row, by column name."""

    line: int
    fields: Mapping[str, str] = field(repr=False)  # names and cards: personal


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """A checked file. `delta`: its rows are changes; else they are everything."""

    delta: bool
    rows: tuple[CheckedRow, ...]


def read_tables(files: Mapping[str, bytes]) -> Mapping[str, CheckedTable]:
    """Returns the checked rows of every file that counts, by file name. Raises `ExportRefused` with every fault."""
    faults: list[ExportFault] = []
    modes = _modes(files, faults)
    tables = {}
    for name, columns in [*ONEROSTER.items(), *OWN.items()]:
        own = name in OWN
        if name in files and (own or name in modes):
            rows = tuple(_read_rows(name, files[name], columns, faults))
            delta = not own and modes[name] == "delta"
            if delta:
                _check_delta(name, rows, faults)
            tables[name] = CheckedTable(delta, rows)
    if faults:
        raise ExportRefused(faults[:FAULTS_MAX])
    return tables


def _modes(files: Mapping[str, bytes], faults: list[ExportFault]) -> dict[str, str]:
    """Returns what the manifest says of OneRoster's files, `bulk` or `delta`, checked against the files that came."""
    if _MANIFEST not in files:
        if any(name in files for name in ONEROSTER):
            faults.append(ExportFault(_MANIFEST, 0, "", "no such file", "the manifest of the OneRoster export"))
        elif not any(name in files for name in OWN):
            actual = ", ".join(sorted(files)) or "nothing"
            faults.append(ExportFault("the export", 0, "", actual, f"a OneRoster 1.2 export, or {', '.join(OWN)}"))
        return {}
    lines = {
        row.fields["propertyName"]: row for row in _read_rows(_MANIFEST, files[_MANIFEST], MANIFEST_COLUMNS, faults)
    }
    for name, accepted in (("manifest.version", "1.0"), ("oneroster.version", "1.2")):
        row = lines.get(name)
        if row is None:
            faults.append(ExportFault(_MANIFEST, 0, name, "no such property", accepted))
        elif row.fields["value"] != accepted:
            faults.append(ExportFault(_MANIFEST, row.line, name, repr(row.fields["value"]), accepted))
    modes = {}
    for property_name, row in lines.items():
        if property_name.startswith("file."):
            name = property_name.removeprefix("file.") + ".csv"
            mode = row.fields["value"].lower()
            if mode not in ("absent", "bulk", "delta"):
                faults.append(ExportFault(_MANIFEST, row.line, property_name, repr(mode), "absent, bulk or delta"))
            elif (mode != "absent") != (name in files):
                state = "the file is missing" if mode != "absent" else f"{name} is there"
                faults.append(
                    ExportFault(_MANIFEST, row.line, property_name, f"{mode}, but {state}", "what is in the export")
                )
            elif mode != "absent":
                modes[name] = mode
    unnamed = [f"file.{name.removesuffix('.csv')}" for name in ONEROSTER if name in files]
    faults += [
        ExportFault(_MANIFEST, 0, name, "no such property", "bulk or delta") for name in unnamed if name not in lines
    ]
    return modes


def _check_delta(name: str, rows: Sequence[CheckedRow], faults: list[ExportFault]) -> None:
    accepted = "a value: the manifest says that this is a delta"
    needed = "status", "dateLastModified"
    faults += [
        ExportFault(name, row.line, column, "nothing", accepted)
        for row in rows
        for column in needed
        if not row.fields[column]
    ]


def _read_rows(name: str, content: bytes, columns: Columns, faults: list[ExportFault]) -> Iterator[CheckedRow]:
    if len(content) > FILE_BYTES_MAX:
        faults.append(ExportFault(name, 0, "", f"{len(content)} bytes", f"at most {FILE_BYTES_MAX}"))
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        accepted = "UTF-8; where Excel wrote it, save it as `CSV UTF-8`"
        faults.append(ExportFault(name, line, "", f"the byte {content[error.start]:#04x}, no UTF-8", accepted))
        return
    reader = csv.reader(re.split(r"(?<=\n)", text), strict=True)
    try:
        header = next(reader, [])
        places = _places(name, header, columns, faults)
        if places is None:
            return
        line = reader.line_num + 1
        for number, cells in enumerate(reader):
            if number >= ROWS_MAX:
                faults.append(ExportFault(name, line, "", "one more row", f"at most {ROWS_MAX} rows"))
                return
            if cells and cells != [""]:
                row = _read_row(name, line, cells, len(header), places, columns, faults)
                if row is not None:
                    yield row
            if len(faults) >= FAULTS_MAX:
                return
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(
            ExportFault(name, reader.line_num, "", str(error), "comma-separated values, quotes doubled inside quotes")
        )


def _places(name: str, header: Sequence[str], columns: Columns, faults: list[ExportFault]) -> Mapping[str, int] | None:
    """Returns where each column stands in a row; None where the header is not as it must be."""
    names = [column.strip() for column in header]
    if len(names) == 1 and ";" in names[0]:
        faults.append(ExportFault(name, 1, "", "semicolons", "commas between the values"))
        return None
    accepted = f"a header with {', '.join(columns)}, each once"
    missing = [column for column, rule in columns.items() if rule.needed and column not in names]
    doubled = [column for column in columns if names.count(column) > 1]
    faults += [ExportFault(name, 1, column, "no such column", accepted) for column in missing]
    faults += [ExportFault(name, 1, column, "the column twice", accepted) for column in doubled]
    if missing or doubled:
        return None
    return {column: names.index(column) for column in columns if column in names}


def _read_row(
    name: str, line: int, cells: Sequence[str], width: int, places: Mapping[str, int],
    columns: Columns, faults: list[ExportFault],
) -> CheckedRow | None:  # fmt: skip
    if len(cells) != width:
        faults.append(
            ExportFault(name, line, "", f"{len(cells)} values", f"{width}, as many as the header has columns")
        )
        return None
    fields = {column: cells[places[column]].strip() if column in places else "" for column in columns}
    good = True
    for column, value in fields.items():
        rule = columns[column]
        if column in places and not _fits(rule, value):
            good = False
            actual = "a value of another form" if rule.secret else repr(value[:80]) if value else "nothing"
            faults.append(ExportFault(name, line, column, actual, rule.accepted))
    return CheckedRow(line, fields) if good else None


def _fits(rule: Column, value: str) -> bool:
    if rule.pattern.fullmatch(value) is None:
        return False
    if rule.calendar and value:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
    return True
