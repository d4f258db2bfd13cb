"""Options, arguments and preconditions that several `devices` commands share."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from drivers.base import DriverSettings
from drivers.bench import osdp_key
from drivers.cards.osdp_reports import OsdpSettings
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, STATUS
from edge_agent.errors import AgentNotRunning, AgentRunning, DaemonVersionDiffers, RequestRefused
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import DeviceSettings

SecondsOption = Annotated[float, typer.Option(min=0.1, max=3_600, help="For how long.")]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", help="The key of an OSDP reader, to decrypt its secure channel.")
]
DeviceArgument = Annotated[str, typer.Argument(help="A reader's name in the settings.")]


def find_reader(config: Path, name: str) -> DeviceSettings:
    """Returns the reader with this name from the settings. Raises RequestRefused."""
    readers = load_settings(config).settings.readers
    for reader in readers:
        if reader.name == name and reader.fault:
            raise RequestRefused(f"{name} cannot be used: {reader.fault}", f"correct it in {config}, and try again")
        if reader.name == name:
            return reader
    names = ", ".join(reader.name for reader in readers) or "none"
    raise RequestRefused(f"no reader is named {name!r} in {config}", f"choose one of: {names}")


def find_key(options: DriverSettings, key_file: Path | None) -> bytes | None:
    """Returns the key of an OSDP reader: from this file, else from the file that its settings name; None without."""
    if key_file is not None:
        return osdp_key.load(key_file)
    if isinstance(options, OsdpSettings) and options.key_file:
        return osdp_key.load(osdp_key.key_path(options.key_file))
    return None


def require_stopped_daemon(config: Path) -> None:
    """Raises AgentRunning while the daemon runs: two programs on one line would cut each other short."""
    with suppress(DaemonVersionDiffers):  # a daemon of another version has the device open just the same
        try:
            next(ask(load_settings(config).settings.kiosk.run_dir, STATUS, NO_ARGUMENTS))
        except AgentNotRunning:
            return
    raise AgentRunning("the daemon has the device open", "stop it first (systemctl stop edge-agent)")
