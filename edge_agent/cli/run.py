"""`edge-agent run`: the daemon."""

import sys

import typer

from edge_agent import settings
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption
from edge_agent.process import logs
from edge_agent.runtime import daemon


def add_to(app: typer.Typer) -> None:
    app.command()(run)


def run(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Run the kiosk until SIGTERM. systemd does this; by hand it is for a look at what happens."""
    loaded = settings.load_settings(config)
    logs.set_up_logging(loaded.settings.log.level)
    sys.exit(daemon.run(loaded))
