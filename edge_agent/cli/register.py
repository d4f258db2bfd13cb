"""`edge-agent register`: an identity for this kiosk, in exchange for a one-time code."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from edge_agent import identity
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.cli.registration_refusals import explain_folder, explain_refusal
from edge_agent.identity import Registration
from edge_agent.process.clock import read_clock_quality
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import Settings
from edge_agent.version import VERSION
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.registration import register_kiosk
from sync.contract.wire import RegistrationReply
from sync.errors import SyncError


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(register)


def register(
    url: Annotated[str, typer.Argument(help="The ledger's address, https://…")],
    code: Annotated[str, typer.Argument(help="The one-time code for this kiosk, from the operator of the ledger.")],
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Give this kiosk its identity. Run it as the agent's user; restart the daemon afterwards."""
    registration = register_and_store(load_settings(config).settings, url, code)
    if as_json:
        print_json(registration)
    else:
        out.print(
            f"Registered as {registration.device} of school {registration.school}.\n"
            "Restart the daemon, so that it sends to the ledger: systemctl restart edge-agent",
            markup=False,
        )


def register_and_store(kiosk: Settings, url: str, code: str) -> Registration:
    """Returns the identity that the ledger gives for this code, after it is on the disk.

    Raises `RegistrationRefused` with one next step, and `KeyUnusable`.
    """
    state_dir = kiosk.kiosk.state_dir
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        key = DeviceKey.load_or_make(state_dir / identity.DEVICE_KEY_NAME)
        granted = _ask_identity(kiosk, url, code, key)
        registration = Registration(
            device=granted.device, school=granted.school, ledger=url, server_key=granted.server_key
        )
        identity.write_registration(state_dir, registration)
    except OSError as error:
        raise explain_folder(error, state_dir) from error
    return registration


def _ask_identity(kiosk: Settings, url: str, code: str, key: DeviceKey) -> RegistrationReply:
    try:
        with HttpxTransport(url, ca_file=kiosk.ledger.ca_file, timeout_s=kiosk.ledger.timeout_s) as http:
            return register_kiosk(
                http, key, code, clock=lambda: datetime.now(UTC), agent=VERSION, name=kiosk.kiosk.name
            )
    except SyncError as error:
        has_ca_file = kiosk.ledger.ca_file is not None
        raise explain_refusal(error, url, read_clock_quality(), has_ca_file=has_ca_file) from error
