"""`edge-agent doctor`: every check that support asks for, each going on when another fails."""

import os
import pwd
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from drivers.errors import DeviceError
from edge_agent import settings
from edge_agent.cli.checks import daemon, devices, folders, journal, machine
from edge_agent.cli.checks.finding import Check, Finding, Kiosk, State, fails, look, ok, split
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, STATUS, DaemonStatus
from edge_agent.errors import AgentError, AgentNotRunning, DaemonVersionDiffers, ExitCode, RequestRefused, SettingsWrong
from edge_agent.settings import LoadedSettings
from sync.errors import SyncError

AGENT_USER = "canteen"
ANSWER_S = 10.0

CHECKS: tuple[tuple[str, Check], ...] = (
    ("version", machine.versions),
    ("state folder", folders.state_folder),
    ("disk", folders.disk),
    ("run folder", folders.run_folder),
    ("device key", folders.device_key),
    ("registered", folders.registration),
    ("daemon", daemon.daemon),
    ("journal", journal.journal),
    ("sqlite", journal.sqlite),
    ("clock", machine.clock),
    ("time zones", machine.time_zone),
    ("plugged in", devices.attached),
    ("pc/sc", devices.pcsc),
    ("extras", devices.extras),
    ("OSDP keys", devices.osdp_keys),
    ("plug-ins", devices.plugins),
    ("unit", machine.installed_files),
    ("staff's PIN", machine.staff_pin),
)


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Look at everything that support asks for; each is ok, to look at, or fails, with what to do. Run it as root.

    Nothing is changed, no secret and no card number is shown. The exit code is 1 when something fails.
    """
    loaded, of_settings = read_settings(config)
    status, of_daemon = ask_status(loaded.settings.kiosk.run_dir)
    uid, groups = _agent()
    found = [*of_settings, *of_daemon, *examine(Kiosk(loaded, status, agent_uid=uid, agent_groups=groups))]
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        for each in found:
            out.print(f"{each.state.value:5}  {each.part}: {each.detail}", markup=False, soft_wrap=True)
            if each.next_step:
                out.print(f"{'':5}  → {each.next_step}", markup=False, soft_wrap=True)
        failing, looks = (sum(each.state is state for each in found) for state in (State.FAILS, State.LOOK))
        out.print(f"\n{failing} fail, {looks} to look at, of {len(found)}")
    if any(each.state is State.FAILS for each in found):
        raise typer.Exit(ExitCode.FAILED)


def read_settings(config: Path) -> tuple[LoadedSettings, list[Finding]]:
    """Where the file is not sound, the rest is looked at under the defaults."""
    try:
        return settings.load_settings(config), [ok("settings", f"{config} is sound")]
    except SettingsWrong as error:
        step = "mend the file, then: edge-agent config check; what follows is looked at under the defaults"
        return settings.parse_settings("", config), [fails("settings", line, step) for line in str(error).splitlines()]


def ask_status(run_dir: Path) -> tuple[DaemonStatus | None, list[Finding]]:
    """Returns the daemon's status, or None with the reason as a finding."""
    part = "daemon"
    try:
        (status,) = ask(run_dir, STATUS, NO_ARGUMENTS, ANSWER_S)
        return status, [ok(part, "runs and answers")]
    except AgentNotRunning:
        step = "systemctl start edge-agent; if it does not stay: journalctl -u edge-agent -b"
        return None, [fails(part, "does not run: nobody is served", step)]
    except RequestRefused as error:
        return None, [split(part, State.LOOK, str(error))]
    except (OSError, ValueError, DaemonVersionDiffers) as error:
        return None, [fails(part, f"does not answer as it should: {error}", "systemctl restart edge-agent")]


def examine(kiosk: Kiosk) -> Iterator[Finding]:
    for part, check in CHECKS:
        yield from _going_on(part, check, kiosk)


def _going_on(part: str, check: Check, kiosk: Kiosk) -> Iterator[Finding]:
    """A check that cannot end is a finding, too."""
    try:
        yield from check(kiosk)
    except PermissionError as error:
        yield look(part, f"this user may not look: {error.filename}", "run it as root: sudo edge-agent doctor")
    except (AgentError, DeviceError, SyncError) as error:
        yield split(part, State.FAILS, str(error))
    except (OSError, sqlite3.Error, UnicodeError) as error:
        yield fails(part, f"could not be looked at: {error}", "look at dmesg; send this report to support")


def _agent() -> tuple[int | None, frozenset[int]]:
    """The service's user and its groups on this machine."""
    try:
        found = pwd.getpwnam(AGENT_USER)
    except KeyError:
        return None, frozenset()
    return found.pw_uid, frozenset(os.getgrouplist(AGENT_USER, found.pw_gid))
