"""`edge-agent run`: the daemon."""

import sys

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption
from edge_agent.cli.start_daemon import start_daemon


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(run)


def run(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Run the kiosk until SIGTERM. systemd does this; run it by hand to watch what happens."""
    sys.exit(start_daemon(config))
