"""`edge-agent sync`: how the journal travels to the ledger. All of it is asked of the running daemon."""

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
    """Where the queue stands, what the ledger said last, and what to do about it."""
    (answer,) = ask(settings.load_settings(config).settings.kiosk.run_dir, STATUS, NO_ARGUMENTS)
    if as_json:
        print_json(answer)
        return
    print_pairs(
        {"device": answer.device, "school": answer.school, "recording": answer.recording, "clock": answer.clock.value}
        | _named("journal", answer.journal)
        | (_named("ledger", answer.ledger) if answer.ledger is not None else {"ledger state": UNREGISTERED})
        | _named("roster", answer.roster)
    )


def _named(part: str, values: msgspec.Struct) -> dict[str, object]:
    return {f"{part} {name}": value for name, value in msgspec.to_builtins(values).items()}


@app.command()
def now(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Send now what is queued, without waiting for the next attempt."""
    (answer,) = ask(settings.load_settings(config).settings.kiosk.run_dir, SYNC_NOW, NO_ARGUMENTS)
    out.print(f"{answer.queue} events to send; `edge-agent sync status` shows how it goes", markup=False)


@app.command()
def quarantine(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Events that the ledger found odd or refused: kept here with the reason, for ever."""
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
