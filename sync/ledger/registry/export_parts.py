"""A city's export in parts, one a school, on disk: no more of it is in memory than ids.

A part has each line of a file that its school needs, at the same number: the lines of other schools are blank in it. So
a fault of a school is named by the line in the export itself. What is no school's, as an entitlement of grades, is in
all parts. People without a place at any school are in the first, where faults of their rows are found.
"""

import csv
import io
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from sync.contract.oneroster.rows import ONEROSTER, OWN, EnrollmentRow, ManifestRow, OrgRow, RoleRow, UserRow
from sync.ledger.registry.roster_files import open_export, read_export

_WRITTEN_AT: Final = 4 << 20  # characters that wait in memory
_PLACED_BY: Final = {
    "schoolSourcedId",
    "userSourcedId",
}  # by one of these a row finds its school


class ExportParts:
    """The parts of one export, in a folder that goes with them."""

    def __init__(self, folder: Path, schools: Sequence[str], shared: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._shared = shared
        self.schools = tuple(schools)

    def read(self, school: str) -> dict[str, bytes]:
        """Returns the files of one school's part, by name; of a school that is not in the export, the first part."""
        number = self.schools.index(school) if school in self.schools else 0
        own = {file.name: file.read_bytes() for file in (self._folder / str(number)).iterdir()}
        return {**self._shared, **own}


@contextmanager
def part_export(path: Path) -> Iterator[ExportParts | dict[str, bytes]]:
    """Yields an export's parts; where it is not of several schools and whole, its files as `read_export` gives them.

    A delta is small, and says nothing of where its people are. Raises `ExportRefused` for what no export is.
    """
    plan = _plan_parts(path)
    if plan is None:
        yield read_export(path)
        return
    folder = Path(tempfile.mkdtemp(prefix="export-"))
    try:
        yield ExportParts(folder, plan.schools, _write_parts(path, folder, plan))
    finally:
        shutil.rmtree(folder)


class _PartsPlan:
    """Which schools there are, and where each person has a role or a class."""

    def __init__(self, schools: Sequence[str], places: Mapping[str, tuple[int, ...]]) -> None:
        self.schools = schools
        self.numbers = {school: number for number, school in enumerate(schools)}
        self.places = places
        self.everywhere = tuple(range(len(schools)))

    def find_parts(self, row: Mapping[str, str], name: str) -> Sequence[int]:
        """Returns the parts in which a row of a file belongs."""
        if name == UserRow.file:
            return self.places.get(row["sourcedId"], (0,))
        person, school = row.get("userSourcedId", ""), row.get("schoolSourcedId", "")
        if school and name != RoleRow.file:
            return (self.numbers[school],) if school in self.numbers else (0,)
        return self.places.get(person, (0,)) if person else self.everywhere


def _plan_parts(path: Path) -> _PartsPlan | None:
    """Returns None for what cannot or need not be parted: then it is read whole, and its faults are named."""
    schools: list[str] = []
    places: dict[str, set[str]] = defaultdict(set)
    try:
        with open_export(path) as files:
            for name, file in files:
                if name == ManifestRow.file and any(row["value"].lower() == "delta" for row, _, _ in _read(file)):
                    return None
                if name == OrgRow.file:
                    schools += [row["sourcedId"] for row, _, _ in _read(file) if row["type"].lower() == "school"]
                if name in (RoleRow.file, EnrollmentRow.file):
                    column = "orgSourcedId" if name == RoleRow.file else "schoolSourcedId"
                    for row, _, _ in _read(file):
                        places[row["userSourcedId"]].add(row[column])
    except (KeyError, csv.Error, UnicodeDecodeError):
        return None
    if len(set(schools)) < 2:
        return None
    ordered = list(dict.fromkeys(schools))
    numbers = {school: number for number, school in enumerate(ordered)}
    shared: dict[tuple[int, ...], tuple[int, ...]] = {}  # most people are at one school: one tuple serves them all
    found: dict[str, tuple[int, ...]] = {}
    while places:
        person, at = places.popitem()
        parts = tuple(sorted(numbers[school] for school in at if school in numbers)) or (0,)
        found[person] = shared.setdefault(parts, parts)
    return _PartsPlan(ordered, found)


def _write_parts(path: Path, folder: Path, plan: _PartsPlan) -> dict[str, bytes]:
    """Writes every part and returns the files that are the same in all."""
    shared: dict[str, bytes] = {}
    for number in plan.everywhere:
        (folder / str(number)).mkdir()
    with open_export(path) as files:
        for name, file in files:
            columns = {**ONEROSTER, **OWN}.get(name, {})
            if name != UserRow.file and not _PLACED_BY & columns.keys():
                # Of what nobody reads the name is enough: it is told.
                shared[name] = file.read() if columns or name == ManifestRow.file else b""
                continue
            _write_file(folder, name, file, plan)
    return shared


def _write_file(folder: Path, name: str, file: IO[bytes], plan: _PartsPlan) -> None:
    waiting: dict[int, list[str]] = {number: [] for number in plan.everywhere}
    next_line = dict.fromkeys(plan.everywhere, 1)
    size = 0
    header = True
    for row, line, text in _read(file, with_header=True):
        for number in plan.everywhere if header else plan.find_parts(row, name):
            waiting[number].append("\n" * (line - next_line[number]) + text)
            next_line[number] = line + text.count("\n")
            size += len(text)
        header = False
        if size > _WRITTEN_AT:
            _append(folder, name, waiting)
            size = 0
    _append(folder, name, waiting)


def _append(folder: Path, name: str, waiting: dict[int, list[str]]) -> None:
    for number, texts in waiting.items():
        with (folder / str(number) / name).open("a", encoding="utf-8", newline="") as part:
            part.write("".join(texts))
        texts.clear()


def _read(file: IO[bytes], *, with_header: bool = False) -> Iterator[tuple[Mapping[str, str], int, str]]:
    """Yields each row by column name, the line on which it begins, and its text as it stands."""
    wrapped = io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n")
    text: list[str] = []

    def read_lines() -> Iterator[str]:
        for line in wrapped:
            text.append(line)
            yield line

    try:
        reader = csv.reader(read_lines(), strict=True)
        names = [column.strip() for column in next(reader, [])]
        if with_header:
            yield {}, 1, "".join(text)
        text.clear()
        line = reader.line_num + 1
        for cells in reader:
            if cells and cells != [""]:
                yield dict(zip(names, map(str.strip, cells), strict=False)), line, "".join(text)
            text.clear()
            line = reader.line_num + 1
    finally:
        wrapped.detach()  # the file is its opener's to close
