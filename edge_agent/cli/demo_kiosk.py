"""`edge-agent demo-kiosk`: one kiosk of the demo. Hidden, because nobody should run a kiosk so."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from canteen_demo.clock import FastClock
from edge_agent.process import logs
from edge_agent.runtime import daemon
from edge_agent.settings.reading import load_settings


def add_to(app: typer.Typer) -> None:
    """Adds the hidden command to the tree."""
    app.command("demo-kiosk", hidden=True)(demo_kiosk)


def demo_kiosk(opens: str, zero_ns: str, speed: str, config: Annotated[Path, typer.Option("--config")]) -> None:
    """Run a kiosk of the demo: the daemon itself, under a clock that runs faster."""
    loaded = load_settings(config)
    logs.set_up_logging(loaded.settings.log.level)
    sys.exit(daemon.run(loaded, now=FastClock.parse(opens, zero_ns, speed)))
