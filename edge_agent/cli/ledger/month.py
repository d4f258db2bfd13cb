"""`edge-agent ledger month`: the months of events, and what becomes of old ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, open_ledger
from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.cli.progress import show_progress
from edge_agent.errors import AgentError

if TYPE_CHECKING:
    from sync.ledger.intake.month_anchors import MonthFileCheck
    from sync.ledger.intake.month_detaching import UnlinkedEvent

app = typer.Typer(no_args_is_help=True, help="The months in which events came, and files of old ones.")

MonthFileArgument = Annotated[Path, typer.Argument(help="The file of a detached month.", exists=True, dir_okay=False)]


class ChainBroken(AgentError):
    """Events do not follow from each other, or from what the ledger has signed."""


@app.command("list")
def list_all(
    data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "", as_json: JsonOption = False
) -> None:
    """Show the months that are here, and those ahead."""
    from sync.ledger.intake.event_months import list_months

    with open_ledger(data_dir, database_url) as connection:
        months = list_months(connection)
    if as_json:
        print_json(months)
        return
    print_table(("month",), ((month,) for month in months))


@app.command()
def detach(
    month: Annotated[str, typer.Argument(help="The oldest month that is here, as 2025-09.")],
    file: Annotated[Path, typer.Argument(help="Where its events go; the file must not be there.")],
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Move the events of a closed month into a file. Signed anchors stay. Runs beside the ledger's key."""
    from sync.ledger.intake.month_detaching import detach_month
    from sync.ledger.receipt_keys import claim_receipt_key
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        key = claim_receipt_key(connection, data_dir, utc_now())
        done = detach_month(connection, month, file, key)
    out.print(f"{done.events} events of {done.epochs} epochs are in {file}; copy it into the backup", markup=False)


@app.command()
def check(
    file: MonthFileArgument, data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Check a detached month's file against the anchors that the ledger has signed."""
    from sync.ledger.intake.month_detaching import check_file

    with open_ledger(data_dir, database_url) as connection:
        checked = check_file(connection, file)
    _print_check(checked, as_json)


@app.command()
def attach(file: MonthFileArgument, data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "") -> None:
    """Put the events of a detached month back, so that its days can be judged again."""
    from sync.ledger.intake.month_detaching import attach_month

    with open_ledger(data_dir, database_url) as connection, show_progress("attach", "events") as note:
        done = attach_month(connection, file, note)
    out.print(f"{done.events} events of {done.month} are back", markup=False)


@app.command()
def verify(data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "", as_json: JsonOption = False) -> None:
    """Walk the chain of every event that is here, from its genesis or the anchor of a detached month."""
    from sync.ledger.intake.month_detaching import find_broken_links
    from sync.ledger.registry.schools import list_schools

    with open_ledger(data_dir, database_url) as connection:
        schools = list_schools(connection)
        broken: list[UnlinkedEvent] = []
        with show_progress("verify", "schools") as note:
            for number, school in enumerate(schools, 1):
                broken += find_broken_links(connection, school)
                note(number, len(schools))
    if as_json:
        print_json(broken)
    else:
        print_table(("kiosk", "epoch", "event"), ((link.device, link.epoch, link.seq) for link in broken))
    if broken:
        raise ChainBroken(f"{len(broken)} events do not follow from the ones before them", "compare with the backup")


def _print_check(checked: "MonthFileCheck", as_json: bool) -> None:
    if as_json:
        print_json(checked)
    elif not checked.faults:
        out.print(f"{checked.month}: {checked.events} events of {checked.epochs} epochs, all as signed", markup=False)
    if checked.faults:
        raise ChainBroken("\n".join(checked.faults), "take the file from another copy of the backup")
