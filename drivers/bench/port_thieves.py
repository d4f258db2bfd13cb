"""Programs that take a serial adapter away, or disturb what hangs on it: brltty and ModemManager.

brltty serves Braille displays, many of which hang on the same adapters; it takes the adapter's interface from the
kernel's module, and the port goes a moment after it came (JuliaGoda/CH341SER#18, huggingface/lerobot#497).
ModemManager asks every new port with AT commands whether it is a modem.
"""

from collections.abc import Iterator
from pathlib import Path

from drivers.obstacle import Disturbance, Obstacle

_RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")


def explain_missing_port(root: Path, device: Path, module: str) -> Obstacle:
    """Returns why an adapter has no port although its module is loaded. `device` is its folder in sysfs."""
    bound_by = [interface / "driver" for interface in sorted(device.glob(f"{device.name}:*"))]
    holder = next((link.readlink().name for link in bound_by if link.is_symlink()), "")
    step = "apt purge brltty (it is only for Braille displays), then plug the adapter in again"
    if is_running(root, "brltty") or (holder == "usbfs" and _is_installed(root, "brltty")):
        return Obstacle("brltty has taken this adapter for a Braille display", step)
    if _is_installed(root, "brltty"):
        return Obstacle(
            f"{module} is loaded but has made no port, and brltty is installed: it takes such adapters", step
        )
    if holder == "usbfs":
        return Obstacle(
            "another program has taken this adapter from the kernel", f"look at dmesg; if it says brltty: {step}"
        )
    return Obstacle(
        f"{module} is loaded but has made no port", f"replug it, then look at `dmesg`; if it says brltty: {step}"
    )


def find_disturbances(root: Path, vendor: str) -> Iterator[Disturbance]:
    """Yields what may disturb a serial port on a USB adapter of this vendor."""
    if is_running(root, "ModemManager") and not _is_ignored(root, vendor):
        yield Disturbance(
            "ModemManager asks this port whether it is a modem, each time it is plugged in",
            "install our udev rules and plug it in again, or: systemctl disable --now ModemManager",
        )


def is_running(root: Path, program: str) -> bool:
    """Tells if a process of this name runs."""
    return any(_first_line(comm) == program for comm in (root / "proc").glob("[0-9]*/comm"))


def _is_installed(root: Path, program: str) -> bool:
    return any((root / folder / program).exists() for folder in ("usr/bin", "bin", "usr/sbin", "sbin"))


def _is_ignored(root: Path, vendor: str) -> bool:
    rules = (rule for folder in _RULES for rule in (root / folder).glob("*.rules"))
    return any(
        "ID_MM_DEVICE_IGNORE" in line and f'"{vendor}"' in line
        for rule in rules
        for line in _lines(rule)
        if not line.lstrip().startswith("#")
    )


def _first_line(file: Path) -> str:
    return next(iter(_lines(file)), "").strip()


def _lines(file: Path) -> list[str]:
    """Returns a file's lines; none where it has gone meanwhile, as processes do."""
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
