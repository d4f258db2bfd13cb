"""`edge-agent demo-kiosk`: what one kiosk of the demo runs. Hidden: it is no way to run a kiosk."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from canteen_demo.clock import FastClock
from edge_agent import settings
from edge_agent.process import logs
from edge_agent.runtime import daemon


def add_to(app: typer.Typer) -> None:
    app.command("demo-kiosk", hidden=True)(demo_kiosk)


def demo_kiosk(opens: str, zero_ns: str, speed: str, config: Annotated[Path, typer.Option("--config")]) -> None:
    """A kiosk of the demo: the daemon itself, under a clock that runs faster."""
    loaded = settings.load_settings(config)
    logs.set_up_logging(loaded.settings.log.level)
    sys.exit(daemon.run(loaded, now=FastClock.parse(opens, zero_ns, speed)))
