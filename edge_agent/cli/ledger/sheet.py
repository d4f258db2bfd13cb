"""`edge-agent ledger sheet`: the month's sheet, made and shown."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger import sheet_acts
from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.ledger.sheet_options import (
    ByOption,
    MonthArgument,
    NumberOption,
    ProgrammeArgument,
    VersionOption,
    WrongFile,
    print_outcome,
    read_file,
    read_subject,
    write_file,
)
from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.errors import ExitCode

if TYPE_CHECKING:
    from sync.money.sheet import Sheet

app = typer.Typer(no_args_is_help=True, help="The sheet of a month: propose, sign, object, close, correct, show.")
app.command("sign-request")(sheet_acts.sign_request)
app.command("hand-in")(sheet_acts.hand_in)
app.command()(sheet_acts.confirm)
app.command("object")(sheet_acts.object_to)
app.command()(sheet_acts.close)
app.command()(sheet_acts.signer)
app.command("signers")(sheet_acts.list_signers)


@app.command()
def propose(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    by: ByOption,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make the sheet from the ledger's rows as they stand; where they have changed, its next version."""
    from sync.ledger.billing import sheet_work
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        outcome = sheet_work.propose(connection, read_subject(school, programme, month), by=by, now=utc_now())
    print_outcome(outcome, "proposed; next: sign-request, for each side", as_json)


@app.command("propose-all")
def propose_all(
    programme: ProgrammeArgument,
    month: MonthArgument,
    by: ByOption,
    school: Annotated[list[str] | None, typer.Option(help="Only this school; may be repeated.")] = None,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make the sheets of all schools. A school whose sheet cannot be made is named, and the others go on."""
    from sync.errors import SyncError
    from sync.ledger.billing import sheet_work
    from sync.ledger.registry import schools
    from sync.ledger.server import utc_now

    rows: list[dict[str, object]] = []
    with open_ledger(data_dir, database_url) as connection:
        for name in school or schools.list_schools(connection):
            try:
                subject = read_subject(name, programme, month)
                process = sheet_work.propose(connection, subject, by=by, now=utc_now()).process
            except SyncError as error:
                rows.append({"school": name, "state": "", "version": 0, "digest": "", "problem": str(error)})
                continue
            rows.append({
                "school": name, "state": process.state.value, "version": process.version, "digest": process.digest,
                "problem": "",
            })  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        columns = ("school", "state", "version", "digest", "problem")
        print_table(columns, ([row[name] for name in columns] for row in rows))
    if any(row["problem"] for row in rows):
        sys.exit(ExitCode.FAILED)


@app.command()
def correction(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    by: ByOption,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make the next correction sheet of a closed month: only the differences, with a number of its own."""
    from sync.ledger.billing import sheet_work
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        subject = read_subject(school, programme, month)
        corrected, outcome = sheet_work.propose_correction(connection, subject, by=by, now=utc_now())
    print_outcome(outcome, f"proposed; next: sign-request --number {corrected.number}, for each side", as_json)


@app.command("list")
def list_sheets(
    school: SchoolArgument,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show every sheet of a school and where it stands."""
    from sync.ledger.billing.sheet_store import list_subjects, read_process

    with open_ledger(data_dir, database_url) as connection:
        pairs = [(subject, read_process(connection, subject)) for subject in list_subjects(connection, school)]
    rows = [
        {
            "month": subject.month, "programme": subject.programme, "number": subject.number,
            "state": process.state.value, "version": process.version, "missing": " ".join(process.missing_sides),
            "digest": process.digest,
        }
        for subject, process in pairs
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        columns = ("month", "programme", "number", "state", "version", "missing", "digest")
        print_table(columns, ([row[name] for name in columns] for row in rows))


@app.command()
def show(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    number: NumberOption = 0,
    version: VersionOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show a sheet by its opaque ids, its sums, and everything that was done with it."""
    from sync.ledger.billing.sheet_store import read_acts, read_process, read_version
    from sync.money.canonical import decode_sheet
    from sync.money.layout import format_tenge

    subject = read_subject(school, programme, month, number)
    with open_ledger(data_dir, database_url) as connection:
        stored, acts = read_version(connection, subject, version), read_acts(connection, subject)
        state = read_process(connection, subject).state
    sheet = decode_sheet(stored.body)
    history = [
        {
            "at": act.done_at.isoformat(timespec="seconds"), "act": act.kind, "version": act.version, "side": act.side,
            "by": act.done_by, "signer": act.signer, "note": act.note,
            "lines": " ".join(f"{person}:{session}" for person, session in act.lines),
        }
        for act in acts
    ]  # fmt: skip
    if as_json:
        print_json({
            "sheet": str(subject), "state": state.value, "version": stored.version, "digest": stored.digest,
            "meals": sheet.meals, "tiyn": sheet.tiyn, "rows": _describe_rows(sheet), "acts": history,
        })  # fmt: skip
        return
    columns = ("line", "days", "meals", "tiyn", "absent", "down", "held", "pending", "outside")
    print_table(columns, ([row[name] for name in columns] for row in _describe_rows(sheet)), title=str(subject))
    out.print(
        f"{state.value}, version {stored.version}: {sheet.meals} meals, {format_tenge(sheet.tiyn)} tenge\n"
        f"digest {stored.digest}",
        markup=False,
    )
    headings = ("at", "act", "version", "side", "by", "signer", "note", "lines")
    print_table(headings, ([act[name] for name in headings] for act in history))


def _describe_rows(sheet: "Sheet") -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "line": f"{row.person}:{row.session}", "days": _numbers(row.days), "meals": len(row.days), "tiyn": row.tiyn,
            "absent": len(row.absent), "down": len(row.down), "held": _numbers(row.held),
            "pending": _numbers(row.pending), "outside": _numbers(row.outside),
        }
        for row in sheet.rows
    ]  # fmt: skip
    rows += [
        {
            "line": f"{row.person}:{row.session}", "tiyn": row.tiyn, "meals": len(row.added) - len(row.dropped),
            "days": " ".join([*(f"+{day}" for day in row.added), *(f"-{day}" for day in row.dropped)]),
            "absent": "", "down": "", "held": "", "pending": "", "outside": "",
        }
        for row in sheet.corrections
    ]  # fmt: skip
    return rows


def _numbers(days: tuple[int, ...]) -> str:
    return " ".join(map(str, days))


@app.command()
def export(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    target: Annotated[Path, typer.Argument(help="The file to write: .csv, .xlsx, .html or .pdf.")],
    language: Annotated[str, typer.Option(help="kk or ru.")] = "kk",
    form: Annotated[Path | None, typer.Option(help="The columns, TOML; see `edge-agent ledger sheet form`.")] = None,
    categories: Annotated[bool, typer.Option("--categories", help="Join categories: not for a caterer.")] = False,
    number: NumberOption = 0,
    version: VersionOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Write a sheet for people, with names and classes: a table, a workbook, or pages to print, one class each."""
    from sync.ledger.billing.sheet_store import read_version
    from sync.ledger.billing.sheet_views import SheetFormat, SheetLanguage, load_form, read_names, render

    try:
        wanted, spoken = SheetFormat(target.suffix.lstrip(".").lower()), SheetLanguage(language)
    except ValueError as error:
        raise WrongFile(str(error), "name the file .csv, .xlsx, .html or .pdf, and the language kk or ru") from error
    columns = load_form(read_file(form).decode("utf-8", "replace") if form else "")
    subject = read_subject(school, programme, month, number)
    with open_ledger(data_dir, database_url) as connection:
        stored = read_version(connection, subject, version)
        names = read_names(connection, subject, spoken, categories=categories)
    write_file(target, render(stored, names, columns, spoken, wanted))
    out.print(f"{target}: version {stored.version}, digest {stored.digest}", markup=False)


@app.command()
def form() -> None:
    """Print the example of a form's columns: edit it into the official form, and give it to `export --form`."""
    from sync.ledger.billing.sheet_views import load_form_text

    out.print(load_form_text(), markup=False, end="", soft_wrap=True)
