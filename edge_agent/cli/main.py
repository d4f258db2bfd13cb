"""The console script: it builds the command tree, and turns errors into exit codes."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, NoReturn
from zoneinfo import reset_tzpath

from drivers.errors import DeviceError
from edge_agent.cli.exit_codes import CommandError, read_exit_code
from edge_agent.cli.start_daemon import read_plain_run, start_daemon
from edge_agent.errors import AgentError, ExitCode
from edge_agent.version import VERSION
from sync.errors import SyncError

if TYPE_CHECKING:
    import typer

# Only the module of the noun on the command line is imported, so that `run` does not load the ledger's parts.
NOUNS = {
    "config": "The settings in force, and a check of their file.",
    "devices": "Readers and lights: what is attached, what it sends, what that means.",
    "journal": "The records of this kiosk.",
    "ledger": "The central ledger: serve it, read it, check it.",
    "operators": "The people who act at this kiosk's staff's page, and their PINs.",
    "palm": "Palms: enrol them, judge pictures, measure recognition, keep the school's key.",
    "paper": "Lists for a meal without electricity, with a code for each person.",
    "roster": "The people, cards and meal sessions of this kiosk or of a ledger.",
    "update": "Releases of this program: try one, go back, see how the last one went.",
    "sync": "The way of the journal to the ledger.",
}
COMMANDS = {
    "run": "run",
    "doctor": "doctor",
    "demo": "demo",
    "demo-kiosk": "demo_kiosk",
    "register": "register",
    "setup": "setup",
    "top": "top",
}


def build(wanted: str | None) -> "typer.Typer":
    """Returns the command tree with the wanted noun or command only; with `wanted` None, for help, with all of them."""
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

    @app.callback()  # it also keeps the noun on the command line when only one is loaded
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    return app


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        sys.stdout.write(f"edge-agent {VERSION}\n")
        sys.exit(ExitCode.OK)


def main() -> None:
    """Runs the command of `sys.argv`. Prints the text of an error in red, and exits with its code."""
    # Only the zones of the tzdata package count. On a kiosk that is years old, the system's zones do not know the clock
    # change of 2024.
    reset_tzpath(())
    plain_run = read_plain_run(sys.argv[1:])
    wanted = next((word for word in sys.argv[1:2] if word in NOUNS or word in COMMANDS), None)
    try:
        if plain_run is not None:
            sys.exit(start_daemon(plain_run))
        build(wanted)()
    except (AgentError, DeviceError, SyncError) as error:
        _exit_with(error)


def _exit_with(error: CommandError) -> NoReturn:
    from rich.console import Console

    Console(stderr=True, highlight=False).print(str(error), style="red", markup=False, soft_wrap=True)
    sys.exit(read_exit_code(error))
