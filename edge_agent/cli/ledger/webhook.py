"""`edge-agent ledger webhook`: addresses that hear of a school's visits."""

from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.options import JsonOption, out, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Addresses that hear of a school's visits.")


@app.command()
def add(
    school: SchoolArgument,
    url: Annotated[str, typer.Argument(help="Where to: https://host/path")],
    hosts: Annotated[list[str], typer.Option("--webhook-host", help="A host that is allowed; may be repeated.")],
    by: Annotated[str, typer.Option(help="Who wishes it.")] = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Let an address hear of visits from now on: signed, with opaque ids, retried until it answers 2xx."""
    from sync.ledger.server import utc_now
    from sync.ledger.transparency import webhooks

    with open_ledger(data_dir, database_url) as connection:
        name = webhooks.add_webhook(connection, school, url, hosts, by=by, now=utc_now())
    out.print(f"{name}: {url}", markup=False)


@app.command()
def retire(
    school: SchoolArgument,
    webhook: Annotated[str, typer.Argument(help="Its name, as `list` shows it.")],
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Tell an address nothing more."""
    from sync.ledger.server import utc_now
    from sync.ledger.transparency import webhooks

    with open_ledger(data_dir, database_url) as connection:
        webhooks.retire_webhook(connection, school, webhook, utc_now())
    out.print(f"{webhook}: hears nothing more", markup=False)


@app.command("list")
def list_all(
    school: SchoolArgument,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the addresses, and what has not arrived there."""
    from dataclasses import asdict

    from sync.ledger.transparency import webhooks

    with open_ledger(data_dir, database_url) as connection:
        rows = webhooks.list_webhooks(connection, school)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("webhook", "url", "waiting", "failing", "given up"),
        ((row.webhook, row.url, row.waiting, row.failing, row.given_up) for row in rows),
    )
