"""`edge-agent ledger export` and `verify`: a sheet that an auditor proves from files alone."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.ledger.key_files import open_log_key
from edge_agent.cli.ledger.proof import read_note_key
from edge_agent.cli.options import JsonOption, out, print_json
from edge_agent.errors import AgentError, ExitCode

LINES_A_FILE = "one file for each kind of line"


class UnusableFiles(AgentError):
    """Files of an export cannot be read or written."""

    exit_code = ExitCode.USAGE


def export(
    school: SchoolArgument,
    programme: Annotated[str, typer.Argument(help="The programme of the sheet.")],
    month: Annotated[str, typer.Argument(help="The month, as 2026-11.")],
    folder: Annotated[Path, typer.Option("--to", help=f"A new folder: {LINES_A_FILE}.")],
    witness_key: Annotated[str, typer.Option(help="The witness's key: its cosignatures must be there.")] = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Write everything from which a month's sheet can be proved, without names, for `ledger verify`."""
    from sync.audit.archive import encode_line
    from sync.ledger.keys import load_or_create
    from sync.ledger.receipt_keys import RECEIPT_KEY_NAME
    from sync.ledger.server import utc_now
    from sync.ledger.transparency.archive_export import export_sheet
    from sync.money.sheet import SheetSubject

    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UnusableFiles(f"{folder}: {error.strerror}", "name a new folder") from error
    signer = open_log_key(data_dir)
    receipts_key = load_or_create(data_dir / RECEIPT_KEY_NAME).public_key().public_bytes_raw()
    with open_ledger(data_dir, database_url) as connection:
        lines = export_sheet(
            connection, SheetSubject(school, programme, month), signer, receipts_key=receipts_key,
            witness_key=read_note_key(witness_key) if witness_key else None, now=utc_now(),
        )  # fmt: skip
    contents: dict[str, list[bytes]] = {}
    for line in lines:
        contents.setdefault(f"{line.__struct_config__.tag}.ndjson", []).append(encode_line(line))
    for name, texts in contents.items():
        (folder / name).write_bytes(b"".join(texts))
    out.print(
        f"{len(lines)} lines in {folder}; next: `edge-agent ledger verify {folder}/*`", markup=False, soft_wrap=True
    )


def verify(
    files: Annotated[list[Path], typer.Argument(help="All files of one export.")],
    ledger_key: Annotated[str, typer.Option(help="The ledger's key, from elsewhere than the export.")] = "",
    witness_key: Annotated[str, typer.Option(help="The witness's key, from elsewhere than the export.")] = "",
    authority: Annotated[
        Path | None, typer.Option(help="The authority's certificates, PEM: checks CMS signatures as of their hand-in.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove from exported files alone that a sheet follows from the events, and that nothing was changed.

    Names the first line that does not hold.
    """
    from zoneinfo import ZoneInfo

    from sync.audit.archive import AuditFailure
    from sync.audit.audit import TrustedKeys, audit_files
    from sync.ledger.billing.signatures import AuthorityCheck

    try:
        contents = {path.name: path.read_bytes() for path in files}
        cms = AuthorityCheck(authority.read_bytes()) if authority else None
    except OSError as error:
        raise UnusableFiles(str(error), "name the files that `edge-agent ledger export` wrote") from error
    if len(contents) != len(files):
        raise UnusableFiles("two files of one name", "name the files of one export")
    trusted = TrustedKeys(
        read_note_key(ledger_key) if ledger_key else None, read_note_key(witness_key) if witness_key else None
    )
    try:
        report = audit_files(contents, trusted, ZoneInfo, cms)
    except AuditFailure as failure:
        if as_json:
            place = failure.place
            print_json({
                "holds": False, "file": place.file if place else "", "number": place.number if place else 0,
                "reason": failure.reason,
            })  # fmt: skip
        else:
            out.print(f"DOES NOT HOLD: {failure}", markup=False, soft_wrap=True)
        sys.exit(ExitCode.FAILED)
    if as_json:
        print_json({"holds": True, "steps": report.steps, "unproved": report.unproved})
        return
    for step in report.steps:
        out.print(f"holds: {step}", markup=False, soft_wrap=True)
    for open_question in report.unproved:
        out.print(f"not proved by these files, a person must see to it: {open_question}", markup=False, soft_wrap=True)
