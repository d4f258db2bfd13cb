"""`devices import`: the rows of a terminal's own log, from its memory stick."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from drivers import registry
from drivers.protocols import zk_attlog
from edge_agent.cli.devices.options import DeviceArgument, find_reader
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs
from edge_agent.control import ask
from edge_agent.control_api import DEVICES_IMPORT, DeviceImportArguments, TerminalMatch
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import DeviceSettings, Settings

IMPORT_ROWS = 1_000  # in one request to the daemon
IMPORT_S = 600.0
IMPORT_BYTES_MAX = 64 * 1024 * 1024  # a million rows
FAULTS_SHOWN = 20


def import_log(
    device: DeviceArgument,
    source: Annotated[
        Path, typer.Argument(help="attlog.dat, from the terminal's memory stick.", exists=True, dir_okay=False)
    ],
    write: Annotated[bool, typer.Option("--write", help="Record the rows; without it they are only shown.")] = False,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show the rows in a terminal's attlog.dat, and record them with --write. A second import adds no meal."""
    loaded = load_settings(config).settings
    terminal = find_reader(config, device)
    driver = registry.entry(terminal.driver, load_settings(config).drivers)
    if driver.protocol or driver.camera:
        raise RequestRefused(f"{device} is no terminal but {driver.what}", "name the terminal that the file is from")
    if source.stat().st_size > IMPORT_BYTES_MAX:
        raise RequestRefused(
            f"{source} has more than {IMPORT_BYTES_MAX >> 20} MiB, so it is no attlog.dat", "name another file"
        )
    log = zk_attlog.preview(source.read_bytes())
    summary: dict[str, object] = {"rows": len(log.punches), "people": len(log.numbers)}
    summary |= {"first": log.first, "last": log.last, "repeated": log.repeated, "faults": len(log.faults)}
    if write:
        summary["taken"] = sum(_send_rows(loaded, terminal, rows) for rows in _portions(log.punches))
    if as_json:
        print_json(summary)
        return
    print_pairs(summary)
    for line, what in log.faults[:FAULTS_SHOWN]:
        out.print(f"line {line}: {what}", markup=False)
    if not write:
        out.print("nothing was recorded; --write records these rows", markup=False)


def _portions(punches: Sequence[zk_attlog.Punch]) -> Iterator[Sequence[zk_attlog.Punch]]:
    return (punches[first : first + IMPORT_ROWS] for first in range(0, len(punches), IMPORT_ROWS))


def _send_rows(loaded: Settings, terminal: DeviceSettings, punches: Sequence[zk_attlog.Punch]) -> int:
    """Sends rows to the running daemon, which alone has the journal. Returns how many it took.

    The terminal's times are local times of the school.
    """
    matches = tuple(
        TerminalMatch(
            punch.number,
            punch.method("palm"),
            datetime.fromisoformat(punch.time).replace(tzinfo=loaded.zone).isoformat(),
        )
        for punch in punches
    )
    arguments = DeviceImportArguments(device=terminal.name, matches=matches)
    (imported,) = ask(loaded.kiosk.run_dir, DEVICES_IMPORT, arguments, IMPORT_S)
    return imported.imported
