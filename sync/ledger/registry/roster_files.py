"""A roster export from a folder or a zip file into memory: CSV files only, with caps on number and size. Of a table
in another format only the name is taken, so that an import can say that it did not read it.

Imports neither PostgreSQL nor the network, so that a kiosk without the ledger's extra can read an export too.
"""

import io
import zipfile
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from sync.contract.oneroster.rows import ONEROSTER, OWN
from sync.contract.oneroster.tables import FILE_BYTES_MAX, ExportFault, ExportRefused

FILES_MAX = 100
_READABLE = {*ONEROSTER, *OWN}
BYTES_MAX = 256 * 1024 * 1024


def read_export(path: Path) -> dict[str, bytes]:
    """Returns the CSV files of a folder or zip, by lower-case name. Raises `ExportRefused`."""
    with open_export(path) as files:
        # The size in a zip's directory is the sender's word; the read is capped all the same.
        return {name: file.read(FILE_BYTES_MAX + 1) for name, file in files}


@contextmanager
def open_export(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Yields the CSV files of a folder or zip one after the other, by lower-case name. Raises `ExportRefused`."""
    try:
        if path.is_dir():
            yield _open_folder(path)
            return
        with zipfile.ZipFile(path) as archive:
            yield _open_archive(path.name, archive)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        # zipfile says RuntimeError for a password, NotImplementedError for an unknown compression.
        raise ExportRefused(
            [ExportFault(str(path), 0, "", str(error), "a folder or zip of CSV files that can be read")]
        ) from error


def _open_folder(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    actual = sorted(entry for entry in path.iterdir() if entry.suffix.lower() == ".csv" and entry.is_file())
    _check_size(path.name, len(actual), sum(entry.stat().st_size for entry in actual))
    _check_names(path.name, [entry.name for entry in actual])
    folders = [entry for entry in path.iterdir() if entry.is_dir()]
    if any(entry.suffix.lower() == ".csv" for folder in folders for entry in folder.iterdir()):
        raise _several_folders(path.name)
    names = {entry.name.lower() for entry in actual}
    yield from _list_empty((entry.name for entry in path.iterdir() if entry not in actual), names)
    for entry in actual:
        with entry.open("rb") as file:
            yield entry.name.lower(), file


def _list_empty(others: Iterable[str], names: Container[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yields files without content for the names of a roster's files in another format, as `codes.xlsx`."""
    for name in dict.fromkeys(map(str.lower, others)):
        if name not in names and PurePosixPath(name).with_suffix(".csv").name in _READABLE:
            yield name, io.BytesIO()


def _open_archive(name: str, archive: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes]]]:
    """Reads a zip. Some exporters put everything into one folder; a Mac adds a second one with shadows of the files."""
    members = [
        member for member in archive.infolist()
        if member.filename.lower().endswith(".csv") and not member.is_dir()
        and "__MACOSX" not in member.filename and not PurePosixPath(member.filename).name.startswith(".")
    ]  # fmt: skip
    _check_size(name, len(members), sum(member.file_size for member in members))
    if len({PurePosixPath(member.filename).parent for member in members}) > 1:
        raise _several_folders(name)
    _check_names(name, [PurePosixPath(member.filename).name for member in members])
    read = {member.filename for member in members}
    others = (
        PurePosixPath(member.filename).name
        for member in archive.infolist()
        if not member.is_dir() and "__MACOSX" not in member.filename and member.filename not in read
    )
    yield from _list_empty(others, {PurePosixPath(filename).name.lower() for filename in read})
    for member in members:
        with archive.open(member) as content:
            yield PurePosixPath(member.filename).name.lower(), content


def _several_folders(name: str) -> ExportRefused:
    return ExportRefused([ExportFault(name, 0, "", "CSV files in several folders", "all of one export in one folder")])


def _check_names(name: str, files: Iterable[str]) -> None:
    """Raises `ExportRefused` where two names differ in capitals alone: one of the files would be passed over."""
    first: dict[str, str] = {}
    for file in files:
        other = first.setdefault(file.lower(), file)
        if other != file:
            raise ExportRefused([ExportFault(name, 0, "", f"{other} and {file}", "one file of each name")])


def _check_size(name: str, files: int, total: int) -> None:
    if files > FILES_MAX or total > BYTES_MAX:
        actual = f"{files} CSV files of {total} bytes"
        raise ExportRefused([ExportFault(name, 0, "", actual, f"at most {FILES_MAX} files and {BYTES_MAX} bytes")])
