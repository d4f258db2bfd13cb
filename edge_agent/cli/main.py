"""The console script: puts the nouns together and turns errors into exit codes."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn
from zoneinfo import reset_tzpath

from drivers.errors import DeviceError
from edge_agent.cli.start_daemon import read_plain_run, start_daemon
from edge_agent.errors import AgentError, ExitCode
from sync.errors import SyncError

if TYPE_CHECKING:
    import typer

# A noun's module is imported when the noun is asked for, so that `run` does not pay for the ledger's parts.
NOUNS = {
    "config": "The settings in force, and whether they are sound.",
    "devices": "Readers and lights: what is there, what it sends, what it means.",
    "journal": "What this kiosk has recorded.",
    "ledger": "The central ledger: serve it, read it, check one.",
    "palm": "Hands: make them known, look as the kiosk does, measure, keep the school's key.",
    "roster": "People, cards and meal sessions known here.",
    "sync": "How the journal travels to the ledger.",
}
COMMANDS = {"run": "run", "doctor": "doctor", "demo": "demo", "demo-kiosk": "demo_kiosk", "register": "register"}


def build(wanted: str | None) -> "typer.Typer":
    """The command tree; only the noun that is asked for is loaded, or all of them for help."""
    import typer

    app = typer.Typer(
        name="edge-agent",
        help="The canteen kiosk: reads palms and cards, keeps every visit, syncs it provably.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command, module in COMMANDS.items():
        if wanted in (None, command):
            import_module(f"edge_agent.cli.{module}").add_to(app)
    for noun, about in NOUNS.items():
        if wanted in (None, noun):
            app.add_typer(import_module(f"edge_agent.cli.{noun}").app, name=noun, help=about)

    @app.callback()
    def nouns() -> None:
        """Keep the noun in front even when only one is loaded."""

    return app


def main() -> None:
    # The zones of the tzdata package: the system's, on a kiosk that is years old, still have the clock change of 2024
    # ahead of them.
    reset_tzpath(())
    plain_run = read_plain_run(sys.argv[1:])
    wanted = next((word for word in sys.argv[1:2] if word in NOUNS or word in COMMANDS), None)
    try:
        if plain_run is not None:
            sys.exit(start_daemon(plain_run))
        build(wanted)()
    except AgentError as error:
        _exit_with(error, error.exit_code)
    except DeviceError as error:
        _exit_with(error, ExitCode.DEVICE)
    except SyncError as error:
        _exit_with(error, ExitCode.LEDGER)


def _exit_with(error: Exception, code: ExitCode) -> NoReturn:
    from rich.console import Console

    Console(stderr=True, highlight=False).print(str(error), style="red", markup=False, soft_wrap=True)
    sys.exit(code)
