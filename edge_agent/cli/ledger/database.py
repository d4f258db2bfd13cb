"""The database that the commands of `edge-agent ledger` use: the named one, or the one in the data folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.privileged import log_command
from edge_agent.errors import AgentError

if TYPE_CHECKING:
    import psycopg

DataOption = Annotated[
    Path, typer.Option("--data", envvar="LEDGER_DATA", help="The ledger's folder: its key, and its own PostgreSQL.")
]
DatabaseOption = Annotated[
    str,
    typer.Option("--database-url", envvar="LEDGER_DATABASE_URL", help="A PostgreSQL of yours instead of its own."),
]
SchoolArgument = Annotated[str, typer.Argument(help="The school's id.")]
DATA_DEFAULT = Path("/var/lib/edge-agent-ledger/data")


class LedgerExtraMissing(AgentError):
    """The packages of the ledger are not installed."""


def require_ledger_extra(
    by: Annotated[str, typer.Option(envvar="LEDGER_BY", help="Who you are, for the log; else your login name.")] = "",
) -> None:
    """The central ledger: serve it, read it, check it."""
    missing = [name for name in ("psycopg", "psycopg_pool") if find_spec(name) is None]
    if missing:
        raise LedgerExtraMissing(f"{' and '.join(missing)} not installed", "pip install 'canteen-edge-agent[ledger]'")


@contextmanager
def open_ledger(data_dir: Path, database_url: str) -> "Iterator[psycopg.Connection]":
    """Yields a connection to the ledger's database: the named one, or else the one in the data folder.

    Where the command under way changes something, the log has it. Acts that a restored backup must not undo are in
    the file beside it when this ends.
    """
    from sync.ledger.database import connected

    if database_url:
        with connected(database_url) as connection:
            with log_command(connection):
                yield connection
            _write_acts(connection, data_dir)
        return
    from canteen_demo.postgres import embedded_database

    with embedded_database(data_dir) as url, connected(url) as connection:
        with log_command(connection):
            yield connection
        _write_acts(connection, data_dir)


def _write_acts(connection: "psycopg.Connection", data_dir: Path) -> None:
    """Brings noted acts into the file where the ledger's key is here; else the process that serves does it."""
    from sync.ledger import keys
    from sync.ledger.receipt_keys import RECEIPT_KEY_NAME, read_receipt_keys
    from sync.ledger.recovery.acts import write_acts
    from sync.ledger.recovery.restoring import open_acts

    key_file = data_dir / RECEIPT_KEY_NAME
    if not key_file.exists() or not os.access(key_file, os.R_OK):
        return
    key = keys.load_or_create(key_file)
    in_force = read_receipt_keys(connection)[-1:]
    if all(known.raw == key.public_key().public_bytes_raw() for known in in_force):
        write_acts(connection, open_acts(data_dir, key))
