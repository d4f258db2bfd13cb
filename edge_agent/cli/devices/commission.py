"""`devices commission`: a new key for an OSDP reader."""

from pathlib import Path
from typing import Annotated

import typer

from drivers import registry
from drivers.cards.osdp_reports import OsdpSettings
from edge_agent.cli.devices.options import DeviceArgument, find_reader, require_stopped_daemon
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, out
from edge_agent.errors import RequestRefused


def commission(
    device: DeviceArgument,
    key_file: Annotated[Path, typer.Option("--key-file", help="The file for the new key; it must not exist yet.")],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Draw a new key for an OSDP reader, keep it in a file, give it to the reader, and try it. Changes the reader."""
    options = find_reader(config, device).options
    if not isinstance(options, OsdpSettings):
        raise RequestRefused(f"{device} is no OSDP reader", "only OSDP readers share a key with the kiosk: name one")
    if not options.commissioning:
        raise RequestRefused(
            f"{device}: nothing was changed", "set commissioning = true in its table while it gets a key, and try again"
        )
    require_stopped_daemon(config)
    registry.reader_class("osdp")  # its error names the missing extra
    from drivers.cards.osdp_commissioning import commission as set_key

    opened_by = f"the key in {options.key_file}" if options.key_file else "install mode (see its manual)"
    out.print(
        f"A new key is drawn and written to {key_file}. The reader at {options.port} (address {options.address}), "
        f"opened by {opened_by}, gets the key and must answer to it. Keep the power on; it takes up to 15 s.",
        markup=False,
        soft_wrap=True,
    )
    set_key(options, key_file)
    out.print(
        f"{device} answers to the new key.\n"
        f'Now set commissioning = false and key_file = "{key_file.absolute()}" in its table (or, as root, put the file '
        'to /etc/credstore/edge-agent.osdp-key and name key_file = "osdp-key"), keep a copy where the school keeps its '
        "keys, and start the daemon.",
        markup=False,
        soft_wrap=True,
    )
