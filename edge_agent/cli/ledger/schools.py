"""`edge-agent ledger school`, `enrol-code`, `codes`, `devices`, `log` and `suspend`: schools and their kiosks."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.errors import AgentError, ExitCode


class WrongTime(AgentError):
    """A time on the command line is wrong."""

    exit_code = ExitCode.USAGE


def school(
    school: Annotated[str, typer.Argument(help="A short id: letters, digits, - and _.")],
    name: Annotated[str, typer.Argument(help="The name that people use.")],
    timezone: Annotated[str, typer.Option(help="IANA name of its time zone.")] = "Asia/Almaty",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Add a school, or rename it."""
    from sync.ledger.registry import schools

    with open_ledger(data_dir, database_url) as connection:
        schools.add_school(connection, school, name, timezone)
    out.print(f"{school}: {name}; next: `edge-agent ledger enrol-code {school}`", markup=False)


def enrol_code(
    school: SchoolArgument,
    name: Annotated[str, typer.Option(help="A name for the kiosk: `left door`.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=24 * 30, help="For how many hours the code is valid.")] = 72,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a one-time code that gives one kiosk its identity. The code is shown only once."""
    from sync.ledger.registry import schools
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        code = schools.issue_code(connection, school, name, utc_now(), timedelta(hours=hours))
    if as_json:
        print_json({"school": school, "code": code, "hours": hours})
    else:
        out.print(
            f"{code}\nvalid once within {hours} hours; on the kiosk run: `edge-agent register URL {code}`", markup=False
        )


def codes(
    school: SchoolArgument,
    withdraw: Annotated[str, typer.Option(help="Let this code give no identity, by its name in the list.")] = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show a school's one-time codes, by a name of theirs and never the code itself; or withdraw one."""
    from dataclasses import asdict

    from sync.ledger.registry.enrolment_codes import list_codes, withdraw_code
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        if withdraw:
            withdraw_code(connection, school, withdraw, utc_now())
        rows = list_codes(connection, school, utc_now())
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("code", "kiosk", "made", "expires", "used by", "state"),
        (
            (
                row.name, row.kiosk, row.created_at.isoformat(timespec="minutes"),
                row.expires_at.isoformat(timespec="minutes"), row.device, row.state.value,
            )
            for row in rows
        ),
    )  # fmt: skip


def devices(
    data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "", as_json: JsonOption = False
) -> None:
    """Show every kiosk: its delivered events, and the time of its last contact."""
    from dataclasses import asdict

    from sync.ledger.registry import schools

    with open_ledger(data_dir, database_url) as connection:
        rows = schools.list_devices(connection)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("school", "device", "name", "status", "events", "missing", "last heard", ""),
        (
            (
                row.school, row.device, row.name, row.status, row.seq, row.missing,
                row.last_heard.isoformat(timespec="seconds") if row.last_heard else "never",
                "TWO KIOSKS WITH ONE IDENTITY" if row.twins else "",
            )
            for row in rows
        ),
    )  # fmt: skip


def log(
    school: Annotated[str, typer.Argument(help="Only of this school; else of all.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what operators did: who, what, on which school, when."""
    from dataclasses import asdict

    from sync.ledger.registry.privileged_acts import list_acts

    with open_ledger(data_dir, database_url) as connection:
        rows = list_acts(connection, school or None, limit)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("when", "who", "school", "act", "on"),
        ((row.done_at.isoformat(timespec="seconds"), row.done_by, row.school, row.act, row.subject) for row in rows),
    )


def suspend(
    device: Annotated[str, typer.Argument(help="The kiosk's id.")],
    lift: Annotated[bool, typer.Option("--lift", help="Accept its requests again.")] = False,
    since: Annotated[str, typer.Option(help="From then on its entries are held: 2026-11-22T09:00+05:00.")] = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Refuse a kiosk's requests from now on. It goes on recording; claims of that time are held."""
    from sync.ledger.registry import schools

    try:
        moment = datetime.fromisoformat(since).astimezone() if since else None
    except ValueError as error:
        raise WrongTime(f"{since!r} is no time", "write it as 2026-11-22T09:00+05:00") from error
    with open_ledger(data_dir, database_url) as connection:
        schools.set_status(connection, device, "active" if lift else "suspended", since=moment)
    out.print(f"{device}: {'active' if lift else 'suspended'}", markup=False)
