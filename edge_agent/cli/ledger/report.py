"""`edge-agent ledger report`: visits and meals, and what a person should look at."""

from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, open_ledger
from edge_agent.cli.options import JsonOption, print_json, print_table
from edge_agent.errors import AgentError, ExitCode


def report(
    school: Annotated[list[str] | None, typer.Option(help="Only this school; may be repeated.")] = None,
    first: Annotated[str, typer.Option("--from", help="First day, as 2026-11-01; default: today.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day; default: the first day.")] = "",
    attendance: Annotated[str, typer.Option(help="Share of the entitled present on a usual day.")] = "0.938",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write the table here.")] = None,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show visits and meals by school, day, session and programme, and notices for a person to look at."""
    from dataclasses import asdict

    from sync.ledger.judgement import report as reports
    from sync.ledger.registry import schools
    from sync.ledger.server import utc_now

    begin = _day(first) if first else utc_now().date()
    end = _day(last) if last else begin
    with open_ledger(data_dir, database_url) as connection:
        made = reports.build_city_report(
            connection, school or schools.list_schools(connection), begin, end, now=utc_now(),
            attendance_factor=_share(attendance),
        )  # fmt: skip
    lines, notices = made.lines, made.notices
    if csv_file is not None:
        with csv_file.open("w", encoding="utf-8-sig", newline="") as target:  # Excel needs the mark to recognise UTF-8
            reports.write_csv(lines, target)
    if as_json:
        parts = {"lines": [asdict(line) for line in lines], "notices": [asdict(notice) for notice in notices]}
        print_json(parts | ({"guests": [asdict(line) for line in made.guests]} if made.guests else {}))
        return
    # A terminal has no room for more columns; --json and --csv have all of them.
    columns = ("school", "day", "session", "programme", "visits", "meals", "second", "held", "void", "manual", "check")
    print_table(columns, ([getattr(line, name) for name in columns] for line in lines))
    if made.guests:
        guest_columns = ("school", "day", "session", "payer", "entries", "meals", "void")
        print_table(guest_columns, ([getattr(line, name) for name in guest_columns] for line in made.guests))
    if notices:
        print_table(
            ("school", "look at", "count", "where", "operator"),
            ((notice.school, notice.kind, notice.count, notice.where, notice.operator) for notice in notices),
        )


class WrongArgument(AgentError):
    """A date or a share on the command line is wrong."""

    exit_code = ExitCode.USAGE


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise WrongArgument(f"{text!r} is no date", "write it as 2026-11-22") from error


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text)
    except InvalidOperation as error:
        raise WrongArgument(f"{text!r} is no share", "write it as 0.938") from error
    if not 0 <= share <= 1:
        raise WrongArgument(f"{text!r} is no share", "give a number from 0 to 1")
    return share
