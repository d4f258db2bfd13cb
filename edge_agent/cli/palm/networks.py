"""`palm models`: the networks that find closed fingers better."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, out
from edge_agent.settings.reading import load_settings


def models(
    wheel: Annotated[
        Path, typer.Argument(help="mediapipe 0.10.21 for x86_64, the file that pip downloads.", dir_okay=False)
    ],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Install the networks that find closed fingers better. Without them everything works, only not quite as well."""
    from edge_agent.palms import models as palm_models

    folder = palm_models.install(wheel, load_settings(config).settings.kiosk.state_dir)
    out.print(f"{folder}: installed; restart the daemon (systemctl restart edge-agent)", markup=False)
