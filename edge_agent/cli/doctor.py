"""`edge-agent doctor`: every check that support asks for. When one check fails, the next ones go on."""

import os
import pwd
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from drivers.errors import DeviceError
from edge_agent.cli.bundle.archive import write_bundle
from edge_agent.cli.checks import daemon, devices, folders, journal, machine, tablets, update
from edge_agent.cli.checks.finding import (
    Check,
    ExaminedKiosk,
    Finding,
    FindingState,
    attention,
    error_finding,
    failure,
    good,
)
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.cli.phrases import choose_language, phrase, say
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, STATUS, DaemonStatus
from edge_agent.errors import AgentError, AgentNotRunning, DaemonVersionDiffers, ExitCode, RequestRefused, SettingsWrong
from edge_agent.settings.reading import LoadedSettings, load_settings, parse_settings
from sync.errors import SyncError

AGENT_USER = "canteen"
STATUS_TIMEOUT_S = 10.0

STATE_WORDS = {
    FindingState.GOOD: phrase("ok"),
    FindingState.ATTENTION: phrase("look"),
    FindingState.FAILURE: phrase("fails"),
}

CHECKS: tuple[tuple[str, Check], ...] = (
    ("version", machine.check_versions),
    ("update", update.check_update),
    ("state folder", folders.check_state_folder),
    ("disk", folders.check_disk),
    ("run folder", folders.check_run_folder),
    ("device key", folders.check_device_key),
    ("registered", folders.check_registration),
    ("daemon", daemon.check_daemon),
    ("tablets", tablets.check_tablets),
    ("journal", journal.check_journal),
    ("sqlite", journal.check_sqlite),
    ("clock", machine.check_clock),
    ("time zones", machine.check_time_zone),
    ("plugged in", devices.check_attached),
    ("pc/sc", devices.check_pcsc),
    ("extras", devices.check_extras),
    ("OSDP keys", devices.check_osdp_keys),
    ("plug-ins", devices.check_plugins),
    ("unit", machine.check_installed_files),
    ("staff's PIN", machine.check_staff_pin),
)


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
    language: Annotated[str, typer.Option(help="Of the report: kk, ru or en; else the system's.")] = "",
    bundle: Annotated[
        Path | None, typer.Option(help="Write all that support asks for into this file (tar.gz), redacted.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="With --bundle: the agent's log, where it is not in systemd's journal.")
    ] = None,
) -> None:
    """Check all that support asks for: each part is ok, to look at, or fails, with the next step. Run it as root.

    It changes nothing, and shows no secret and no card number. The exit code is 1 when something fails.
    """
    kiosk, findings = examine_kiosk(config)
    if as_json:
        print_json([finding.as_row() for finding in findings])
    else:
        print_report(findings, choose_language(language))
    if bundle is not None:
        names = write_bundle(bundle, kiosk, findings, log)
        if not as_json:
            told = phrase(
                "{path} is written: {names}; look into it before you send it", path=bundle, names=", ".join(names)
            )
            out.print(f"\n{say(told, choose_language(language))}", markup=False, soft_wrap=True)
    if count_failures(findings):
        raise typer.Exit(ExitCode.FAILED)


def report_kiosk(config: Path, language: str) -> list[Finding]:
    """Prints every finding with its next step in this language. Returns the findings."""
    findings = collect_findings(config)
    print_report(findings, language)
    return findings


def print_report(findings: Sequence[Finding], language: str) -> None:
    """Prints every finding with its next step in this language, and how many there are."""
    for finding in findings:
        state, part = say(STATE_WORDS[finding.state], language), say(finding.part, language)
        out.print(f"{state:5}  {part}: {say(finding.detail, language)}", markup=False, soft_wrap=True)
        if finding.next_step:
            out.print(f"{'':5}  → {say(finding.next_step, language)}", markup=False, soft_wrap=True)
    to_look_at = sum(finding.state is FindingState.ATTENTION for finding in findings)
    count = phrase(
        "{failures} fail, {to_look_at} to look at, of {number}",
        failures=count_failures(findings), to_look_at=to_look_at, number=len(findings),
    )  # fmt: skip
    out.print(f"\n{say(count, language)}", markup=False)


def count_failures(findings: Iterable[Finding]) -> int:
    """Returns how many of the findings somebody must act on."""
    return sum(finding.state is FindingState.FAILURE for finding in findings)


def collect_findings(config: Path) -> list[Finding]:
    """Returns the findings of all checks, the settings' and the daemon's first."""
    return examine_kiosk(config)[1]


def examine_kiosk(config: Path) -> tuple[ExaminedKiosk, list[Finding]]:
    """Returns the kiosk that the checks examine, and the findings of all of them."""
    loaded, settings_findings = read_settings(config)
    status, daemon_findings = ask_status(loaded.settings.kiosk.run_dir)
    uid, groups = _agent_user()
    kiosk = ExaminedKiosk(loaded, status, agent_uid=uid, agent_groups=groups)
    return kiosk, [*settings_findings, *daemon_findings, *examine(kiosk)]


def read_settings(config: Path) -> tuple[LoadedSettings, list[Finding]]:
    """Returns the settings and the findings on their file. For a wrong file it returns the defaults."""
    try:
        loaded = load_settings(config)
        if loaded.device_faults:
            detail = phrase(
                "{config} is in force, but for {number} devices that cannot be used",
                config=config,
                number=len(loaded.device_faults),
            )
            return loaded, [attention("settings", detail, phrase("edge-agent config check names each fault"))]
        return loaded, [good("settings", phrase("{config} is sound", config=config))]
    except SettingsWrong as error:
        step = phrase("correct the file, then: edge-agent config check; all further checks use the defaults")
        return parse_settings("", config), [failure("settings", line, step) for line in str(error).splitlines()]


def ask_status(run_dir: Path) -> tuple[DaemonStatus | None, list[Finding]]:
    """Returns the daemon's status, or None with the reason as a finding."""
    part = "daemon"
    try:
        (status,) = ask(run_dir, STATUS, NO_ARGUMENTS, STATUS_TIMEOUT_S)
        return status, [good(part, phrase("runs and answers"))]
    except AgentNotRunning:
        step = phrase("systemctl start edge-agent; if it does not stay: journalctl -u edge-agent -b")
        return None, [failure(part, phrase("does not run: nobody is served"), step)]
    except RequestRefused as error:
        return None, [error_finding(part, error, FindingState.ATTENTION)]
    except (OSError, ValueError, DaemonVersionDiffers) as error:
        return None, [
            failure(part, phrase("gives no proper answer: {error}", error=error), "systemctl restart edge-agent")
        ]


def examine(kiosk: ExaminedKiosk, checks: Sequence[tuple[str, Check]] | None = None) -> Iterator[Finding]:
    """Yields the findings of these checks; of all where none are named."""
    for part, check in CHECKS if checks is None else checks:
        yield from _run_check(part, check, kiosk)


def _run_check(part: str, check: Check, kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields the findings of one check. If the check breaks off, that is a finding, too."""
    try:
        yield from check(kiosk)
    except PermissionError as error:
        yield attention(
            part,
            phrase("this user may not read {path}", path=error.filename),
            phrase("run it as root: sudo edge-agent doctor"),
        )
    except (AgentError, DeviceError, SyncError) as error:
        yield error_finding(part, error)
    except (OSError, sqlite3.Error, UnicodeError) as error:
        yield failure(
            part,
            phrase("could not be checked: {error}", error=error),
            phrase("look at dmesg; send this report to support"),
        )


def _agent_user() -> tuple[int | None, frozenset[int]]:
    """Returns uid and groups of the service's user on this machine; None and empty if there is no such user."""
    try:
        user = pwd.getpwnam(AGENT_USER)
    except KeyError:
        return None, frozenset()
    return user.pw_uid, frozenset(os.getgrouplist(AGENT_USER, user.pw_gid))
