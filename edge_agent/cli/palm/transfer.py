"""`palm export` and `palm import`: all palms of a kiosk in a sealed file, for another kiosk of the school."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_document
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, PALM_EXPORT, PALM_IMPORT, PalmImportArguments, PalmImportRow
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings
from sync.contract.palms import PALM_MESSAGE_BYTES_MAX, PalmStickHeader, SealedTemplates

TRANSFER_S = 300.0
PALMS_PER_REQUEST = 64  # a request may have 8 MiB


def export(
    file: Annotated[Path, typer.Argument(help="A new file, for example on a stick.", dir_okay=False)],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Write all palms of the running kiosk into a file. It is sealed with the school's key: noise without the key."""
    run_dir = load_settings(config).settings.kiosk.run_dir
    rows = ask(run_dir, PALM_EXPORT, NO_ARGUMENTS, TRANSFER_S)
    lines = [json.dumps(json.loads(bytes(row)), sort_keys=True, separators=(",", ":")) for row in rows]
    try:
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as target:
            target.write("\n".join(lines) + "\n")
            target.flush()
            os.fsync(target.fileno())
    except FileExistsError as error:
        raise RequestRefused(f"{file} exists", "name a new file, nothing is overwritten") from error
    except OSError as error:
        raise RequestRefused(f"{file}: {error.strerror}", "is the stick in, and writable?") from error
    out.print(f"{file}: {len(lines) - 1} palms", markup=False)


def import_(
    file: Annotated[
        Path, typer.Argument(help="The file of `palm export` on another kiosk of this school.", exists=True)
    ],
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Import palms of another kiosk. Palms without consent are left out, and a younger palm on this kiosk stays."""
    run_dir = load_settings(config).settings.kiosk.run_dir
    total = PalmImportRow(imported=0, passed_over=0, unreadable=0)
    for arguments in _read_requests(file):
        for part in ask(run_dir, PALM_IMPORT, arguments, TRANSFER_S):
            total = PalmImportRow(
                imported=total.imported + part.imported,
                passed_over=total.passed_over + part.passed_over,
                unreadable=total.unreadable + part.unreadable,
            )
    print_document(msgspec.to_builtins(total), as_json)


def _read_requests(file: Path) -> Iterator[PalmImportArguments]:
    """Yields requests with the file's head and some palms each. Raises RequestRefused for a file without an export."""
    try:
        with file.open("rb") as lines:
            head = msgspec.json.decode(lines.readline(PALM_MESSAGE_BYTES_MAX), type=PalmStickHeader)
            while palms := tuple(msgspec.json.decode(line, type=SealedTemplates) for line in _read_lines(lines)):
                yield PalmImportArguments(head=head, palms=palms)
    except (ValueError, UnicodeDecodeError) as error:
        raise RequestRefused(f"{file} is no export of palms: {error}", "name the file of `palm export`") from error
    except OSError as error:
        raise RequestRefused(f"{file}: {error.strerror}", "is the stick in, and readable?") from error


def _read_lines(lines: BinaryIO) -> list[bytes]:
    return [line for _ in range(PALMS_PER_REQUEST) if (line := lines.readline(PALM_MESSAGE_BYTES_MAX))]
