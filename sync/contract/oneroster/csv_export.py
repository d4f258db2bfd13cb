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

from sync.contract.oneroster.columns import MANIFEST as MANIFEST_COLUMNS
from sync.contract.oneroster.columns import ONEROSTER, OWN, Column, Columns

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
ROWS_MAX: Final = 500_000
FAULTS_MAX: Final = 1_000  # beyond it the file is of another kind, and the list of no use

MANIFEST: Final = "manifest.csv"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend. `line` counts the file's lines from 1; 0: the file as a whole."""

    file: str
    line: int
    column: str
    found: str
    accepted: str

    def __str__(self) -> str:
        place = (
            self.file + (f" line {self.line}" if self.line else "") + (f", column {self.column}" if self.column else "")
        )
        return f"{place}: found {self.found}, accepted: {self.accepted}"


class Refused(ValueError):
    """Nothing was taken, for these reasons."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    fields: Mapping[str, str] = field(repr=False)  # names and cards: personal


@dataclass(frozen=True, slots=True)
class Table:
    """A checked file. `delta`: its rows are changes; else they are everything."""

    delta: bool
    rows: tuple[Row, ...]


def read(files: Mapping[str, bytes]) -> Mapping[str, Table]:
    """The checked rows of every file that counts here, by file name. Raises `Refused` with every fault there is."""
    faults: list[Fault] = []
    modes = _modes(files, faults)
    tables = {}
    for name, columns in [*ONEROSTER.items(), *OWN.items()]:
        own = name in OWN
        if name in files and (own or name in modes):
            rows = tuple(_rows(name, files[name], columns, faults))
            delta = not own and modes[name] == "delta"
            if delta:
                _check_delta(name, rows, faults)
            tables[name] = Table(delta, rows)
    if faults:
        raise Refused(faults[:FAULTS_MAX])
    return tables


def _modes(files: Mapping[str, bytes], faults: list[Fault]) -> dict[str, str]:
    """What the manifest says of OneRoster's files, `bulk` or `delta`, checked against the files that came."""
    if MANIFEST not in files:
        if any(name in files for name in ONEROSTER):
            faults.append(Fault(MANIFEST, 0, "", "no such file", "the manifest of the OneRoster export"))
        elif not any(name in files for name in OWN):
            found = ", ".join(sorted(files)) or "nothing"
            faults.append(Fault("the export", 0, "", found, f"a OneRoster 1.2 export, or {', '.join(OWN)}"))
        return {}
    lines = {row.fields["propertyName"]: row for row in _rows(MANIFEST, files[MANIFEST], MANIFEST_COLUMNS, faults)}
    for name, accepted in (("manifest.version", "1.0"), ("oneroster.version", "1.2")):
        row = lines.get(name)
        if row is None:
            faults.append(Fault(MANIFEST, 0, name, "no such property", accepted))
        elif row.fields["value"] != accepted:
            faults.append(Fault(MANIFEST, row.line, name, repr(row.fields["value"]), accepted))
    modes = {}
    for property_name, row in lines.items():
        if property_name.startswith("file."):
            name = property_name.removeprefix("file.") + ".csv"
            mode = row.fields["value"].lower()
            if mode not in ("absent", "bulk", "delta"):
                faults.append(Fault(MANIFEST, row.line, property_name, repr(mode), "absent, bulk or delta"))
            elif (mode != "absent") != (name in files):
                state = "the file is missing" if mode != "absent" else f"{name} is there"
                faults.append(Fault(MANIFEST, row.line, property_name, f"{mode}, but {state}", "what is in the export"))
            elif mode != "absent":
                modes[name] = mode
    unnamed = [f"file.{name.removesuffix('.csv')}" for name in ONEROSTER if name in files]
    faults += [Fault(MANIFEST, 0, name, "no such property", "bulk or delta") for name in unnamed if name not in lines]
    return modes


def _check_delta(name: str, rows: Sequence[Row], faults: list[Fault]) -> None:
    accepted = "a value: the manifest says that this is a delta"
    needed = "status", "dateLastModified"
    faults += [
        Fault(name, row.line, column, "nothing", accepted)
        for row in rows
        for column in needed
        if not row.fields[column]
    ]


def _rows(name: str, content: bytes, columns: Columns, faults: list[Fault]) -> Iterator[Row]:
    if len(content) > FILE_BYTES_MAX:
        faults.append(Fault(name, 0, "", f"{len(content)} bytes", f"at most {FILE_BYTES_MAX}"))
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        accepted = "UTF-8; where Excel wrote it, save it as `CSV UTF-8`"
        faults.append(Fault(name, line, "", f"the byte {content[error.start]:#04x}, no UTF-8", accepted))
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
                faults.append(Fault(name, line, "", "one more row", f"at most {ROWS_MAX} rows"))
                return
            if cells and cells != [""]:
                row = _row(name, line, cells, len(header), places, columns, faults)
                if row is not None:
                    yield row
            if len(faults) >= FAULTS_MAX:
                return
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(
            Fault(name, reader.line_num, "", str(error), "comma-separated values, quotes doubled inside quotes")
        )


def _places(name: str, header: Sequence[str], columns: Columns, faults: list[Fault]) -> Mapping[str, int] | None:
    """Where each column stands in a row."""
    names = [column.strip() for column in header]
    if len(names) == 1 and ";" in names[0]:
        faults.append(Fault(name, 1, "", "semicolons", "commas between the values"))
        return None
    accepted = f"a header with {', '.join(columns)}, each once"
    missing = [column for column, rule in columns.items() if rule.needed and column not in names]
    doubled = [column for column in columns if names.count(column) > 1]
    faults += [Fault(name, 1, column, "no such column", accepted) for column in missing]
    faults += [Fault(name, 1, column, "the column twice", accepted) for column in doubled]
    if missing or doubled:
        return None
    return {column: names.index(column) for column in columns if column in names}


def _row(
    name: str, line: int, cells: Sequence[str], width: int, places: Mapping[str, int],
    columns: Columns, faults: list[Fault],
) -> Row | None:  # fmt: skip
    if len(cells) != width:
        faults.append(Fault(name, line, "", f"{len(cells)} values", f"{width}, as many as the header has columns"))
        return None
    fields = {column: cells[places[column]].strip() if column in places else "" for column in columns}
    good = True
    for column, value in fields.items():
        rule = columns[column]
        if column in places and not _fits(rule, value):
            good = False
            found = "a value of another form" if rule.secret else repr(value[:80]) if value else "nothing"
            faults.append(Fault(name, line, column, found, rule.accepted))
    return Row(line, fields) if good else None


def _fits(rule: Column, value: str) -> bool:
    if rule.pattern.fullmatch(value) is None:
        return False
    if rule.calendar and value:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
    return True
