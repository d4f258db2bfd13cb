"""`edge-agent journal`: what this kiosk has recorded.

While the daemon runs it is asked, for it alone has the journal open; while it is stopped, the file is read here.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from edge_agent import settings
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_table
from edge_agent.control import Arguments, ControlCommand, Row, ask
from edge_agent.control_api import (
    JOURNAL_BACKUP,
    JOURNAL_EXPORT,
    JOURNAL_LIST,
    JOURNAL_VERIFY,
    NO_ARGUMENTS,
    ExportedJournal,
    JournalCopy,
    JournalListArguments,
    JournalRow,
)
from edge_agent.errors import AgentNotRunning, ExitCode, RequestRefused
from edge_agent.journal.backup import back_up_journal
from edge_agent.journal.export import export_journal, verify_export
from edge_agent.journal.offline import read_recent_offline
from edge_agent.journal.verify import verify_journal
from edge_agent.runtime.commands.journal import chain_verdict, journal_row
from edge_agent.runtime.opening import JOURNAL_NAME

app = typer.Typer(no_args_is_help=True)

TargetArgument = Annotated[Path, typer.Argument(help="Where to write it; must not exist yet.")]
VERIFY_S = 3_600.0  # a large journal on a slow card


@app.command("list")
def list_rows(
    config: ConfigOption = CONFIG_DEFAULT,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the last rows.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The last rows, oldest first."""

    def stopped(path: Path) -> Iterator[JournalRow]:
        return (journal_row(row) for row in reversed(read_recent_offline(path, limit)))

    rows = _either(config, JOURNAL_LIST, JournalListArguments(limit=limit), stopped)
    if as_json:
        for row in rows:
            print_json(row)
        return
    columns = ("epoch", "row", "at (UTC)", "kind", "person", "session", "reader", "reason")
    print_table(columns, ((row.epoch[:6], row.seq, *_cells(row.event)) for row in rows))


@app.command()
def verify(
    config: ConfigOption = CONFIG_DEFAULT,
    export: Annotated[Path | None, typer.Option(help="Verify this export instead of the kiosk's own journal.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the whole chain; the first broken row is named, and the exit code is 1."""
    if export is not None:
        verdict = chain_verdict(verify_export(export))
    else:
        (verdict,) = _either(
            config, JOURNAL_VERIFY, NO_ARGUMENTS, lambda path: iter([chain_verdict(verify_journal(path))])
        )
    if as_json:
        print_json(verdict)
    elif verdict.broken is None:
        out.print(f"whole: {verdict.rows} rows in {verdict.epochs} epochs, every link holds")
    else:
        broken = verdict.broken
        out.print(f"BROKEN at epoch {broken.epoch} row {broken.seq}: {broken.what}", markup=False)
        out.print("Keep this journal: `edge-agent journal backup FILE`, and send it to the ledger's operator.")
    if verdict.broken is not None:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def export(target: TargetArgument, config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Write everything as JSON Lines: bytes as they were hashed, so that anyone can walk the chain."""
    _fresh(target)

    def stopped(path: Path) -> Iterator[ExportedJournal]:
        yield ExportedJournal(path=str(target), rows=export_journal(path, target))

    (answer,) = _either(config, JOURNAL_EXPORT, NO_ARGUMENTS, stopped)
    _fetch(Path(answer.path), target)
    out.print(f"{target}: {answer.rows} rows", markup=False)


@app.command()
def backup(target: TargetArgument, config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Copy the journal while it is in use; the copy is verified before it counts."""
    _fresh(target)

    def stopped(path: Path) -> Iterator[JournalCopy]:
        yield JournalCopy(path=str(target), verdict=chain_verdict(back_up_journal(path, target)))

    (answer,) = _either(config, JOURNAL_BACKUP, NO_ARGUMENTS, stopped)
    _fetch(Path(answer.path), target)
    out.print(f"{target}: {answer.verdict.rows} rows, every link holds", markup=False)


def _either(
    config: Path,
    command: ControlCommand[Arguments, Row],
    arguments: Arguments,
    stopped: Callable[[Path], Iterator[Row]],
) -> Iterator[Row]:
    """The daemon's answer, or what is read here while there is none."""
    kiosk = settings.load_settings(config).settings.kiosk
    answers = ask(kiosk.run_dir, command, arguments, VERIFY_S)
    try:
        first = next(answers, None)
    except AgentNotRunning:
        try:
            yield from stopped(kiosk.state_dir / JOURNAL_NAME)
        except FileNotFoundError as error:
            raise RequestRefused(f"{error}; is this the right --config?") from error
        return
    if first is not None:
        yield first
        yield from answers


def _fresh(target: Path) -> None:
    if target.exists():
        raise RequestRefused(f"{target} exists; name a new file, nothing is overwritten")


def _fetch(source: Path, target: Path) -> None:
    """The daemon writes in its own folder only; bring the file to where it was asked for."""
    if source != target:
        shutil.move(source, target)


def _cells(event: dict[str, object]) -> Iterator[object]:
    for name in ("at", "kind", "person", "session", "reader", "reason"):
        yield event.get(name, "")
