"""The archive itself: every part redacted, searched, and written for its owner's eyes alone."""

import io
import os
import sqlite3
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.cli.bundle import parts
from edge_agent.cli.bundle.private_words import read_private_words
from edge_agent.cli.bundle.redaction import PrivateMask
from edge_agent.cli.checks.finding import ExaminedKiosk, Finding
from edge_agent.cli.phrases import phrase
from edge_agent.errors import RequestRefused


def write_bundle(path: Path, kiosk: ExaminedKiosk, findings: Sequence[Finding], log_file: Path | None) -> list[str]:
    """Writes the bundle as tar.gz and returns the names of its parts. An existing file is not replaced.

    Raises RequestRefused where names and numbers cannot be read, since nobody could tell then that none is in it.
    """
    try:
        mask = PrivateMask(read_private_words(kiosk))
        contents = build_contents(kiosk, findings, log_file, mask)
    except (OSError, sqlite3.Error) as error:
        raise RequestRefused(
            phrase("the bundle cannot be made: {error}", error=error),
            phrase("run it as root: sudo edge-agent doctor --bundle FILE"),
        ) from error
    for name, text in contents.items():
        if mask.find_private(text):
            raise RequestRefused(
                phrase("{name} would hold something private, so no bundle is written", name=name),
                phrase("tell the makers of this program which part it is"),
            )
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise RequestRefused(phrase("{path} is there already", path=path), phrase("name another file")) from error
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in contents.items():
            body = text.encode()
            member = tarfile.TarInfo(f"edge-agent-bundle/{name}")
            member.size, member.mode = len(body), 0o600
            archive.addfile(member, io.BytesIO(body))
    return list(contents)


def build_contents(
    kiosk: ExaminedKiosk, findings: Sequence[Finding], log_file: Path | None, mask: PrivateMask
) -> dict[str, str]:
    """Returns the text of each part by its file's name, redacted."""
    documents: dict[str, Any] = {
        "findings.json": parts.list_findings(findings),
        "settings.json": parts.list_settings(kiosk),
        "versions.json": parts.list_versions(),
        "status.json": parts.describe_status(kiosk),
        "journal.json": parts.count_journal(kiosk),
        "readings.json": parts.list_readings(kiosk),
    }
    texts = {name: _write_json(_redact(document, mask)) for name, document in documents.items()}
    return texts | {"log.txt": mask.redact(parts.read_log(log_file))}


def _redact(value: Any, mask: PrivateMask) -> Any:
    match value:
        case str():
            return mask.redact(value)
        case dict():
            return {mask.redact(str(key)): _redact(each, mask) for key, each in value.items()}
        case list() | tuple():
            return [_redact(each, mask) for each in value]
        case _:
            return value


def _write_json(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"
