"""The lines of an export out of its files, each with its place."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

import msgspec

from sync.audit.archive import ArchiveLine, ArchivePlace, AuditFailure, SubjectLine, encode_line

_LineT = TypeVar("_LineT", bound=ArchiveLine)
_decoder: msgspec.json.Decoder[ArchiveLine] = msgspec.json.Decoder(ArchiveLine)


@dataclass(slots=True)
class SchoolArchive:
    """All lines of an export, by kind, each with its place."""

    lines: dict[type[msgspec.Struct], list[tuple[ArchivePlace, ArchiveLine]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def read(self, kind: type[_LineT]) -> list[tuple[ArchivePlace, _LineT]]:
        """Returns the lines of a kind, in the order of the files."""
        return [(place, line) for place, line in self.lines.get(kind, ()) if isinstance(line, kind)]

    def read_lines(self, kind: type[_LineT]) -> list[_LineT]:
        """Returns the lines of a kind without their places."""
        return [line for _, line in self.read(kind)]

    @property
    def subject(self) -> SubjectLine:
        """Returns what was exported. Raises AuditFailure unless one line says so."""
        subjects = self.read_lines(SubjectLine)
        if len(subjects) != 1:
            raise AuditFailure(
                None, f"{len(subjects)} lines say what was exported, expected 1: give all files of one export"
            )
        return subjects[0]


def read_archive(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> SchoolArchive:
    """Returns the lines of all files.

    Raises AuditFailure that names the first one that cannot be read or stands twice.
    """
    archive = SchoolArchive()
    digests: set[bytes] = set()
    for name, content in files.items() if isinstance(files, Mapping) else files:
        for number, text in enumerate(content.split(b"\n"), 1):
            place = ArchivePlace(name, number)
            if not text:
                if number <= content.count(b"\n"):
                    raise AuditFailure(place, "an empty line")
                continue
            try:
                line = _decoder.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise AuditFailure(place, f"no line of an export: {error}") from error
            digest = sha256(encode_line(line)).digest()  # of its meaning: a copy may be written otherwise
            if digest in digests:
                raise AuditFailure(place, "this line stands twice: it was added")
            digests.add(digest)
            archive.lines[type(line)].append((place, line))
    return archive
