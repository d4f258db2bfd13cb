"""`edge-agent ledger account`: those who read the ledger's pages."""

from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, open_ledger
from edge_agent.cli.options import JsonOption, out, print_json

app = typer.Typer(no_args_is_help=True)

SchoolOption = Annotated[str, typer.Option(help="The school's id; nothing: for city and auditor.")]


@app.command()
def add(
    login: Annotated[str, typer.Argument(help="A short name: letters, digits, - and _.")],
    role: Annotated[str, typer.Option(help="school, caterer, city or auditor.")],
    name: Annotated[str, typer.Option(help="Who it is; the log of views shows it.")],
    password: Annotated[
        str,
        typer.Option(
            prompt=True, hide_input=True, confirmation_prompt=True, envvar="LEDGER_ACCOUNT_PASSWORD",
            help="At least 12 characters; it is asked for where it is not given.",
        ),
    ],
    school: SchoolOption = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Add a reader of the pages. The code for the phone and the recovery codes are shown only once."""
    from sync.ledger.pages import accounts

    with open_ledger(data_dir, database_url) as connection:
        fresh = accounts.add_account(connection, school, login, accounts.parse_role(role), name, password)
    full_login = f"{school}/{login}" if school else login
    if as_json:
        print_json({"login": full_login, "totp": fresh.totp_address, "recovery_codes": list(fresh.recovery_codes)})
        return
    codes = "\n  ".join(fresh.recovery_codes)
    out.print(
        f"login: {full_login}\nfor the phone: {fresh.totp_address}\nrecovery codes, each for one sign-in:\n  {codes}",
        markup=False, soft_wrap=True,
    )  # fmt: skip


@app.command()
def close(
    login: Annotated[str, typer.Argument(help="The login, without the school.")],
    school: SchoolOption = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Close an account and end its sessions. What it viewed stays in the log."""
    from sync.ledger.pages import accounts

    with open_ledger(data_dir, database_url) as connection:
        accounts.close_account(connection, school, login)
    out.print(f"{login}: closed", markup=False)
