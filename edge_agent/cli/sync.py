"""`edge-agent sync`: the way of the journal to the ledger. The running daemon answers all but the change of the key."""

from datetime import UTC, datetime
from functools import partial

import msgspec
import typer

from edge_agent import identity
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs, print_table
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, STATUS, SYNC_NOW, SYNC_QUARANTINE
from edge_agent.errors import KioskNotRegistered
from edge_agent.settings.reading import load_settings
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.pinned_key import PinnedKey
from sync.client.registration import change_key

app = typer.Typer(no_args_is_help=True)

UNREGISTERED = "not registered: edge-agent register URL CODE"


@app.command()
def status(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the queue, the ledger's last word, and the next step."""
    (daemon,) = ask(load_settings(config).settings.kiosk.run_dir, STATUS, NO_ARGUMENTS)
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
    (depth,) = ask(load_settings(config).settings.kiosk.run_dir, SYNC_NOW, NO_ARGUMENTS)
    out.print(f"{depth.queue} events to send; `edge-agent sync status` shows the progress", markup=False)


@app.command()
def quarantine(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the events that the ledger found odd or refused. This kiosk keeps them with the reason, for ever."""
    rows = list(ask(load_settings(config).settings.kiosk.run_dir, SYNC_QUARANTINE, NO_ARGUMENTS))
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


@app.command("rotate-key")
def rotate_key(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Give this kiosk a new key, which the old one vouches for. Run it as the agent's user; then restart the daemon.

    Until the daemon is restarted both keys are in force. Where it is cut off, run it again.
    """
    kiosk = load_settings(config).settings
    state_dir = kiosk.kiosk.state_dir
    own = identity.read_identity(state_dir, kiosk.kiosk.school)
    if own.registration is None:
        raise KioskNotRegistered("this kiosk has no ledger that could learn a new key", "edge-agent register URL CODE")
    successor = DeviceKey.load_or_make(state_dir / identity.NEXT_KEY_NAME)
    with HttpxTransport(
        own.registration.ledger, ca_file=kiosk.ledger.ca_file, timeout_s=kiosk.ledger.timeout_s
    ) as http:
        pinned = PinnedKey(
            bytes.fromhex(own.registration.server_key), http, partial(identity.replace_server_key, state_dir)
        )
        change_key(http, own.key, successor, own.device, clock=lambda: datetime.now(UTC), server_key=pinned)
    identity.adopt_next_key(state_dir)
    out.print(
        f"{own.device} has key {successor.fingerprint}; restart the daemon, which ends the old key: "
        "systemctl restart edge-agent",
        markup=False, soft_wrap=True,
    )  # fmt: skip
