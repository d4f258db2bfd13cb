"""`edge-agent sync`: the way of the journal to the ledger. The running daemon answers all of it."""

import msgspec
import typer

from edge_agent import settings
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs, print_table
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, STATUS, SYNC_NOW, SYNC_QUARANTINE

app = typer.Typer(no_args_is_help=True)

UNREGISTERED = "not registered: edge-agent register URL CODE"


@app.command()
def status(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the queue, the ledger's last word, and the next step."""
    (daemon,) = ask(settings.load_settings(config).settings.kiosk.run_dir, STATUS, NO_ARGUMENTS)
    if as_json:
        print_json(daemon)
        return
    print_pairs(
        {"device": daemon.device, "school": daemon.school, "recording": daemon.recording, "clock": daemon.clock.value}
        | _prefix_names("journal", daemon.journal)
        | (_prefix_names("ledger", daemon.ledger) if daemon.ledger is not None else {"ledger state": UNREGISTERED})
        | _prefix_names("roster", daemon.roster)
    )


def _prefix_names(part: str, values: msgspec.Struct) -> dict[str, object]:
    return {f"{part} {name}": value for name, value in msgspec.to_builtins(values).items()}


@app.command()
def now(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Send the queue now, without a wait for the next attempt."""
    (depth,) = ask(settings.load_settings(config).settings.kiosk.run_dir, SYNC_NOW, NO_ARGUMENTS)
    out.print(f"{depth.queue} events to send; `edge-agent sync status` shows the progress", markup=False)


@app.command()
def quarantine(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the events that the ledger found odd or refused. This kiosk keeps them with the reason, for ever."""
    rows = list(ask(settings.load_settings(config).settings.kiosk.run_dir, SYNC_QUARANTINE, NO_ARGUMENTS))
    if as_json:
        for row in rows:
            print_json(row)
    elif rows:
        print_table(
            ("epoch", "row", "code", "detail", "bytes only here"),
            ((row.epoch, row.seq, row.code, row.detail, row.tombstone) for row in rows),
        )
    else:
        out.print("nothing in quarantine")
