"""`edge-agent ledger payer`: the payer's own count against ours, and meals against lessons."""

import csv
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.ledger.money import read_text
from edge_agent.cli.ledger.sheet_options import (
    ByOption,
    MonthArgument,
    NumberOption,
    ProgrammeArgument,
    WrongFile,
    read_file,
)
from edge_agent.cli.options import JsonOption, out, print_json, print_table

if TYPE_CHECKING:
    from sync.money.differences import UnmatchedLine
    from sync.money.payer_file import PayerSheet

app = typer.Typer(no_args_is_help=True, help="The payer's count against ours, line by line.")

FileArgument = Annotated[Path, typer.Argument(help="The payer's file: CSV or XLSX.")]
MapOption = Annotated[Path, typer.Option("--map", help="How to read its columns: TOML, see docs/sheets.md.")]
KeyOption = Annotated[
    Path | None, typer.Option("--key-file", help="The key of the payer's numbers; it is read and not kept.")
]


@app.command("hash")
def hash_numbers(
    file: Annotated[Path, typer.Argument(help="CSV with the columns number and person.")],
    key_file: Annotated[Path, typer.Option("--key-file", help="The key, at least 16 bytes.")],
    for_roster: Annotated[
        bool, typer.Option("--for-roster", help="As the file payer_numbers.csv of a roster export.")
    ] = False,
) -> None:
    """Print the keyed hashes of the payer's numbers, as `payer numbers` takes them. Run it where the numbers are."""
    from sync.money.payer_people import hash_number

    key = _read_key(key_file)
    rows = _read_rows(file, "number", "person")
    hashed = [(hash_number(row["number"], key), row["person"]) for row in rows]
    out.print("userSourcedId,numberHash" if for_roster else "number_hash,person", markup=False)
    for number_hash, person in hashed:
        line = f"{person},{number_hash}" if for_roster else f"{number_hash},{person}"
        out.print(line, markup=False, soft_wrap=True)


@app.command()
def numbers(
    file: Annotated[Path, typer.Argument(help="CSV with the columns number_hash and person.")],
    school: Annotated[str, typer.Option(help="The school's id.")],
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Replace the keyed hashes of a school's people. The numbers themselves never come to the ledger."""
    from sync.ledger.billing.payers import replace_numbers

    rows = _read_rows(file, "number_hash", "person")
    with open_ledger(data_dir, database_url) as connection:
        count = replace_numbers(connection, school, ((row["number_hash"], row["person"]) for row in rows))
    out.print(f"{school}: {count} keyed hashes", markup=False)


@app.command("map")
def store_column_map(
    file: Annotated[Path, typer.Argument(help="The map: TOML, see docs/sheets.md.")],
    by: ByOption,
    school: Annotated[list[str] | None, typer.Option(help="Only this school; may be repeated.")] = None,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Keep a map of columns for the pages, at every school or at the named ones."""
    from sync.ledger.billing.column_maps import store_map
    from sync.ledger.registry import schools
    from sync.ledger.server import utc_now
    from sync.money.payer_file import read_payer_map

    column_map = read_payer_map(read_text(file))
    with open_ledger(data_dir, database_url) as connection:
        wanted = school or schools.list_schools(connection)
        for name in wanted:
            store_map(connection, name, column_map, by=by, now=utc_now())
    out.print(f"{column_map.id}: kept at {len(wanted)} schools", markup=False)


@app.command()
def confirm(
    school: SchoolArgument,
    month: MonthArgument,
    file: FileArgument,
    column_map: MapOption,
    by: ByOption,
    key_file: KeyOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show them.")] = False,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Confirm, in your name, every name and class in the file that fits exactly one person of the roster."""
    from sync.ledger.billing.payers import confirm_names, read_matcher
    from sync.ledger.server import utc_now

    payer = _read_payer(file, column_map, month)
    children = [meal.child for meal in payer.meals]
    with open_ledger(data_dir, database_url) as connection:
        proposed = read_matcher(connection, school, _read_key(key_file)).propose_names(children)
        if proposed and not dry_run:
            confirm_names(connection, school, proposed, by=by, now=utc_now())
    rows = [{"name": name, "class": group, "person": person} for (name, group), person in sorted(proposed.items())]
    if as_json:
        print_json(rows)
    else:
        print_table(("name", "class", "person"), ([row["name"], row["class"], row["person"]] for row in rows))


@app.command()
def compare(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    file: FileArgument,
    column_map: MapOption,
    key_file: KeyOption = None,
    made_at: Annotated[str, typer.Option(help="When the payer counted, UTC: 2026-12-01T09:00. Later is late.")] = "",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write the lines here.")] = None,
    number: NumberOption = 0,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Explain every line in which the payer's sheet and ours differ, with the events that show it."""
    from sync.ledger.billing.other_count import compare_with_payer
    from sync.ledger.server import utc_now
    from sync.money.sheet import SheetSubject

    payer, key, counted = _read_payer(file, column_map, month), _read_key(key_file), _read_time(made_at)
    with open_ledger(data_dir, database_url) as connection:
        subject = SheetSubject(school, programme, month, number)
        comparison = compare_with_payer(connection, subject, payer, key=key, now=utc_now(), made_at=counted)
    rows: list[dict[str, object]] = [
        {
            "person": line.person, "day": line.day.isoformat(), "session": line.session, "why": line.kind.value,
            "ours": line.ours, "theirs": line.theirs, "lines": " ".join(map(str, line.lines)),
            "events": " ".join("/".join(map(str, event)) for event in line.events), "note": line.note,
        }
        for line in comparison.differences
    ]  # fmt: skip
    if csv_file is not None:
        _write_csv(csv_file, rows)
    unmatched = _describe_unmatched(comparison.unmatched)
    if as_json:
        totals = {"ours": comparison.ours_total, "theirs": comparison.theirs_total}
        print_json({"differences": rows, "unmatched": unmatched, "totals": totals})
        return
    columns = ("person", "day", "session", "why", "ours", "theirs", "lines", "events", "note")
    print_table(columns, ([row[name] for name in columns] for row in rows))
    _print_unmatched(unmatched)
    out.print(f"ours {comparison.ours_total}, theirs {comparison.theirs_total}, differing lines {len(rows)}")


@app.command()
def lessons(
    school: SchoolArgument,
    programme: ProgrammeArgument,
    month: MonthArgument,
    file: Annotated[Path, typer.Argument(help="Who was at lessons: CSV or XLSX.")],
    column_map: MapOption,
    key_file: KeyOption = None,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set meals against presence at lessons, for the days in the file. What does not fit is a question."""
    from sync.ledger.billing.other_count import compare_with_lessons
    from sync.ledger.server import utc_now
    from sync.money.sheet import SheetSubject

    presence, key = _read_payer(file, column_map, month), _read_key(key_file)
    with open_ledger(data_dir, database_url) as connection:
        subject = SheetSubject(school, programme, month)
        comparison = compare_with_lessons(connection, subject, presence, key=key, now=utc_now())
    rows = [
        {
            "day": line.day.isoformat(), "person": line.person, "look_at": line.kind.value,
            "events": " ".join("/".join(map(str, event)) for event in line.events),
        }
        for line in comparison.differences
    ]  # fmt: skip
    unmatched = _describe_unmatched(comparison.unmatched)
    if as_json:
        print_json({"differences": rows, "unmatched": unmatched})
        return
    print_table(("day", "person", "look at", "events"), (list(row.values()) for row in rows))
    _print_unmatched(unmatched)


def _read_payer(file: Path, column_map: Path, month: str) -> "PayerSheet":
    from sync.ledger.billing.other_count import read_payer_file
    from sync.money.months import Month
    from sync.money.payer_file import read_payer_map

    return read_payer_file(file.name, read_file(file), read_payer_map(read_text(column_map)), Month.parse(month))


def _read_key(file: Path | None) -> bytes:
    """Returns the key without the line break at its end; without a file none, and numbers match nobody."""
    if file is None:
        return b""
    key = read_file(file).strip()
    if len(key) < 16:
        raise WrongFile(f"{file} holds a key of {len(key)} bytes", "take at least 16, drawn by chance")
    return key


def _read_time(text: str) -> datetime | None:
    from datetime import UTC

    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongFile(f"{text!r} is no time", "write it as 2026-12-01T09:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_rows(file: Path, *columns: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(read_text(file).splitlines()))
    if not rows or not set(columns) <= rows[0].keys():
        raise WrongFile(f"{file} has no columns {' and '.join(columns)}", "write them in its first line")
    return rows


def _write_csv(file: Path, rows: list[dict[str, object]]) -> None:
    from sync.money.neutral import neutralise

    try:
        with file.open("w", encoding="utf-8-sig", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(rows[0].keys() if rows else ())
            writer.writerows([neutralise(str(cell)) for cell in row.values()] for row in rows)
    except OSError as error:
        raise WrongFile(f"{file}: {error.strerror}", "name a file that can be written") from error


def _describe_unmatched(lines: "tuple[UnmatchedLine, ...]") -> list[dict[str, object]]:
    return [
        {
            "line": line.line, "meals": line.count, "why": line.what or (line.fault.value if line.fault else ""),
            "may_be": " ".join(line.candidates),
        }
        for line in lines
    ]  # fmt: skip


def _print_unmatched(rows: list[dict[str, object]]) -> None:
    if rows:
        columns = ("line", "meals", "why", "may_be")
        print_table(columns, ([row[name] for name in columns] for row in rows), title="cannot be matched")
