"""`edge-agent roster`: people, cards and meal sessions, in the ledger or, for a kiosk without a network, here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edge_agent import identity, settings
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs, print_table
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, ROSTER_APPLY, ROSTER_RECORDS, ROSTER_SHOW, RosterApplyArguments
from edge_agent.errors import AgentError, AgentNotRunning, RequestRefused
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.process.clock import KernelClock
from edge_agent.runtime.opening import JOURNAL_NAME
from edge_agent.settings import Settings
from sync.contract.oneroster.build import import_roster
from sync.contract.oneroster.tables import ExportRefused
from sync.contract.roster import Record, RosterPage, record_type
from sync.contract.roster_diff import RosterComparison, TooManyVanished, compare_rosters, refuse_vanished_pupils
from sync.ledger.roster_files import read_export

app = typer.Typer(no_args_is_help=True)

ExportArgument = Annotated[Path, typer.Argument(help="Folder or zip of a OneRoster 1.2 export.", exists=True)]
OrgOption = Annotated[str, typer.Option(help="The school's id in the export, where it differs from the one here.")]
LocalOption = Annotated[bool, typer.Option("--local", help="This kiosk, which has no ledger yet.")]
VanishOption = Annotated[float, typer.Option(min=0, max=1, help="Share of pupils that may vanish at once.")]
DataOption = Annotated[Path, typer.Option("--data", envvar="LEDGER_DATA", help="The ledger's folder.")]
DatabaseOption = Annotated[str, typer.Option("--database-url", envvar="LEDGER_DATABASE_URL", help="Its PostgreSQL.")]
SchoolsOption = Annotated[list[str] | None, typer.Option("--school", help="Only this school; may be repeated.")]
DATA_DEFAULT = Path("/var/lib/edge-agent-ledger/data")


class ImportRefused(AgentError):
    """The export was read and not taken; nothing has changed."""


@contextmanager
def _refusals() -> Iterator[None]:
    """Every fault of the export, a line each."""
    try:
        yield
    except ExportRefused as refused:
        lines = "\n".join(map(str, refused.faults))
        raise ImportRefused(f"{lines}\nnothing was imported: {len(refused.faults)} faults, listed above") from refused
    except TooManyVanished as gone:
        raise ImportRefused(f"nothing was imported: {gone} (--vanish)") from gone


@app.command("import")
def import_export(
    export: ExportArgument,
    local: LocalOption = False,
    school: SchoolsOption = None,
    org: OrgOption = "",
    vanish: VanishOption = 0.1,
    data: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Bring a roster into force, whole or not at all; every fault of the export is named with file, line and column."""
    with _refusals():
        if local:
            _import_here(export, org, vanish, config, as_json)
        else:
            _import_into_ledger(export, school or (), org, vanish, data, database_url, as_json, dry_run=False)


@app.command()
def diff(
    export: ExportArgument,
    local: LocalOption = False,
    school: SchoolsOption = None,
    org: OrgOption = "",
    data: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show what an import would change, and change nothing."""
    with _refusals():
        if local:
            _told("", _built(export, org, _school(settings.load_settings(config).settings), _here(config)), as_json)
        else:
            _import_into_ledger(export, school or (), org, 1.0, data, database_url, as_json, dry_run=True)


@app.command()
def show(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """The roster in force on this kiosk: version, age, how many of each kind, what is wrong with it."""
    (answer,) = ask(settings.load_settings(config).settings.kiosk.run_dir, ROSTER_SHOW, NO_ARGUMENTS)
    if as_json:
        print_json(answer)
        return
    print_pairs({"school": answer.school, "version": answer.version, "age_s": answer.age_s, **answer.records})
    if answer.problems:
        rows = ((problem.type, problem.id, problem.what) for problem in answer.problems)
        print_table(("type", "id", "to correct"), rows)


def _import_into_ledger(
    export: Path, schools: Sequence[str], org: str, vanish: float, data: Path, url: str, as_json: bool, *, dry_run: bool
) -> None:
    from edge_agent.cli import ledger

    ledger.extra()
    from sync.ledger.roster_import import import_export as into_ledger

    files = read_export(export)
    with ledger.open_ledger(data, url) as connection:
        imported = into_ledger(
            connection, files, schools, date=_today(), org=org, vanish_share_max=vanish, dry_run=dry_run
        )
    for each in imported:
        _told(each.school, each.difference, as_json, each.version)
        for note in each.notes if not as_json else ():
            out.print(f"{each.school}: {note}", markup=False)


def _import_here(export: Path, org: str, vanish: float, config: Path, as_json: bool) -> None:
    loaded = settings.load_settings(config).settings
    school, before = _school(loaded), _here(config)
    built = import_roster(read_export(export), school, date=_today(), org=org, timezone=loaded.kiosk.timezone)
    changed = compare_rosters(before, built.records)
    refuse_vanished_pupils(changed, before, vanish)
    version = int(datetime.now(UTC).timestamp())  # rises from import to import, and below any ledger's own count
    page = RosterPage(school=school, since=0, version=version, changes=built.records, whole=True)
    try:
        (answer,) = ask(loaded.kiosk.run_dir, ROSTER_APPLY, RosterApplyArguments(page=page))
        version = answer.version
    except AgentNotRunning:
        with _stopped_journal(loaded) as journal:
            journal.roster.apply((page,), datetime.now(UTC))
    _told(school, changed, as_json, version)
    for note in built.notes if not as_json else ():
        out.print(note, markup=False)


def _built(export: Path, org: str, school: str, before: Sequence[Record]) -> RosterComparison:
    return compare_rosters(before, import_roster(read_export(export), school, date=_today(), org=org).records)


def _here(config: Path) -> list[Record]:
    """The roster in force on this kiosk, asked of the daemon or read from the journal."""
    loaded = settings.load_settings(config).settings
    try:
        return list(ask(loaded.kiosk.run_dir, ROSTER_RECORDS, NO_ARGUMENTS))
    except AgentNotRunning:
        with _stopped_journal(loaded) as journal:
            return journal.roster.records()


@contextmanager
def _stopped_journal(loaded: Settings) -> Iterator[Journal]:
    state_dir = loaded.kiosk.state_dir
    me = identity.read_identity(state_dir, loaded.kiosk.school)
    if me.registration is not None:
        raise RequestRefused("this kiosk gets its roster from the ledger; import it there")
    kiosk = KioskIdentity(me.device, me.key.public_bytes, me.school)
    with Journal.open(state_dir / JOURNAL_NAME, kiosk, now=KernelClock(), ballast_bytes=0) as journal:
        yield journal


def _school(loaded: Settings) -> str:
    if not loaded.kiosk.school:
        raise RequestRefused("this kiosk does not know its school; set kiosk.school in the settings")
    return loaded.kiosk.school


def _told(school: str, changed: RosterComparison, as_json: bool, version: int = 0) -> None:
    """Counts for people, ids for machines; never a card's number."""
    after = [record for _, record in changed.changed]
    groups = {"added": changed.added, "changed": after, "removed": changed.removed}
    if as_json:
        ids = {name: [f"{record_type(each)} {each.id}" for each in records] for name, records in groups.items()}
        print_json({"school": school, "version": version, **ids})
    else:
        counts = {name: len(records) for name, records in groups.items()}
        print_pairs({"school": school, "version": version or "unchanged", **counts})


def _today() -> str:
    return datetime.now(UTC).astimezone().date().isoformat()
