"""`edge-agent journal`: the records of this kiosk.

While the daemon runs, it answers, because it alone has the journal open. While it is stopped, this process reads the
file.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_table, show_local
from edge_agent.cli.progress import show_progress
from edge_agent.control import Arguments, ControlCommand, Row, ask
from edge_agent.control_api import (
    JOURNAL_BACKUP,
    JOURNAL_EXPORT,
    JOURNAL_LIST,
    JOURNAL_VERIFY,
    JOURNAL_VISITS,
    NO_ARGUMENTS,
    ChainVerdict,
    ExportedJournal,
    JournalCopy,
    JournalListArguments,
    JournalRow,
    JournalVisitsArguments,
)
from edge_agent.errors import AgentNotRunning, ExitCode, RequestRefused
from edge_agent.journal.backup import back_up_journal
from edge_agent.journal.damage.salvage import SalvagedJournal, read_all_epochs
from edge_agent.journal.export import export_journal, verify_export
from edge_agent.journal.offline import read_recent_offline
from edge_agent.journal.setting_aside import hand_to_kiosk
from edge_agent.journal.verify import verify_journal
from edge_agent.runtime.commands.journal import chain_verdict, journal_row
from edge_agent.runtime.opening import JOURNAL_NAME
from edge_agent.settings.reading import load_settings

app = typer.Typer(no_args_is_help=True)

TargetArgument = Annotated[Path, typer.Argument(help="The new file; it must not exist yet.")]
VERIFY_S = 3_600.0  # a large journal on a slow card


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """The answer of `journal salvage`. `--json` shows these names."""

    device: str  # empty: nothing can be read
    epoch: str
    acknowledged: int
    rows: int  # of the last epoch, that can be read
    proven: int  # of these, by the hash chain
    holes: tuple[tuple[int, int], ...]  # first and last row of each, behind the acknowledged one


@app.command("list")
def list_rows(
    config: ConfigOption = CONFIG_DEFAULT,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the last rows.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the last rows, oldest first."""

    def stopped(path: Path) -> Iterator[JournalRow]:
        return (journal_row(row) for row in reversed(read_recent_offline(path, limit)))

    rows = _ask_or_read(config, JOURNAL_LIST, JournalListArguments(limit=limit), stopped)
    if as_json:
        for row in rows:
            print_json(row)
        return
    zone = load_settings(config).settings.zone
    columns = ("epoch", "row", "at", "kind", "person", "session", "reader", "reason")
    print_table(columns, ((row.epoch[:6], row.seq, *_cells(row.event, zone)) for row in rows))


@app.command("visits")
def list_visits(
    day: Annotated[str, typer.Argument(help="The date, as 2026-11-27.")],
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show the visits of a day as they follow from this kiosk's rows, late ones in their place; the daemon must run."""
    settings = load_settings(config).settings
    visits = list(ask(settings.kiosk.run_dir, JOURNAL_VISITS, JournalVisitsArguments(day=day)))
    if as_json:
        print_json(visits)
        return
    columns = ("person", "session", "entered", "left", "claim", "closing", "row")
    rows = (
        (
            v.person, v.session, show_local(v.entered, settings.zone), show_local(v.left, settings.zone), v.claim,
            v.closing, f"{v.epoch[:6]}/{v.seq}",
        )
        for v in visits
    )  # fmt: skip
    print_table(columns, rows, title=None if visits else f"no visits on {day}")


@app.command()
def verify(
    config: ConfigOption = CONFIG_DEFAULT,
    export: Annotated[Path | None, typer.Option(help="Verify this export instead of the kiosk's own journal.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the whole chain. It names the first broken row, and the exit code is 1."""
    if export is not None:
        with show_progress("verify", "bytes") as note:
            verdict = chain_verdict(verify_export(export, note))
    else:

        def stopped(path: Path) -> Iterator[ChainVerdict]:
            with show_progress("verify", "rows") as note:
                yield chain_verdict(verify_journal(path, progress=note))

        (verdict,) = _ask_or_read(config, JOURNAL_VERIFY, NO_ARGUMENTS, stopped)
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
    """Write everything as JSON Lines, with the hashed bytes: everybody can check the chain."""
    _require_new(target)

    def stopped(path: Path) -> Iterator[ExportedJournal]:
        with show_progress("export", "rows") as note:
            yield ExportedJournal(path=str(target), rows=export_journal(path, target, note))

    (exported,) = _ask_or_read(config, JOURNAL_EXPORT, NO_ARGUMENTS, stopped)
    _move_file(Path(exported.path), target)
    out.print(f"{target}: {exported.rows} rows", markup=False)


@app.command()
def backup(target: TargetArgument, config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Copy the journal while it is in use. The copy is checked before the command succeeds."""
    _require_new(target)

    def stopped(path: Path) -> Iterator[JournalCopy]:
        with show_progress("backup", "rows") as note:
            yield JournalCopy(path=str(target), verdict=chain_verdict(back_up_journal(path, target, note)))

    (copy,) = _ask_or_read(config, JOURNAL_BACKUP, NO_ARGUMENTS, stopped)
    _move_file(Path(copy.path), target)
    out.print(f"{target}: {copy.verdict.rows} rows, every link holds", markup=False)


@app.command()
def salvage(
    file: Annotated[Path, typer.Argument(help="A damaged journal, with its -wal beside it if there is one.")],
    config: ConfigOption = CONFIG_DEFAULT,
    carry: Annotated[
        bool, typer.Option("--carry", help="Hand it to this kiosk: the next start brings its rows over.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a damaged journal still holds. It names every hole, and the exit code is 1 where there is one."""
    if not file.exists():
        raise RequestRefused(f"{file}: there is no such file", "name the damaged journal")
    found = next(iter(read_all_epochs(file)), SalvagedJournal(file))
    report = SalvageReport(
        device=found.epoch.device if found.epoch else "",
        epoch=found.epoch.id if found.epoch else "",
        acknowledged=found.acked.seq if found.acked else 0,
        rows=len(found.rows),
        proven=sum(row.proven for row in found.rows),
        holes=found.holes,
    )
    if as_json:
        print_json(report)
    elif found.epoch is None:
        out.print("nothing in it can be read: keep it, and send it to the ledger's operator")
    else:
        out.print(
            f"epoch {report.epoch} of {report.device}: {report.rows} rows can be read, {report.proven} are proven"
        )
        for first, last in report.holes:
            out.print(f"HOLE: rows {first} to {last} are missing")
    if carry:
        target = hand_to_kiosk(file, load_settings(config).settings.kiosk.state_dir / JOURNAL_NAME, _utc_now())
        out.print(f"{target}: the next start of the agent brings its rows over", markup=False)
    if found.epoch is None or found.holes:
        raise typer.Exit(ExitCode.FAILED)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _ask_or_read(
    config: Path,
    command: ControlCommand[Arguments, Row],
    arguments: Arguments,
    stopped: Callable[[Path], Iterator[Row]],
) -> Iterator[Row]:
    """Yields the daemon's rows; while it is stopped, the rows that `stopped` reads from the file."""
    kiosk = load_settings(config).settings.kiosk
    rows = ask(kiosk.run_dir, command, arguments, VERIFY_S)
    try:
        first = next(rows, None)
    except AgentNotRunning:
        try:
            yield from stopped(kiosk.state_dir / JOURNAL_NAME)
        except FileNotFoundError as error:
            raise RequestRefused(str(error), "is this the right --config?") from error
        return
    if first is not None:
        yield first
        yield from rows


def _require_new(target: Path) -> None:
    if target.exists():
        raise RequestRefused(f"{target} exists", "name a new file, nothing is overwritten")


def _move_file(source: Path, target: Path) -> None:
    """Moves the file to its target: the daemon writes into its own folder only."""
    if source != target:
        shutil.move(source, target)


def _cells(event: dict[str, object], zone: tzinfo) -> Iterator[object]:
    yield show_local(str(event.get("at", "")), zone)
    for name in ("kind", "person", "session", "reader", "reason"):
        yield event.get(name, "")
