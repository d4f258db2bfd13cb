"""Checks of the machine around the agent: versions, clock, time zones, and the files that a technician installs."""

import filecmp
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, attention, failure, good
from edge_agent.process.clock import read_clock_quality
from edge_agent.version import VERSION
from sync.contract.event import ClockQuality

# Kazakhstan has a single time zone since 2024-03-01. With older zone files every meal would be an hour off.
_ALMATY, _SINCE = "Asia/Almaty", datetime(2024, 6, 1, tzinfo=UTC)
_UNIT = "edge-agent.service"

# Our files and their places. The first one is necessary; without one of the others some readers do not work.
_FILES = {
    f"systemd/{_UNIT}": f"etc/systemd/system/{_UNIT}",
    "udev/70-edge-agent.rules": "etc/udev/rules.d/70-edge-agent.rules",
    "modules-load.d/edge-agent.conf": "etc/modules-load.d/edge-agent.conf",
    "modprobe.d/edge-agent.conf": "etc/modprobe.d/edge-agent.conf",
}
_ENABLED = f"etc/systemd/system/multi-user.target.wants/{_UNIT}"


def check_versions(_: ExaminedKiosk) -> Iterator[Finding]:
    """Yields the versions of agent, Python and system."""
    yield good("version", f"edge-agent {VERSION}, Python {platform.python_version()}, {platform.platform()}")


def check_clock(_: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the kernel's clock."""
    yield judge_clock_quality(read_clock_quality())


def judge_clock_quality(quality: ClockQuality) -> Finding:
    """Returns the finding for the kernel's judgement of its clock."""
    step = "timedatectl set-ntp true, and let the kiosk reach a time server; recording goes on meanwhile"
    match quality:
        case ClockQuality.SYNCHRONISED:
            return good("clock", "synchronised")
        case ClockQuality.UNSYNCHRONISED:
            return attention("clock", "not synchronised: meals are held until the ledger has put the time right", step)
        case ClockQuality.UNKNOWN:
            return attention("clock", "the kernel cannot tell how good it is", step)


def check_time_zone(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the zone files."""
    yield judge_zone_files(kiosk.loaded.settings.zone, ZoneInfo(_ALMATY))


def judge_zone_files(ours: ZoneInfo, almaty: ZoneInfo) -> Finding:
    """Returns the finding for the zone files. `almaty` is Asia/Almaty from the files of this machine."""
    if _SINCE.astimezone(almaty).utcoffset() != timedelta(hours=5):
        return failure("time zones", "older than March 2024: Kazakhstan's clocks are wrong", "apt install tzdata")
    return good("time zones", f"{ours.key}, and the change of 2024 is known")


def check_installed_files(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields findings on the installed unit and rules."""
    yield from compare_files(Path(sys.prefix) / "share" / "edge-agent", kiosk.root)


def compare_files(ours: Path, root: Path) -> Iterator[Finding]:
    """Yields a finding for each installed file below `root`, against the file of this version below `ours`."""
    if not (root / "run/systemd/system").exists():
        yield good("systemd", "does not run this machine")
        return
    for source, target in _FILES.items():
        packaged, installed = ours / source, root / target
        part = "unit" if source.endswith(_UNIT) else "files"
        step = f"cp {packaged} /{target}" + (" && systemctl daemon-reload" if part == "unit" else "")
        if not installed.exists():
            yield (failure if part == "unit" else attention)(part, f"/{target} is not installed", step)
        elif packaged.exists() and not filecmp.cmp(packaged, installed, shallow=False):
            yield attention(part, f"/{target} differs from this version (for own changes use systemctl edit)", step)
        else:
            yield good(part, f"/{target} is installed")
    if (root / _ENABLED).is_symlink():
        yield good("unit", "starts with the machine")
    else:
        yield failure("unit", "does not start with the machine", "systemctl enable --now edge-agent")


def check_staff_pin(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on who can sign in on the staff's page; it never shows a PIN."""
    path = kiosk.root / "etc/credstore/edge-agent.staff-pin"
    encrypted = kiosk.root / "etc/credstore.encrypted/edge-agent.staff-pin"
    step = "edge-agent operators add NAME --role head"
    if path.exists() and path.stat().st_mode & 0o077:
        yield failure("staff's PIN", f"others may read {path}", f"chmod 600 {path}")
    elif os.access(kiosk.state_dir / "operators.json", os.F_OK):
        yield good("staff's PIN", "each operator has an own one")
    elif path.exists() or encrypted.exists():
        yield attention("staff's PIN", "one PIN for all: nobody can say who did what", step)
    else:
        yield attention("staff's PIN", "no operators: the staff cannot act on their page", step)
