"""`edge-agent ledger receipt-key`: the keys that receipts and answers are signed with."""

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, open_ledger
from edge_agent.cli.options import JsonOption, out, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="The keys that receipts and answers are signed with.")


@app.command()
def rotate(data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "") -> None:
    """Replace the key in the folder by a new one, which the old one vouches for. Running processes take it."""
    from sync.contract.receipt import fingerprint
    from sync.ledger.receipt_keys import KEY_CHAIN_NAME, RECEIPT_KEY_NAME, rotate_receipt_key
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        chain = rotate_receipt_key(connection, data_dir, utc_now())
    out.print(
        f"{fingerprint(chain[-1].raw)} is in force, vouched for by {fingerprint(chain[-2].raw)}; the processes of this "
        f"folder take it within a second; next: copy {RECEIPT_KEY_NAME} and {KEY_CHAIN_NAME} into the backup, and to "
        "the ledger's other folders where it has any",
        markup=False, soft_wrap=True,
    )  # fmt: skip


@app.command("list")
def list_all(
    data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "", as_json: JsonOption = False
) -> None:
    """Show the keys, oldest first; the last one is in force."""
    from sync.contract.receipt import fingerprint
    from sync.ledger.receipt_keys import read_receipt_keys

    with open_ledger(data_dir, database_url) as connection:
        chain = read_receipt_keys(connection)
    if as_json:
        print_json(chain)
        return
    print_table(("key", "since", "public key"), ((fingerprint(key.raw), key.since, key.public_key) for key in chain))
