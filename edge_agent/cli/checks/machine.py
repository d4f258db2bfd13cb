"""The machine around the agent: versions, clock, time zones, the files and the unit that a technician installs."""

import filecmp
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.cli.checks.finding import Finding, Kiosk, fails, look, ok
from edge_agent.process.clock import read_clock_quality
from edge_agent.version import VERSION
from sync.contract.event import ClockQuality

# Kazakhstan has had one time since 2024-03-01; older zone files would put every meal an hour off.
_ALMATY, _SINCE = "Asia/Almaty", datetime(2024, 6, 1, tzinfo=UTC)
_UNIT = "edge-agent.service"

# Where each of our files goes. The first is needed; without one of the others some readers do not work.
_FILES = {
    f"systemd/{_UNIT}": f"etc/systemd/system/{_UNIT}",
    "udev/70-edge-agent.rules": "etc/udev/rules.d/70-edge-agent.rules",
    "modules-load.d/edge-agent.conf": "etc/modules-load.d/edge-agent.conf",
    "modprobe.d/edge-agent.conf": "etc/modprobe.d/edge-agent.conf",
}
_ENABLED = f"etc/systemd/system/multi-user.target.wants/{_UNIT}"


def versions(_: Kiosk) -> Iterator[Finding]:
    yield ok("version", f"edge-agent {VERSION}, Python {platform.python_version()}, {platform.platform()}")


def clock(_: Kiosk) -> Iterator[Finding]:
    yield quality(read_clock_quality())


def quality(found: ClockQuality) -> Finding:
    """What the kernel says of its clock."""
    step = "timedatectl set-ntp true, and let the kiosk reach a time server; recording goes on meanwhile"
    match found:
        case ClockQuality.SYNCHRONISED:
            return ok("clock", "synchronised")
        case ClockQuality.UNSYNCHRONISED:
            return look("clock", "not synchronised: meals are held until the ledger has put the time right", step)
        case ClockQuality.UNKNOWN:
            return look("clock", "the kernel does not say how good it is", step)


def time_zone(kiosk: Kiosk) -> Iterator[Finding]:
    yield zone(kiosk.loaded.settings.zone, ZoneInfo(_ALMATY))


def zone(ours: ZoneInfo, almaty: ZoneInfo) -> Finding:
    """`almaty`: as the zone files of this machine have it."""
    if _SINCE.astimezone(almaty).utcoffset() != timedelta(hours=5):
        return fails("time zones", "older than March 2024: Kazakhstan's clocks are wrong", "apt install tzdata")
    return ok("time zones", f"{ours.key}, and the change of 2024 is known")


def installed_files(kiosk: Kiosk) -> Iterator[Finding]:
    yield from compared(Path(sys.prefix) / "share" / "edge-agent", kiosk.root)


def compared(ours: Path, root: Path) -> Iterator[Finding]:
    """Files of this version (`ours`) against what is installed below `root`."""
    if not (root / "run/systemd/system").exists():
        yield ok("systemd", "does not run this machine")
        return
    for source, target in _FILES.items():
        wanted, found = ours / source, root / target
        part = "unit" if source.endswith(_UNIT) else "files"
        step = f"cp {wanted} /{target}" + (" && systemctl daemon-reload" if part == "unit" else "")
        if not found.exists():
            yield (fails if part == "unit" else look)(part, f"/{target} is not installed", step)
        elif wanted.exists() and not filecmp.cmp(wanted, found, shallow=False):
            yield look(part, f"/{target} is not the one of this version (own changes: systemctl edit)", step)
        else:
            yield ok(part, f"/{target} is installed")
    if (root / _ENABLED).is_symlink():
        yield ok("unit", "starts with the machine")
    else:
        yield fails("unit", "does not start with the machine", "systemctl enable --now edge-agent")


def staff_pin(kiosk: Kiosk) -> Iterator[Finding]:
    path = kiosk.root / "etc/credstore/edge-agent.staff-pin"
    encrypted = kiosk.root / "etc/credstore.encrypted/edge-agent.staff-pin"
    if not path.exists() and not encrypted.exists():
        yield look("staff's PIN", "none: the staff's page changes nothing", f"write one to {path}, mode 0600")
    elif path.exists() and path.stat().st_mode & 0o077:
        yield fails("staff's PIN", f"others may read {path}", f"chmod 600 {path}")
    else:
        yield ok("staff's PIN", "is there")
