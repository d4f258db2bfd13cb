"""`edge-agent ledger`: the central ledger, for its operators and its readers."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.errors import AgentError, ExitCode
from edge_agent.process.shutdown import ShutdownFlag

if TYPE_CHECKING:
    import psycopg

app = typer.Typer(no_args_is_help=True)

DataOption = Annotated[
    Path, typer.Option("--data", envvar="LEDGER_DATA", help="The ledger's folder: its key, and its own PostgreSQL.")
]
DatabaseOption = Annotated[
    str,
    typer.Option("--database-url", envvar="LEDGER_DATABASE_URL", help="A PostgreSQL of yours instead of its own."),
]
DATA_DEFAULT = Path("/var/lib/edge-agent-ledger/data")


class LedgerExtraMissing(AgentError):
    """The packages of the ledger are not installed."""


@app.callback()
def require_ledger_extra() -> None:
    """The central ledger: serve it, read it, check it."""
    missing = [name for name in ("psycopg", "psycopg_pool") if find_spec(name) is None]
    if missing:
        raise LedgerExtraMissing(f"{' and '.join(missing)} not installed", "pip install 'canteen-edge-agent[ledger]'")


@contextmanager
def open_ledger(data_dir: Path, database_url: str) -> "Iterator[psycopg.Connection]":
    """Yields a connection to the ledger's database: the named one, or else the one in the data folder."""
    from sync.ledger.server import connected

    if database_url:
        with connected(database_url) as connection:
            yield connection
        return
    from canteen_demo.postgres import embedded_database

    with embedded_database(data_dir) as url, connected(url) as connection:
        yield connection


@app.command()
def serve(
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8460,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain, PEM.")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="How many requests a second the ledger accepts.")] = 200.0,
) -> None:
    """Run the ledger until SIGTERM or Ctrl-C."""
    from sync.ledger.server import LedgerOptions, serve_until

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    ending = ShutdownFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    options = LedgerOptions(
        folder=data_dir, host=host, port=port, certificate=certificate, certificate_key=certificate_key,
        rate_per_s=rate, burst=int(2 * rate),
    )  # fmt: skip

    def announce(url: str) -> None:
        out.print(f"ledger at {url}", markup=False)

    if database_url:
        serve_until(ending.wait, database_url, options, announce)
        return
    from canteen_demo.postgres import EmbeddedPostgres

    with EmbeddedPostgres(data_dir) as postgres:
        serve_until(ending.wait, postgres.url, options, announce, postgres.revive)


@app.command()
def school(
    school: Annotated[str, typer.Argument(help="A short id: letters, digits, - and _.")],
    name: Annotated[str, typer.Argument(help="The name that people use.")],
    timezone: Annotated[str, typer.Option(help="IANA name of its time zone.")] = "Asia/Almaty",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Add a school, or rename it."""
    from sync.ledger import schools

    with open_ledger(data_dir, database_url) as connection:
        schools.add_school(connection, school, name, timezone)
    out.print(f"{school}: {name}; next: `edge-agent ledger enrol-code {school}`", markup=False)


@app.command("enrol-code")
def enrol_code(
    school: Annotated[str, typer.Argument(help="The school's id.")],
    name: Annotated[str, typer.Option(help="A name for the kiosk: `left door`.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=24 * 30, help="For how many hours the code is valid.")] = 72,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a one-time code that gives one kiosk its identity. The code is shown only once."""
    from sync.ledger import schools
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        code = schools.issue_code(connection, school, name, utc_now(), timedelta(hours=hours))
    if as_json:
        print_json({"school": school, "code": code, "hours": hours})
    else:
        out.print(
            f"{code}\nvalid once within {hours} hours; on the kiosk run: `edge-agent register URL {code}`", markup=False
        )


@app.command()
def devices(
    data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "", as_json: JsonOption = False
) -> None:
    """Show every kiosk: its delivered events, and the time of its last contact."""
    from dataclasses import asdict

    from sync.ledger import schools

    with open_ledger(data_dir, database_url) as connection:
        rows = schools.list_devices(connection)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("school", "device", "name", "status", "events", "last heard", ""),
        (
            (
                row.school, row.device, row.name, row.status, row.seq,
                row.last_heard.isoformat(timespec="seconds") if row.last_heard else "never",
                "TWO KIOSKS WITH ONE IDENTITY" if row.twins else "",
            )
            for row in rows
        ),
    )  # fmt: skip


@app.command()
def suspend(
    device: Annotated[str, typer.Argument(help="The kiosk's id.")],
    lift: Annotated[bool, typer.Option("--lift", help="Accept its requests again.")] = False,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Refuse a kiosk's requests from now on. The kiosk goes on recording."""
    from sync.ledger import schools

    with open_ledger(data_dir, database_url) as connection:
        schools.set_status(connection, device, "active" if lift else "suspended")
    out.print(f"{device}: {'active' if lift else 'suspended'}", markup=False)


@app.command()
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

    from sync.ledger import report as reports
    from sync.ledger import schools
    from sync.ledger.server import utc_now

    begin = _day(first) if first else utc_now().date()
    end = _day(last) if last else begin
    with open_ledger(data_dir, database_url) as connection:
        by_school = [
            reports.build_report(connection, name, begin, end, now=utc_now(), attendance_factor=_share(attendance))
            for name in school or schools.list_schools(connection)
        ]
    lines = [line for school_report in by_school for line in school_report.lines]
    notices = [notice for school_report in by_school for notice in school_report.notices]
    if csv_file is not None:
        with csv_file.open("w", encoding="utf-8-sig", newline="") as target:  # Excel needs the mark to recognise UTF-8
            reports.write_csv(lines, target)
    if as_json:
        print_json({"lines": [asdict(line) for line in lines], "notices": [asdict(notice) for notice in notices]})
        return
    # A terminal has no room for more columns; --json and --csv have all of them.
    columns = ("school", "day", "session", "programme", "visits", "meals", "second", "held", "void", "manual", "check")
    print_table(columns, ([getattr(line, name) for name in columns] for line in lines))
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


@app.command()
def conformance(
    url: Annotated[str, typer.Argument(help="The ledger's address: https://ledger.example")],
    code: Annotated[str, typer.Argument(help="A one-time code of a test school there.")],
    certificate: Annotated[
        Path | None, typer.Option("--ca", help="PEM of the authority that signed its certificate.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check any ledger against the contract, as a kiosk of a test school. It writes test events into the ledger."""
    from dataclasses import asdict

    from sync.ledger.conformance import check_ledger

    results = check_ledger(url, code, certificate)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        print_table(("", "check", "found"), (("ok" if r.ok else "FAILS", r.name, r.detail) for r in results))
    if not all(result.ok for result in results):
        sys.exit(ExitCode.FAILED)
