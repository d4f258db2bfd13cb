"""`devices replay`: a capture, played through the real driver."""

import time
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from drivers import registry
from drivers.base import DriverSettings
from drivers.bench import osdp_trace, playing
from drivers.bench.capture import read_capture
from drivers.bench.described import describe_event
from drivers.cards.osdp_reports import OsdpSettings
from drivers.protocols import osdpcap
from drivers.settings import parse
from edge_agent.cli.devices.options import KeyFileOption, find_key, find_reader
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, print_json
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings

GAP_S_MAX = 3_600.0


def replay(
    source: Annotated[Path, typer.Argument(help="A file made by `devices capture`.", exists=True, dir_okay=False)],
    fast: Annotated[bool, typer.Option("--fast", help="Without the recorded gaps.")] = False,
    key_file: KeyFileOption = None,
    device: Annotated[
        str, typer.Option("--reader", help="Take the settings of this reader, and not those of the capture.")
    ] = "",
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Play a capture through the real driver and print what it would have reported."""
    with source.open("rb") as file:
        first = file.readline(osdpcap.OSDPCAP_LINE_BYTES_MAX)
        file.seek(0)
        if osdp_trace.is_trace(first):
            chosen_options = find_reader(config, device).options if device else None
            if device and not isinstance(chosen_options, OsdpSettings):
                raise RequestRefused(f"{device} is no OSDP reader, and {source} is of one", "name the reader it is of")
            # An OSDPCAP file holds no settings: without a reader's name the driver's defaults apply.
            options = chosen_options if isinstance(chosen_options, OsdpSettings) else OsdpSettings(port=str(source))
            _replay_trace(file, options, find_key(options, key_file), gaps=not fast)
            return
        if key_file is not None:
            raise RequestRefused(f"{source} is no OSDPCAP file, and has no secure channel", "leave --key-file out")
        header, chunks = read_capture(file)
        driver_name, drivers = header.driver, registry.DRIVERS
        recorded_by: DriverSettings | None = None
        if device:
            chosen, drivers = find_reader(config, device), load_settings(config).drivers
            driver_name, recorded_by = chosen.driver, chosen.options
        driver = registry.reader_class(driver_name, drivers)
        played = playing.play(driver, recorded_by or parse(driver.Settings, header.settings), chunks, gaps=not fast)
        for event in played:
            print_json(describe_event(event))


def _replay_trace(file: BinaryIO, options: OsdpSettings, scbk: bytes | None, *, gaps: bool) -> None:
    """Plays an OSDPCAP file; no port is opened."""
    before_ns: int | None = None
    lines = iter(lambda: file.readline(osdpcap.OSDPCAP_LINE_BYTES_MAX + 1), b"")
    for event in osdp_trace.events(lines, options, scbk=scbk):
        if gaps and before_ns is not None:
            time.sleep(min(max(event.monotonic_ns - before_ns, 0) / 1e9, GAP_S_MAX))
        before_ns = event.monotonic_ns
        print_json(describe_event(event))
