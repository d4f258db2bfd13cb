"""`edge-agent ledger calendar` and `tariff`: the terms of money, as data."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.ledger.privileged import find_actor
from edge_agent.cli.ledger.sheet_options import ByOption, WrongFile, read_file
from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.errors import AgentError, ExitCode

if TYPE_CHECKING:
    import psycopg

    from sync.ledger.billing.terms import ImportedTerms

calendar_app = typer.Typer(no_args_is_help=True, help="School years: the taught days that a sheet counts.")
tariff_app = typer.Typer(no_args_is_help=True, help="Programmes, prices and categories.")


class WrongDay(AgentError):
    """A day on the command line is none."""

    exit_code = ExitCode.USAGE


FileArgument = Annotated[Path, typer.Argument(help="The file: TOML.")]
SchoolsOption = Annotated[list[str] | None, typer.Option("--school", help="Only this school; may be repeated.")]


@calendar_app.command("import")
def import_calendar(
    file: FileArgument,
    by: ByOption,
    school: SchoolsOption = None,
    six_days: Annotated[bool, typer.Option("--six-days", help="These schools teach on Saturdays.")] = False,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Bring a calendar into force, as its newest version."""
    from sync.ledger.billing import terms
    from sync.ledger.server import utc_now
    from sync.money.calendars import read_calendar, take_six_days

    calendar = read_calendar(read_text(file))
    if six_days:
        calendar = take_six_days(calendar)
    with open_ledger(data_dir, database_url) as connection:
        imported = [
            terms.import_calendar(connection, each, calendar, by=by, now=utc_now())
            for each in _schools(connection, school)
        ]
    _print_imported(imported, as_json)


@calendar_app.command("list")
def list_calendars(
    school: SchoolArgument,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the calendars in force at a school, with the taught days of each month."""
    from sync.ledger.billing import terms
    from sync.money.months import Month

    with open_ledger(data_dir, database_url) as connection:
        calendars = terms.read_calendars(connection, school)
    rows = []
    for calendar in calendars:
        month = Month(calendar.first.year, calendar.first.month)
        while calendar.speaks_for(month):
            taught = len(calendar.find_taught_days(month))
            rows.append({"calendar": calendar.id, "kind": calendar.kind, "month": str(month), "taught_days": taught})
            month = Month(month.year + month.number // 12, month.number % 12 + 1)
    if as_json:
        print_json(rows)
    else:
        columns = ("calendar", "kind", "month", "taught_days")
        print_table(columns, ([row[name] for name in columns] for row in rows))


@tariff_app.command("import")
def import_tariff(
    file: FileArgument,
    by: ByOption,
    school: SchoolsOption = None,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Bring programmes and prices into force, as the newest version."""
    from sync.ledger.billing import terms
    from sync.ledger.server import utc_now
    from sync.money.tariffs import read_tariffs

    book = read_tariffs(read_text(file))
    with open_ledger(data_dir, database_url) as connection:
        imported = [
            terms.import_tariffs(connection, each, book, by=by, now=utc_now()) for each in _schools(connection, school)
        ]
    _print_imported(imported, as_json)


@tariff_app.command("categories")
def import_categories(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV with the columns person and category.")],
    school: Annotated[str, typer.Option(help="The school's id.")],
    first: Annotated[
        str,
        typer.Option("--from", help="The day from which they are in force, as 2026-11-01; else of what is not closed."),
    ] = "",
    by: Annotated[str, typer.Option(help="Your name; else that of your login.")] = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Bring the opaque categories of a school's people into force, as their newest version.

    A price may depend on one, no sheet shows it. The file names everybody who has one. Without --from it counts from
    the day after the last month of which a sheet is closed. A day in a closed month makes a correction sheet of that.
    """
    from sync.ledger.billing.categories import import_categories
    from sync.ledger.server import utc_now

    categories, start = read_category_file(file), read_day(first)
    with open_ledger(data_dir, database_url) as connection:
        done = import_categories(
            connection, school, categories, by=by or find_actor(context), now=utc_now(), first=start
        )
    since = "on every day" if done.first == date.min else f"from {done.first} on"
    news = f"version {done.version}, in force {since}" if done.changed else f"as in version {done.version}"
    out.print(f"{school}: {done.people} people with a category; {news}", markup=False)
    if done.corrected:
        months = ", ".join(done.corrected)
        out.print(
            f"closed already: {months}; where a price differs, correct it with `edge-agent ledger sheet correction`",
            markup=False,
        )
    if done.erased:
        out.print(
            f"{done.erased} lines name nobody of this school, or people who were erased: they are passed over",
            markup=False,
        )


def read_category_file(file: Path) -> dict[str, str]:
    """Returns the category of each person in a CSV file. Raises WrongFile that names the line."""
    import csv

    lines = read_text(file).splitlines()
    table = csv.DictReader(lines, delimiter=";" if lines and "," not in lines[0] else ",")
    if not {"person", "category"} <= set(table.fieldnames or ()):
        raise WrongFile(f"{file} has no columns person and category", "write them in its first line")
    categories: dict[str, str] = {}
    for row in table:
        person = (row["person"] or "").strip()
        if not person or person in categories:
            fault = f"{person} stands twice" if person else "there is no person"
            raise WrongFile(f"{file} line {table.line_num}: {fault}", "correct the line; nothing was imported")
        categories[person] = (row["category"] or "").strip()
    return categories


def read_day(text: str) -> date | None:
    """Returns the day in a text like 2026-11-01; None for an empty one. Raises WrongDay."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise WrongDay(f"{text!r} is no day", "write it as 2026-11-01") from error


def read_text(file: Path) -> str:
    """Returns the text of a file named on the command line. Raises WrongFile."""
    try:
        return read_file(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongFile(f"{file} is no UTF-8 text", "save it as UTF-8") from error


def _schools(connection: "psycopg.Connection", named: list[str] | None) -> list[str]:
    from sync.ledger.registry import schools

    return named or schools.list_schools(connection)


def _print_imported(imported: "list[ImportedTerms]", as_json: bool) -> None:
    rows = [
        {
            "school": done.school, "name": done.name, "version": done.version, "changed": done.changed,
            "digest": done.digest,
        }
        for done in imported
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        columns = ("school", "name", "version", "changed", "digest")
        print_table(columns, ([row[name] for name in columns] for row in rows))
