"""`edge-agent roster`: people, cards and meal sessions, in the ledger or on a kiosk without one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edge_agent import identity
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs, print_table
from edge_agent.cli.progress import show_progress
from edge_agent.cli.roster_codes import seal_codes
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, ROSTER_APPLY, ROSTER_RECORDS, ROSTER_SHOW, RosterApplyArguments
from edge_agent.domain.people_search import find_people
from edge_agent.errors import AgentError, AgentNotRunning, RequestRefused
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.process.clock import KernelClock
from edge_agent.runtime.opening import JOURNAL_NAME
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import Settings
from sync.contract.oneroster.build import import_roster
from sync.contract.oneroster.tables import ExportRefused
from sync.contract.roster import Person, Record, RosterPage, record_type
from sync.contract.roster_diff import RosterComparison, TooManyVanished, compare_rosters, refuse_vanished_pupils
from sync.ledger.registry.roster_files import read_export

app = typer.Typer(no_args_is_help=True)

ExportArgument = Annotated[Path, typer.Argument(help="Folder or zip of a OneRoster 1.2 export.", exists=True)]
OrgOption = Annotated[str, typer.Option(help="The school's id in the export, if it differs from ours.")]
LocalOption = Annotated[bool, typer.Option("--local", help="Import into this kiosk, which has no ledger yet.")]
VanishOption = Annotated[float, typer.Option(min=0, max=1, help="Share of pupils that may vanish at once.")]
KeepIdsOption = Annotated[
    bool,
    typer.Option("--keep-ids", help="New people keep the source's id: kiosks began with a roster from a stick."),
]
DataOption = Annotated[Path, typer.Option("--data", envvar="LEDGER_DATA", help="The ledger's folder.")]
DatabaseOption = Annotated[
    str, typer.Option("--database-url", envvar="LEDGER_DATABASE_URL", help="Its PostgreSQL's URL.")
]
SchoolsOption = Annotated[list[str] | None, typer.Option("--school", help="Only this school; may be repeated.")]
DATA_DEFAULT = Path("/var/lib/edge-agent-ledger/data")


class ImportRefused(AgentError):
    """The export was read and not imported; nothing has changed."""


@contextmanager
def _translate_refusals() -> Iterator[None]:
    """Turns the refusals of an import into an ImportRefused that names every fault on its own line."""
    try:
        yield
    except ExportRefused as refused:
        lines = "\n".join(map(str, refused.faults))
        raise ImportRefused(
            f"{lines}\nnothing was imported: correct the {len(refused.faults)} faults above in the export"
        ) from refused
    except TooManyVanished as vanished:
        step = "if that is right, raise --vanish"
        raise ImportRefused(f"nothing was imported: {vanished}", step) from vanished


@app.command("import")
def import_export(
    export: ExportArgument,
    local: LocalOption = False,
    school: SchoolsOption = None,
    org: OrgOption = "",
    vanish: VanishOption = 0.1,
    keep_ids: KeepIdsOption = False,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Bring a roster into force, whole or not at all. Each fault of the export is named with file, line and column."""
    with _translate_refusals():
        if local:
            _import_into_kiosk(export, org, vanish, config, as_json)
        else:
            _import_into_ledger(
                export, school or (), org, vanish, data_dir, database_url, as_json, dry_run=False, keep_ids=keep_ids
            )


app.command("seal-codes")(seal_codes)


@app.command()
def diff(
    export: ExportArgument,
    local: LocalOption = False,
    school: SchoolsOption = None,
    org: OrgOption = "",
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show what an import would change. Nothing is changed."""
    with _translate_refusals():
        if local:
            loaded = load_settings(config).settings
            roster = import_roster(read_export(export), _require_school(loaded), date=_today(), org=org)
            changed = compare_rosters(_read_records(loaded), roster.records)
            _print_changes("", changed, as_json, notes=roster.notes)
        else:
            _import_into_ledger(export, school or (), org, 1.0, data_dir, database_url, as_json, dry_run=True)


@app.command()
def show(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the roster in force on this kiosk: version, age, number of records, and problems."""
    (summary,) = ask(load_settings(config).settings.kiosk.run_dir, ROSTER_SHOW, NO_ARGUMENTS)
    if as_json:
        print_json(summary)
        return
    print_pairs({"school": summary.school, "version": summary.version, "age_s": summary.age_s, **summary.records})
    if summary.problems:
        rows = ((problem.type, problem.id, problem.what) for problem in summary.problems)
        print_table(("type", "id", "to correct"), rows)


@app.command()
def find(
    text: Annotated[str, typer.Argument(help="Part of names or a class, as on the staff's page: `ким 5`, `serik`.")],
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Find people on this kiosk's roster by name or class, likeliest first, with the id that other commands take."""
    people = (record for record in _read_records(load_settings(config).settings) if isinstance(record, Person))
    rows = [
        {"person": person.id, "name": f"{person.family_name} {person.given_name}", "class": person.group}
        for person in find_people(text, people)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(("person", "name", "class"), (list(row.values()) for row in rows))


def _import_into_ledger(
    export: Path,
    schools: Sequence[str],
    org: str,
    vanish: float,
    data_dir: Path,
    url: str,
    as_json: bool,
    *,
    dry_run: bool,
    keep_ids: bool = False,
) -> None:
    from edge_agent.cli.ledger import database

    database.require_ledger_extra()
    from edge_agent.cli.ledger.privileged import log_school
    from sync.ledger.registry.export_parts import part_export
    from sync.ledger.registry.roster_import import import_schools

    with (
        show_progress("import", "schools, compared and imported") as note,
        part_export(export) as files,
        database.open_ledger(data_dir, url) as connection,
    ):
        for imported in import_schools(
            connection, files, schools, date=_today(), org=org, vanish_share_max=vanish, dry_run=dry_run,
            keep_ids=keep_ids, note=log_school, progress=note,
        ):  # fmt: skip
            _print_changes(imported.school, imported.difference, as_json, imported.version, notes=imported.notes)


def _import_into_kiosk(export: Path, org: str, vanish: float, config: Path, as_json: bool) -> None:
    loaded = load_settings(config).settings
    school, before = _require_school(loaded), _read_records(loaded)
    roster = import_roster(read_export(export), school, date=_today(), org=org, timezone=loaded.kiosk.timezone)
    changed = compare_rosters(before, roster.records)
    refuse_vanished_pupils(changed, before, vanish)
    version = int(datetime.now(UTC).timestamp())  # rises from import to import
    page = RosterPage(school=school, since=0, version=version, changes=roster.records, whole=True)
    try:
        (applied,) = ask(loaded.kiosk.run_dir, ROSTER_APPLY, RosterApplyArguments(page=page))
        version = applied.version
    except AgentNotRunning:
        with _stopped_journal(loaded) as journal:
            journal.roster.apply((page,), datetime.now(UTC))
    _print_changes(school, changed, as_json, version, notes=roster.notes)


def _read_records(loaded: Settings) -> list[Record]:
    """Returns the roster in force on this kiosk, from the daemon or, while it is stopped, from the journal."""
    try:
        return list(ask(loaded.kiosk.run_dir, ROSTER_RECORDS, NO_ARGUMENTS))
    except AgentNotRunning:
        with _stopped_journal(loaded) as journal:
            return journal.roster.records()


@contextmanager
def _stopped_journal(loaded: Settings) -> Iterator[Journal]:
    state_dir = loaded.kiosk.state_dir
    own = identity.read_identity(state_dir, loaded.kiosk.school)
    if own.registration is not None:
        raise RequestRefused("this kiosk gets its roster from the ledger", "import it there")
    kiosk = KioskIdentity(own.device, own.key.public_bytes, own.school)
    with Journal.open(state_dir / JOURNAL_NAME, kiosk, now=KernelClock(), ballast_bytes=0) as journal:
        yield journal


def _require_school(loaded: Settings) -> str:
    if not loaded.kiosk.school:
        raise RequestRefused("this kiosk does not know its school", "set kiosk.school in the settings")
    return loaded.kiosk.school


def _print_changes(
    school: str, changed: RosterComparison, as_json: bool, version: int = 0, *, notes: Sequence[str]
) -> None:
    """Prints numbers for people, and ids for machines; never a card's number."""
    after = [record for _, record in changed.changed]
    groups = {"added": changed.added, "changed": after, "removed": changed.removed}
    if as_json:
        ids = {name: [f"{record_type(record)} {record.id}" for record in records] for name, records in groups.items()}
        print_json({"school": school, "version": version, **ids})
        for note in notes:
            typer.echo(f"{school}: {note}" if school else note, err=True)
    else:
        counts = {name: len(records) for name, records in groups.items()}
        print_pairs({"school": school, "version": version or "unchanged", **counts})
        for note in notes:
            out.print(f"{school}: {note}" if school else note, markup=False)


def _today() -> str:
    return datetime.now(UTC).astimezone().date().isoformat()
