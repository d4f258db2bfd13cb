"""`edge-agent update`: signed releases, tried, judged, and rolled back where they are not healthy."""

import logging
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_document
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, UPDATE_SELF_TEST
from edge_agent.domain.update_plan import FIRST_ANSWER_S, UpdateRecord, UpdateState
from edge_agent.errors import ExitCode
from edge_agent.runtime.opening import JOURNAL_NAME
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import KioskSettings
from edge_agent.update.probe import AgentProbe
from edge_agent.update.release import read_manifest, read_release_keys
from edge_agent.update.requests import RequestFolder
from edge_agent.update.switch import VersionSwitch, read_service_result
from edge_agent.update.versions import FOLDER, InstalledVersions, open_release, read_record

KEYS_NAME = "release-keys"  # beside the settings file, of root alone

app = typer.Typer(no_args_is_help=True)
guard = typer.Typer(no_args_is_help=True)
app.add_typer(guard, name="guard", help="What the unit calls before the agent starts, and after it ended.", hidden=True)

VersionsOption = Annotated[Path, typer.Option("--versions", help="The folder of all versions.")]
PatienceOption = Annotated[float, typer.Option("--patience", min=1, help="Seconds until the agent must answer.")]


@app.command()
def status(versions: VersionsOption = FOLDER, as_json: JsonOption = False) -> None:
    """Show the version that runs, the one before, and how the last update went."""
    record, installed = read_record(versions), InstalledVersions(versions)
    document = {"runs": installed.version_at("current"), **msgspec.to_builtins(record)}
    print_document(document, as_json)


@app.command()
def apply(
    release: Annotated[Path, typer.Argument(help="The release's file.")],
    older: Annotated[
        bool, typer.Option("--older", help="Take a release that is older than one that ran here.")
    ] = False,
    versions: VersionsOption = FOLDER,
    config: ConfigOption = CONFIG_DEFAULT,
    patience: PatienceOption = FIRST_ANSWER_S,
) -> None:
    """Run a signed release now, as root; if it is not healthy within seconds, the version before runs again."""
    _report(_switch(versions, config, patience).apply(release, _read_keys(config), takes_older=older))


@app.command()
def stage(
    release: Annotated[Path, typer.Argument(help="The release's file.")],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Leave a signed release to the agent, as root: it is applied outside the sessions."""
    with open_release(release) as file:
        manifest = read_manifest(file, _read_keys(config))
    _requests(config).stage(release)
    out.print(f"{manifest.version} is applied outside the sessions", markup=False)


@app.command(hidden=True)
def serve(
    versions: VersionsOption = FOLDER, config: ConfigOption = CONFIG_DEFAULT, patience: PatienceOption = FIRST_ANSWER_S
) -> None:
    """Do what the agent has asked for, as root; systemd calls it."""
    _report(_switch(versions, config, patience).serve(_requests(config), _read_keys(config)))


@app.command()
def back(versions: VersionsOption = FOLDER, config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Run the version before the last update again, as root. The journal stays as it is."""
    _report(_switch(versions, config).go_back("a technician went back"), is_wanted=True)


@app.command()
def confirm(versions: VersionsOption = FOLDER, config: ConfigOption = CONFIG_DEFAULT) -> None:
    """End the trial of a version now, as root, without waiting for its first session."""
    _report(_switch(versions, config).confirm())


@app.command("self-test")
def try_self_test(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Have the running agent read a card that nobody has, and record it; it bills nobody."""
    (row,) = ask(load_settings(config).settings.kiosk.run_dir, UPDATE_SELF_TEST, NO_ARGUMENTS)
    print_document(msgspec.to_builtins(row), as_json)


@app.command()
def pack(
    tree: Annotated[Path, typer.Argument(help="A version's folder, such as usr/lib/edge-agent of a package.")],
    target: Annotated[Path, typer.Argument(help="The new file.")],
    key: Annotated[Path, typer.Option(help="Your private release key, a PEM file. Keep it off the ledger.")],
    version: Annotated[str, typer.Option(help="The version's name.")],
    serial: Annotated[int, typer.Option(help="A number that grows from release to release.")],
    python: Annotated[str, typer.Option(help="The kiosk's Python, such as 3.11.")],
) -> None:
    """Make a signed release."""
    from edge_agent.cli.ledger.key_files import read_private_key
    from edge_agent.update.packing import pack_release

    manifest = pack_release(tree, target, read_private_key(key), version=version, serial=serial, python=python)
    out.print(f"{target}: {manifest.version}, {manifest.size} bytes", markup=False)


@guard.command("start")
def guard_start(versions: VersionsOption = FOLDER) -> None:
    """Let the link name the version that is to run."""
    _guarding_switch(versions).guard_start()


@guard.command("end")
def guard_end(versions: VersionsOption = FOLDER) -> None:
    """Note how the agent ended."""
    _guarding_switch(versions).guard_end(read_service_result())


def _guarding_switch(versions: Path) -> VersionSwitch:
    """Returns a switch that asks no agent: a settings file that is wrong must not keep a kiosk from going back."""
    return _build_switch(versions, KioskSettings(), FIRST_ANSWER_S)


def _switch(versions: Path, config: Path, patience: float = FIRST_ANSWER_S) -> VersionSwitch:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return _build_switch(versions, load_settings(config).settings.kiosk, patience)


def _build_switch(versions: Path, kiosk: KioskSettings, patience: float) -> VersionSwitch:
    probe = AgentProbe(kiosk.run_dir, kiosk.state_dir / JOURNAL_NAME, patience)
    return VersionSwitch(InstalledVersions(versions), probe)


def _read_keys(config: Path) -> list[bytes]:
    return read_release_keys(config.parent / KEYS_NAME)


def _requests(config: Path) -> RequestFolder:
    kiosk = load_settings(config).settings.kiosk
    return RequestFolder(kiosk.run_dir, kiosk.state_dir)


def _report(record: UpdateRecord, *, is_wanted: bool = False) -> None:
    if record.state is UpdateState.ROLLED_BACK:
        out.print(f"{record.previous} runs again: {record.reason}", markup=False, soft_wrap=True)
        if not is_wanted:
            raise typer.Exit(ExitCode.FAILED)
        return
    out.print(f"{record.version} runs: {record.state.value}", markup=False)
