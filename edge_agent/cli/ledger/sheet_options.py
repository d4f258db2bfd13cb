"""Arguments, files and outcomes that the commands on sheets share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import print_document
from edge_agent.errors import AgentError, ExitCode
from sync.money.protocol import SheetSide

if TYPE_CHECKING:
    from sync.ledger.billing.sheets import ActOutcome
    from sync.money.sheet import SheetSubject

ProgrammeArgument = Annotated[str, typer.Argument(help="The programme that pays, as in the tariffs.")]
MonthArgument = Annotated[str, typer.Argument(help="The month, as 2026-11.")]
NumberOption = Annotated[int, typer.Option(min=0, help="Of a correction sheet its number; 0: the month's own.")]
VersionOption = Annotated[int, typer.Option(min=0, help="An older version; 0: the one in force.")]
ByOption = Annotated[str, typer.Option(help="Your name, for the sheet's history.")]
SideOption = Annotated[SheetSide, typer.Option(help="The side that acts.")]


class WrongFile(AgentError):
    """A file on the command line cannot be read or written."""

    exit_code = ExitCode.USAGE


def read_subject(school: str, programme: str, month: str, number: int = 0) -> "SheetSubject":
    """Returns the sheet that the command line names. Raises TermsWrong for a wrong month."""
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


def print_outcome(outcome: "ActOutcome", done: str, as_json: bool) -> None:
    """Prints where a sheet stands after an act, and what was done."""
    process = outcome.process
    document = {
        "sheet": process.name, "state": process.state.value, "version": process.version, "digest": process.digest,
        "signed_by": " ".join(sorted(process.signatures)), "missing": " ".join(process.missing_sides),
        "done": "there already: nothing has changed" if outcome.recognised else done,
    }  # fmt: skip
    print_document(document, as_json)
