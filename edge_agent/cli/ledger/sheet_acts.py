"""`edge-agent ledger sheet`: what the sides do with a sheet: sign, object, confirm, close."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.ledger.sheet_options import (
    ByOption,
    MonthArgument,
    NumberOption,
    ProgrammeArgument,
    SideOption,
    print_outcome,
    read_file,
    read_subject,
    write_file,
)
from edge_agent.cli.options import JsonOption, out, print_document, print_json, print_table

if TYPE_CHECKING:
    from sync.money.sheet import RowKey


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
    from sync.ledger.billing.sheet_store import read_version

    subject = read_subject(school, programme, month, number)
    with open_ledger(data_dir, database_url) as connection:
        stored = read_version(connection, subject)
    write_file(target, stored.body)
    numbered = f" --number {number}" if number else ""
    document = {
        "file": str(target), "version": stored.version, "digest": stored.digest,
        "next": f"sign {target} detached, then"
        f" `edge-agent ledger sheet hand-in {school} {programme} {month} {target} SIGNATURE"
        f" --side SIDE --by NAME{numbered}`",
    }  # fmt: skip
    print_document(document, as_json)


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
    from sync.ledger.billing import sheets
    from sync.ledger.billing.sheet_signers import verify_signature
    from sync.ledger.server import utc_now

    content, signature = read_file(sheet_file), read_file(signature_file)
    trusted = read_file(authority) if authority else b""
    with open_ledger(data_dir, database_url) as connection:
        signed = verify_signature(connection, school, side, scheme, content, signature, trusted)
        subject = read_subject(school, programme, month, number)
        outcome = sheets.hand_in(connection, subject, signed, signature, by=by, now=utc_now())
    print_outcome(outcome, f"signature of {signed.signer} taken in", as_json)


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
    from sync.ledger.billing import sheets
    from sync.ledger.billing.sheet_store import read_version
    from sync.ledger.server import utc_now

    subject = read_subject(school, programme, month, number)
    with open_ledger(data_dir, database_url) as connection:
        digest = read_version(connection, subject).digest
        outcome = sheets.confirm(connection, subject, side, digest, by=by, now=utc_now())
    print_outcome(outcome, "confirmed, which is no signature", as_json)


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
    from sync.ledger.billing import sheet_work
    from sync.ledger.server import utc_now
    from sync.money.protocol import Objection

    objection = Objection(side, version, tuple(sorted(_parse_line(line) for line in lines)), text)
    with open_ledger(data_dir, database_url) as connection:
        subject = read_subject(school, programme, month, number)
        outcome = sheet_work.object_to(connection, subject, objection, by=by, now=utc_now())
    print_outcome(outcome, "objection kept, next version made; next: sign-request, for each side", as_json)


def _parse_line(text: str) -> "RowKey":
    person, _, session = text.rpartition(":") if ":" in text else (text, "", "")
    return person, session


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
    from sync.ledger.billing import sheet_work
    from sync.ledger.judgement.contests import list_contests
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        subject = read_subject(school, programme, month, number)
        outcome = sheet_work.close(connection, subject, by=by, now=utc_now(), digest=digest)
        contested = list_contests(connection, school, f"{month}-01", f"{month}-31", open_only=True)
        waiting = sheet_work.list_open_programmes(connection, subject)
    print_outcome(outcome, "closed", as_json)
    if waiting and not as_json:
        out.print(f"newer rosters count in {month} until these are closed, too: {', '.join(waiting)}", markup=False)
    for contest in contested if not as_json else ():
        entry = "/".join(map(str, contest.entry)) if contest.entry else "an entry is missing"
        out.print(f"open contest {contest.contest}: {contest.day} {contest.person}, {entry}", markup=False)


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
    from sync.ledger.billing.sheet_signers import add_signer, retire_signer
    from sync.ledger.billing.signatures import RegisteredSigner
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        if retire:
            retire_signer(connection, school, side, scheme, material, now=utc_now())
        else:
            add_signer(connection, school, side, RegisteredSigner(scheme, material, name), by=by, now=utc_now())
    out.print(f"{name}: {'retired' if retire else 'may sign'} for the {side.value} of {school}", markup=False)


def list_signers(
    school: SchoolArgument,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show who may sign a school's sheets, for which side, and by what they are recognised."""
    from sync.ledger.billing.sheet_signers import list_all_signers

    columns = ("side", "scheme", "material", "name")
    with open_ledger(data_dir, database_url) as connection:
        rows = [(side.value, one.scheme, one.material, one.name) for side, one in list_all_signers(connection, school)]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)
