"""Options and output that several commands share."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_agent.settings.reading import PATH_DEFAULT, PATH_VARIABLE
from sync.contract.clocks import parse_utc

ConfigOption = Annotated[
    Path, typer.Option("--config", envvar=PATH_VARIABLE, help="The settings file.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")]
CONFIG_DEFAULT = PATH_DEFAULT

# A file or a pipe has no width, so lines are not cut to one.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def show_local(time: str, zone: tzinfo) -> str:
    """Returns a time of an event as people read it: local, with its offset. What is no time is returned as it is."""
    moment = parse_utc(time)
    return time if moment is None else moment.astimezone(zone).isoformat(" ", "seconds")


def print_json(value: Any) -> None:
    """Prints a value as one line of JSON."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(value, enc_hook=str), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Prints rows under the names of their columns."""
    table = Table(*columns, title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))  # no markup: [osdp] is an extra
    out.print(table)


def print_pairs(pairs: Mapping[str, object]) -> None:
    """Prints a name and a value on each line."""
    print_table(("", ""), ((name.replace("_", " "), value) for name, value in pairs.items()))


def print_document(document: Mapping[str, object], as_json: bool) -> None:
    """Prints a flat document: as JSON for machines, else a name and a value on each line."""
    if as_json:
        print_json(document)
    else:
        print_pairs(document)
