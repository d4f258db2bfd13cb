"""`edge-agent ledger salvage`: what a kiosk's damaged journal still holds, brought on a stick."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, open_ledger
from edge_agent.cli.options import JsonOption, out, print_json
from edge_agent.errors import AgentError


class NothingReadable(AgentError):
    """The file holds no event of a kiosk that can be read."""


def salvage(
    file: Annotated[Path, typer.Argument(help="A damaged journal, with its -wal beside it if there is one.")],
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Store what a kiosk's damaged journal still holds and the ledger lacks. Doing it twice is harmless."""
    from edge_agent.journal.damage.salvage import read_all_epochs
    from sync.ledger.intake.salvage import BroughtEvent, store_salvaged
    from sync.ledger.server import utc_now

    if not file.exists():
        raise NothingReadable(f"{file}: there is no such file", "name the damaged journal")
    epochs = [(found, found.epoch) for found in read_all_epochs(file) if found.epoch is not None and found.rows]
    if not epochs:
        raise NothingReadable(f"{file}: no event in it can be read", "keep it, and try a copy of the whole card")
    with open_ledger(data_dir, database_url) as connection:
        for found, epoch in epochs:
            events = [BroughtEvent(row.seq, row.hash, row.payload, row.proven) for row in found.rows]
            stored = store_salvaged(connection, epoch.device, epoch.public_key, epoch.id, events, utc_now())
            if as_json:
                print_json(stored)
                continue
            out.print(
                f"{stored.device}, epoch {stored.epoch}: {stored.brought} events read, {stored.stored} were not here"
                f" before, {stored.unproven} are unproven",
                markup=False,
            )
            for first, last in found.holes:
                out.print(f"HOLE: events {first} to {last} are not in this file")
