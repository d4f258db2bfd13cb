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
from edge_agent.cli.phrases import phrase
from edge_agent.process.clock import read_clock_quality
from edge_agent.version import VERSION
from sync.contract.event import ClockQuality

# Kazakhstan has a single time zone since 2024-03-01. With older zone files every meal would be an hour off.
_ALMATY, _SINCE = "Asia/Almaty", datetime(2024, 6, 1, tzinfo=UTC)
_UNIT = "edge-agent.service"

# Our files and their places. The first one is necessary; without one of the others some readers do not work.
_FILES = {
    f"systemd/{_UNIT}": f"systemd/system/{_UNIT}",
    "udev/70-edge-agent.rules": "udev/rules.d/70-edge-agent.rules",
    "modules-load.d/edge-agent.conf": "modules-load.d/edge-agent.conf",
    "modprobe.d/edge-agent.conf": "modprobe.d/edge-agent.conf",
}
_BASES = ("etc", "usr/lib")  # by hand, and by the package; the first one that has a file is in force
_ENABLED = f"etc/systemd/system/multi-user.target.wants/{_UNIT}"


def check_versions(_: ExaminedKiosk) -> Iterator[Finding]:
    """Yields the versions of agent, Python and system."""
    yield good(
        "version",
        phrase(
            "edge-agent {version}, Python {python}, {system}",
            version=VERSION,
            python=platform.python_version(),
            system=platform.platform(),
        ),
    )


def check_clock(_: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the kernel's clock."""
    yield judge_clock_quality(read_clock_quality())


def judge_clock_quality(quality: ClockQuality) -> Finding:
    """Returns the finding for the kernel's judgement of its clock."""
    step = phrase("timedatectl set-ntp true, and let the kiosk reach a time server; recording goes on meanwhile")
    match quality:
        case ClockQuality.SYNCHRONISED:
            return good("clock", phrase("synchronised"))
        case ClockQuality.UNSYNCHRONISED:
            return attention(
                "clock",
                phrase("not synchronised: meals are held until the ledger has put the time right"),
                step,
            )
        case ClockQuality.UNKNOWN:
            return attention("clock", phrase("the kernel cannot tell how good it is"), step)


def check_time_zone(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the zone files."""
    yield judge_zone_files(kiosk.loaded.settings.zone, ZoneInfo(_ALMATY))


def judge_zone_files(ours: ZoneInfo, almaty: ZoneInfo) -> Finding:
    """Returns the finding for the zone files. `almaty` is Asia/Almaty from the files of this machine."""
    if _SINCE.astimezone(almaty).utcoffset() != timedelta(hours=5):
        return failure(
            "time zones",
            phrase("older than March 2024: Kazakhstan's clocks are wrong"),
            "apt install tzdata",
        )
    return good("time zones", phrase("{zone}, and the change of 2024 is known", zone=ours.key))


def check_installed_files(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields findings on the installed unit and rules."""
    yield from compare_files(Path(sys.prefix) / "share" / "edge-agent", kiosk.root)


def compare_files(ours: Path, root: Path) -> Iterator[Finding]:
    """Yields a finding for each installed file below `root`, against the file of this version below `ours`."""
    if not (root / "run/systemd/system").exists():
        yield good("systemd", phrase("does not run this machine"))
        return
    for source, place in _FILES.items():
        found = [f"{base}/{place}" for base in _BASES if (root / base / place).exists()]
        target = found[0] if found else f"{_BASES[0]}/{place}"
        packaged, installed = ours / source, root / target
        part = "unit" if source.endswith(_UNIT) else "files"
        reload = " && systemctl daemon-reload" if part == "unit" else ""
        step = f"cp {packaged} /{target}{reload}"
        if not found:
            yield (failure if part == "unit" else attention)(
                part, phrase("/{target} is not installed", target=target), step
            )
        elif packaged.exists() and not filecmp.cmp(packaged, installed, shallow=False):
            yield attention(
                part,
                phrase("/{target} differs from this version (for own changes use systemctl edit)", target=target),
                step,
            )
        else:
            yield good(part, phrase("/{target} is installed", target=target))
    if (root / _ENABLED).is_symlink():
        yield good("unit", phrase("starts with the machine"))
    else:
        yield failure("unit", phrase("does not start with the machine"), "systemctl enable --now edge-agent")


def check_staff_pin(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on who can sign in on the staff's page; it never shows a PIN."""
    path = kiosk.root / "etc/credstore/edge-agent.staff-pin"
    encrypted = kiosk.root / "etc/credstore.encrypted/edge-agent.staff-pin"
    step = "edge-agent operators add NAME --role head"
    if path.exists() and path.stat().st_mode & 0o077:
        yield failure("staff's PIN", phrase("others may read {path}", path=path), f"chmod 600 {path}")
    elif os.access(kiosk.state_dir / "operators.json", os.F_OK):
        yield good("staff's PIN", phrase("each operator has an own one"))
    elif path.exists() or encrypted.exists():
        yield attention("staff's PIN", phrase("one PIN for all: nobody can say who did what"), step)
    else:
        yield attention("staff's PIN", phrase("no operators: the staff cannot act on their page"), step)
