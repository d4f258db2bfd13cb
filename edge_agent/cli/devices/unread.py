"""`devices unread`: the requests of terminals that nobody understood, and their second reading."""

from typing import Annotated

import typer

from edge_agent.cli.devices.options import find_reader
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_table
from edge_agent.control import ask
from edge_agent.control_api import DEVICES_UNREAD, DeviceUnreadArguments
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings

AGAIN_S = 600.0
ROW_SHOWN = 60  # characters of the first row


def show_unread(
    device: Annotated[str, typer.Argument(help="A reader's name in the settings; without it all readers.")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Read them again, after an update, and record what is understood.")
    ] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Remove them; there is no way back.")] = False,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show what terminals told and nobody understood; the numbers of cards are not in it."""
    if again and discard:
        raise RequestRefused("--again and --discard at once", "read them again first, and discard what is left")
    if device:
        find_reader(config, device)
    run_dir = load_settings(config).settings.kiosk.run_dir
    arguments = DeviceUnreadArguments(device=device, again=again, discard=discard)
    rows = list(ask(run_dir, DEVICES_UNREAD, arguments, AGAIN_S))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("reader", "came", "terminal", "table", "rows", "matches", "first row"),
        (
            (row.device, row.at, row.serial, row.table or row.path, len(row.rows), row.matches, row.rows[0][:ROW_SHOWN])
            for row in rows
        ),
        title=None if rows else "everything that came was understood",
    )
    if discard and rows:
        out.print(f"{len(rows)} requests were removed", markup=False)
