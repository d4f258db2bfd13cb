"""`edge-agent ledger settle`, `reverse` and `officer`: the ledger's judgement, and the persons who decide otherwise."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, open_ledger
from edge_agent.cli.ledger.key_files import (
    WrongKeyFile,
    format_decision_time,
    make_key,
    read_private_key,
    read_public_key,
)
from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.errors import AgentError, ExitCode

officer_app = typer.Typer(no_args_is_help=True, help="Named persons who may decide about claims.")

SchoolOption = Annotated[str, typer.Option(help="The school's id.")]


class WrongDecision(AgentError):
    """A decision on the command line is none."""

    exit_code = ExitCode.USAGE


def settle(
    school: Annotated[list[str] | None, typer.Option(help="Only this school; may be repeated.")] = None,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Judge the days again on which something new has come. A report or a sheet does it by itself."""
    from sync.ledger.judgement.days import settle_days
    from sync.ledger.registry import schools
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        settled = {
            name: settle_days(connection, name, now=utc_now()) for name in school or schools.list_schools(connection)
        }
    if as_json:
        print_json([{"school": name, "days": days} for name, days in settled.items()])
        return
    print_table(("school", "days judged"), ((name, ", ".join(days) or "none") for name, days in settled.items()))


def reverse(
    event: Annotated[str, typer.Argument(help="The entry, as notices and pages show it: DEVICE/EPOCH/NUMBER.")],
    claim: Annotated[str, typer.Option(help="claimable, none, held or pending.")],
    reason: Annotated[str, typer.Option(help="Why, without names; it stands beside the claim for years.")],
    key: Annotated[Path, typer.Option(help="Your private key, PEM. It is read here and goes nowhere.")],
    programme: Annotated[str, typer.Option(help="Who pays, where the roster does not say it.")] = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Decide about one entry's claim, by name and signature."""
    from sync.contract.event import Claim
    from sync.contract.reversals import BadReversal, Reversal, sign_reversal
    from sync.ledger.judgement.reversals import find_officer, store_reversal
    from sync.ledger.registry.schools import parse_school
    from sync.ledger.server import utc_now

    private_key = read_private_key(key)
    public_key = private_key.public_key().public_bytes_raw()
    device, epoch, seq = _parse_event(event)
    school = parse_school(device)
    now = utc_now()
    with open_ledger(data_dir, database_url) as connection:
        officer = find_officer(connection, school, public_key)
        try:
            decided_at = format_decision_time(now)
            body, signature = sign_reversal(
                Reversal(
                    school=school, device=device, epoch=epoch, seq=seq, claim=Claim(claim), reason=reason,
                    officer=officer.officer, decided_at=decided_at, programme=programme,
                ),
                private_key,
            )  # fmt: skip
        except (BadReversal, ValueError) as error:
            raise WrongDecision(str(error), "choose claimable, none, held or pending, and give a reason") from error
        store_reversal(connection, body, signature, public_key, now)
    if as_json:
        print_json({"event": event, "claim": claim, "officer": officer.officer, "decided_at": decided_at})
        return
    out.print(f"{event}: {claim}, decided by {officer.name}; the next report or sheet shows it", markup=False)


@officer_app.command("add")
def add_officer(
    officer: Annotated[str, typer.Argument(help="A short id: letters, digits, - and _.")],
    school: SchoolOption,
    name: Annotated[str, typer.Option(help="The person's name.")],
    role: Annotated[str, typer.Option(help="school, city, caterer or auditor; only school and city decide.")],
    public_key: Annotated[Path | None, typer.Option(help="The person's Ed25519 public key, PEM.")] = None,
    new_key: Annotated[Path | None, typer.Option(help="Make a key pair; the private key goes into this file.")] = None,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Register a person's public key. The private one stays with that person."""
    from sync.ledger.judgement import reversals
    from sync.ledger.server import utc_now

    if (public_key is None) == (new_key is None):
        raise WrongKeyFile("one key is needed", "give either --public-key or --new-key")
    key = read_public_key(public_key) if public_key else make_key(new_key) if new_key else b""
    with open_ledger(data_dir, database_url) as connection:
        reversals.add_officer(connection, school, officer, name=name, role=role, public_key=key, now=utc_now())
    hint = f"; the private key is in {new_key}: hand it to {name}, and keep no copy" if new_key else ""
    out.print(f"{officer}: {name}, {role} of {school}{hint}", markup=False)


@officer_app.command("retire")
def retire_officer(
    officer: Annotated[str, typer.Argument(help="The person's id.")],
    school: SchoolOption,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """End a person's right to decide. Earlier decisions stay."""
    from sync.ledger.judgement import reversals
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        reversals.retire_officer(connection, school, officer, utc_now())
    out.print(f"{officer}: decides no more", markup=False)


@officer_app.command("list")
def list_officers(
    school: SchoolOption, data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Show who may decide, and who might once."""
    from sync.ledger.judgement import reversals

    with open_ledger(data_dir, database_url) as connection:
        officers = reversals.list_officers(connection, school)
    rows = [
        {
            "officer": officer.officer, "name": officer.name, "role": officer.role,
            "public_key": officer.public_key.hex(),
            "retired_at": officer.retired_at.isoformat(timespec="seconds") if officer.retired_at else "",
        }
        for officer in officers
    ]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    print_table(("officer", "name", "role", "key", "retired"), (list(row.values()) for row in rows))


def _parse_event(text: str) -> tuple[str, str, int]:
    device, _, rest = text.partition("/")
    epoch, _, number = rest.rpartition("/")
    if not device or not epoch or not number.isdecimal():
        raise WrongDecision(f"{text!r} names no entry", "write it as DEVICE/EPOCH/NUMBER, as notices show it")
    return device, epoch, int(number)
