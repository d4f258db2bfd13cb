"""`edge-agent ledger sheet`: the month's sheet, from its proposal to its closing and its corrections."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, open_ledger
from edge_agent.cli.options import JsonOption, out, print_document, print_json, print_table
from edge_agent.errors import AgentError, ExitCode
from sync.money.protocol import SheetSide

if TYPE_CHECKING:
    from sync.ledger.sheets import ActOutcome
    from sync.money.sheet import RowKey, Sheet, SheetSubject

app = typer.Typer(no_args_is_help=True, help="The sheet of a month: propose, sign, object, close, correct, show.")

SchoolArgument = Annotated[str, typer.Argument(help="The school's id.")]
ProgrammeArgument = Annotated[str, typer.Argument(help="The programme that pays, as in the tariffs.")]
MonthArgument = Annotated[str, typer.Argument(help="The month, as 2026-11.")]
NumberOption = Annotated[int, typer.Option(min=0, help="Of a correction sheet its number; 0: the month's own.")]
VersionOption = Annotated[int, typer.Option(min=0, help="An older version; 0: the one in force.")]
ByOption = Annotated[str, typer.Option(help="Your name, for the sheet's history.")]
SideOption = Annotated[SheetSide, typer.Option(help="The side that acts.")]


class WrongFile(AgentError):
    """A file on the command line cannot be read or written."""

    exit_code = ExitCode.USAGE


def _subject(school: str, programme: str, month: str, number: int = 0) -> "SheetSubject":
    from sync.money.months import Month
    from sync.money.sheet import SheetSubject

    return SheetSubject(school, programme, str(Month.parse(month)), number)


def read_file(path: Path) -> bytes:
    """Returns the bytes of a file named on the command line. Raises WrongFile."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongFile(f"{path}: {error.strerror}", "name a file that can be read") from error


def write_file(path: Path, content: bytes) -> None:
    """Writes a file named on the command line. Raises WrongFile."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise WrongFile(f"{path}: {error.strerror}", "name a file that can be written") from error


def _print_outcome(outcome: "ActOutcome", done: str, as_json: bool) -> None:
    process = outcome.process
    document = {
        "sheet": process.name, "state": process.state.value, "version": process.version, "digest": process.digest,
        "signed_by": " ".join(sorted(process.signatures)), "missing": " ".join(process.missing_sides),
        "done": "there already: nothing has changed" if outcome.recognised else done,
    }  # fmt: skip
    print_document(document, as_json)


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
    from sync.ledger import sheet_work
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        outcome = sheet_work.propose(connection, _subject(school, programme, month), by=by, now=utc_now())
    _print_outcome(outcome, "proposed; next: sign-request, for each side", as_json)


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
    from sync.ledger import schools, sheet_work
    from sync.ledger.server import utc_now

    rows: list[dict[str, object]] = []
    with open_ledger(data_dir, database_url) as connection:
        for name in school or schools.list_schools(connection):
            try:
                subject = _subject(name, programme, month)
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
    from sync.ledger import sheet_work
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        subject = _subject(school, programme, month)
        corrected, outcome = sheet_work.propose_correction(connection, subject, by=by, now=utc_now())
    _print_outcome(outcome, f"proposed; next: sign-request --number {corrected.number}, for each side", as_json)


@app.command("list")
def list_sheets(
    school: SchoolArgument,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show every sheet of a school and where it stands."""
    from sync.ledger.sheet_store import list_subjects, read_process

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
    from sync.ledger.sheet_store import read_acts, read_process, read_version
    from sync.money.canonical import decode_sheet
    from sync.money.layout import format_tenge

    subject = _subject(school, programme, month, number)
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
    from sync.ledger.sheet_store import read_version
    from sync.ledger.sheet_views import SheetFormat, SheetLanguage, load_form, read_names, render

    try:
        wanted, spoken = SheetFormat(target.suffix.lstrip(".").lower()), SheetLanguage(language)
    except ValueError as error:
        raise WrongFile(str(error), "name the file .csv, .xlsx, .html or .pdf, and the language kk or ru") from error
    columns = load_form(read_file(form).decode("utf-8", "replace") if form else "")
    subject = _subject(school, programme, month, number)
    with open_ledger(data_dir, database_url) as connection:
        stored = read_version(connection, subject, version)
        names = read_names(connection, subject, spoken, categories=categories)
    write_file(target, render(stored, names, columns, spoken, wanted))
    out.print(f"{target}: version {stored.version}, digest {stored.digest}", markup=False)


@app.command()
def form() -> None:
    """Print the example of a form's columns: edit it into the official form, and give it to `export --form`."""
    from sync.ledger.sheet_views import load_form_text

    out.print(load_form_text(), markup=False, end="", soft_wrap=True)


@app.command("sign-request")
def sign_request(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    target: Annotated[Path, typer.Argument(help="Where to write the bytes that are to be signed.")],
    number: NumberOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write the bytes of the version in force. Sign them with your own key, elsewhere; then `hand-in`."""
    from sync.ledger.sheet_store import read_version

    subject = _subject(school, programme, month, number)
    with open_ledger(data_dir, database_url) as connection:
        stored = read_version(connection, subject)
    write_file(target, stored.body)
    document = {
        "file": str(target), "version": stored.version, "digest": stored.digest,
        "next": f"sign {target} detached, then `edge-agent ledger sheet hand-in {school} {programme} {month}`",
    }  # fmt: skip
    print_document(document, as_json)


@app.command("hand-in")
def hand_in(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    sheet_file: Annotated[Path, typer.Argument(help="The signed bytes, as sign-request wrote them.")],
    signature_file: Annotated[Path, typer.Argument(help="The detached signature over them.")],
    side: SideOption,
    by: ByOption,
    scheme: Annotated[str, typer.Option(help="ed25519, cms, or the name of an installed verifier.")] = "cms",
    authority: Annotated[
        Path | None, typer.Option(help="Certificates and revocation lists of the trusted authority, PEM.")
    ] = None,
    number: NumberOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Hand in a side's signature. The same sheet again is recognised, another one is refused."""
    from sync.ledger import sheets
    from sync.ledger.server import utc_now
    from sync.ledger.sheet_signers import verify_signature

    content, signature = read_file(sheet_file), read_file(signature_file)
    trusted = read_file(authority) if authority else b""
    with open_ledger(data_dir, database_url) as connection:
        signed = verify_signature(connection, school, side, scheme, content, signature, trusted)
        subject = _subject(school, programme, month, number)
        outcome = sheets.hand_in(connection, subject, signed, signature, by=by, now=utc_now())
    _print_outcome(outcome, f"signature of {signed.signer} taken in", as_json)


@app.command()
def confirm(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    side: SideOption,
    by: ByOption,
    number: NumberOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Note that a person of a side has read the version in force. This is no signature."""
    from sync.ledger import sheets
    from sync.ledger.server import utc_now
    from sync.ledger.sheet_store import read_version

    subject = _subject(school, programme, month, number)
    with open_ledger(data_dir, database_url) as connection:
        digest = read_version(connection, subject).digest
        outcome = sheets.confirm(connection, subject, side, digest, by=by, now=utc_now())
    _print_outcome(outcome, "confirmed, which is no signature", as_json)


@app.command("object")
def object_to(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    lines: Annotated[list[str], typer.Argument(help="The lines, as `show` names them: PERSON:SESSION.")],
    side: SideOption,
    by: ByOption,
    text: Annotated[str, typer.Option(help="The reason, without names of children.")],
    version: Annotated[int, typer.Option(min=1, help="The version that you have read.")],
    number: NumberOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Object to lines of the version in force. The next version is made at once and names them."""
    from sync.ledger import sheet_work
    from sync.ledger.server import utc_now
    from sync.money.protocol import Objection

    objection = Objection(side, version, tuple(sorted(_parse_line(line) for line in lines)), text)
    with open_ledger(data_dir, database_url) as connection:
        subject = _subject(school, programme, month, number)
        outcome = sheet_work.object_to(connection, subject, objection, by=by, now=utc_now())
    _print_outcome(outcome, "objection kept, next version made; next: sign-request, for each side", as_json)


def _parse_line(text: str) -> "RowKey":
    person, _, session = text.rpartition(":") if ":" in text else (text, "", "")
    return person, session


@app.command()
def close(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    by: ByOption,
    digest: Annotated[str, typer.Option(help="The digest to close; default: of the version in force.")] = "",
    number: NumberOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Close what both sides have signed, as the city. It closes once; later rows go to a correction sheet.

    Contests of families that nobody has answered are listed: their meals are held, and are not on the sheet.
    """
    from sync.ledger import sheet_work
    from sync.ledger.contests import list_contests
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        subject = _subject(school, programme, month, number)
        outcome = sheet_work.close(connection, subject, by=by, now=utc_now(), digest=digest)
        contested = list_contests(connection, school, f"{month}-01", f"{month}-31", open_only=True)
    _print_outcome(outcome, "closed", as_json)
    for contest in contested if not as_json else ():
        entry = "/".join(map(str, contest.entry)) if contest.entry else "an entry is missing"
        out.print(f"open contest {contest.contest}: {contest.day} {contest.person}, {entry}", markup=False)


@app.command()
def signer(
    school: SchoolArgument,
    name: Annotated[str, typer.Argument(help="The signer's name, for the history.")],
    material: Annotated[
        str, typer.Argument(help="ed25519: the public key, 64 hex digits. cms: a subject's attribute, OU=BIN….")
    ],
    side: SideOption,
    by: ByOption,
    scheme: Annotated[str, typer.Option(help="ed25519, cms, or the name of an installed verifier.")] = "cms",
    retire: Annotated[bool, typer.Option("--retire", help="Take no further signature from this signer.")] = False,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Let somebody sign for a side. The ledger learns a public key or a certificate's subject, never a private key."""
    from sync.ledger.server import utc_now
    from sync.ledger.sheet_signers import add_signer, retire_signer
    from sync.ledger.signatures import RegisteredSigner

    with open_ledger(data_dir, database_url) as connection:
        if retire:
            retire_signer(connection, school, side, scheme, material, now=utc_now())
        else:
            add_signer(connection, school, side, RegisteredSigner(scheme, material, name), by=by, now=utc_now())
    out.print(f"{name}: {'retired' if retire else 'may sign'} for the {side.value} of {school}", markup=False)
