"""`edge-agent run` as systemd calls it, started without the libraries of the command line.

The daemon lives for months, and would keep everything that was loaded to read two words. Typer, rich and their
dependencies are 8 MiB, and a quarter of the time from the start to READY.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent.errors import ExitCode
from edge_agent.settings.reading import PATH_DEFAULT, PATH_VARIABLE, load_settings


def read_plain_run(arguments: Sequence[str]) -> Path | None:
    """Returns the settings file of a plain `run [--config FILE]`; None for every other command line."""
    match arguments:
        case ["run"]:
            return Path(os.environ.get(PATH_VARIABLE) or PATH_DEFAULT)
        case ["run", "--config", path]:
            return Path(path)
        case _:
            return None


def start_daemon(config: Path) -> ExitCode:
    """Runs the daemon under these settings until it ends. Raises `AgentError`."""
    # httpx loads its own command line with click, rich and pygments (3 MiB), if it can import them. Marked as absent,
    # it stays out, as on a machine without them.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    # Starlette loads a reader of forms for every request that it may get. The screen takes none.
    sys.modules.setdefault("python_multipart", None)  # type: ignore[arg-type]
    from edge_agent.process import logs
    from edge_agent.runtime import daemon

    loaded = load_settings(config)
    logs.set_up_logging(loaded.settings.log.level)
    return daemon.run(loaded)
