"""Finds what is plugged into serial ports, which driver fits, and what is missing before it can be opened.

What hangs on no serial port `discovery_input` finds. Reads /sys and /dev, opens no device. The root of both is an
argument: tests build a small tree of their own.
"""

import grp
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drivers.bench.port_thieves import explain_missing_port, find_disturbances
from drivers.bench.undriven import find_undriven
from drivers.obstacle import NoPermission, Obstacle

IRON_LOGIC = "0403:1234"

_RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
# an adapter says nothing of what hangs on it
ANY_SERIAL = ("em4100", "ironlogic", "line", "osdp", "pn532", "lcus", "turnstile")


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A USB device on our list: its name, the drivers that may fit, the kernel module that must bind it."""

    what: str
    drivers: tuple[str, ...]
    module: str


KNOWN_DEVICES: dict[str, KnownDevice] = {
    IRON_LOGIC: KnownDevice("Iron Logic Z-2 USB", ("ironlogic",), "ftdi_sio"),
    "0403:6001": KnownDevice("FTDI serial adapter", ANY_SERIAL, "ftdi_sio"),
    "0403:6015": KnownDevice("FTDI serial adapter", ANY_SERIAL, "ftdi_sio"),
    "1a86:7523": KnownDevice("CH340 serial adapter", ANY_SERIAL, "ch341"),
    "1a86:55d4": KnownDevice("CH9102 serial adapter", ANY_SERIAL, "cdc_acm"),
    "10c4:ea60": KnownDevice("CP210x serial adapter", ANY_SERIAL, "cp210x"),
    "067b:2303": KnownDevice("PL2303 serial adapter", ANY_SERIAL, "pl2303"),
}


@dataclass(frozen=True, slots=True)
class Attached:
    """One device that is attached. `port` is the name for the settings file, empty while there is none."""

    what: str
    usb_id: str  # `0403:1234`, or empty for a port of the board itself
    port: str
    drivers: tuple[str, ...]
    missing: tuple[Obstacle, ...]  # before it works, in the order of the steps


def probe(root: Path = Path("/")) -> tuple[Attached, ...]:
    """Returns everything on a serial port that could be a reader or a relay board, by name of its port."""
    devices = [*_usb(root), *_board(root)]
    return tuple(sorted(devices, key=lambda attached: (attached.port, attached.usb_id)))


def _usb(root: Path) -> Iterator[Attached]:
    for device in children(root / "sys/bus/usb/devices"):
        vendor = text(device / "idVendor")
        usb_id = f"{vendor}:{text(device / 'idProduct')}"
        undriven = find_undriven(usb_id, text(device / "product"))
        if undriven is not None:
            yield Attached(undriven.what, usb_id, "", (), (undriven.obstacle,))
            continue
        ttys = sorted({tty.name for tty in device.glob(f"{device.name}:*/**/tty[AU][CS][MB]*")})
        known_device = KNOWN_DEVICES.get(usb_id)
        if known_device is None and not ttys:
            continue
        what = known_device.what if known_device else text(device / "product") or "USB serial device"
        drivers = known_device.drivers if known_device else ANY_SERIAL
        if not ttys:
            assert known_device is not None
            yield Attached(what, usb_id, "", drivers, _unbound(root, device, usb_id, known_device))
        for tty in ttys:
            port = _stable_name(root, tty, serial=text(device / "serial"))
            obstacles = (*no_access(root, f"/dev/{tty}"), *find_disturbances(root, vendor))
            yield Attached(what, usb_id, port, drivers, obstacles)


def _board(root: Path) -> Iterator[Attached]:
    """Yields UARTs on the board, such as the one on the pins of a Raspberry Pi. A `type` of 0 is a port without a
    chip.
    """
    for tty in children(root / "sys/class/tty"):
        if tty.name.startswith(("ttyAMA", "ttyS")) and (tty / "device").exists() and text(tty / "type") != "0":
            yield Attached(
                "serial port of the board",
                "",
                f"/dev/{tty.name}",
                ANY_SERIAL,
                tuple(no_access(root, f"/dev/{tty.name}")),
            )


def _unbound(root: Path, folder: Path, usb_id: str, device: KnownDevice) -> tuple[Obstacle, ...]:
    obstacles = []
    if not (root / "sys/module" / device.module).exists():
        obstacles.append(Obstacle(f"kernel module {device.module} is not loaded", f"modprobe {device.module}"))
    if usb_id == IRON_LOGIC:
        if not rule_mentions(root, usb_id):
            obstacles.append(
                Obstacle(
                    "no udev rule for 0403:1234", "install ours to /etc/udev/rules.d, then `udevadm control --reload`"
                )
            )
        obstacles.append(
            Obstacle(
                "Linux does not bind 0403:1234 by itself",
                "echo 0403 1234 > /sys/bus/usb-serial/drivers/ftdi_sio/new_id",
            )
        )
    elif not obstacles:
        obstacles.append(explain_missing_port(root, folder, device.module))
    return tuple(obstacles)


def no_access(root: Path, port: str) -> Iterator[Obstacle]:
    """Yields the reasons why we cannot open this node."""
    node = root / port.removeprefix("/")
    if not node.exists():
        yield Obstacle(f"{port} is not there", "is udev running, or is this a container without it?")
    elif not os.access(node, os.R_OK | os.W_OK):
        step = f"install the udev rules or add this user to the group {_group(node)}"
        yield NoPermission(f"no permission on {port}", step)


def _group(node: Path) -> str:
    gid = node.stat().st_gid
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _stable_name(root: Path, tty: str, *, serial: str = "") -> str:
    """Returns the name that survives a replug: by-id for an adapter with a serial number, else by-path, else the node.

    Without a serial number (usb-1a86_USB_Serial-if00-port0) two adapters of a kind have one by-id name.
    """
    kinds = ("by-id", "by-path") if serial else ("by-path", "by-id")
    return linked(root, [f"/dev/serial/{kind}" for kind in kinds], tty) or f"/dev/{tty}"


def linked(root: Path, folders: Sequence[str], node: str) -> str:
    """Returns the first name in these folders that leads to the node; empty where there is none."""
    for folder in folders:
        for link in children(root / folder.removeprefix("/")):
            if link.is_symlink() and link.readlink().name == node:
                return f"{folder}/{link.name}"
    return ""


def rule_mentions(root: Path, usb_id: str) -> bool:
    vendor, product = usb_id.split(":")
    rules = (text(rule) for folder in _RULES for rule in children(root / folder) if rule.suffix == ".rules")
    return any(f'"{vendor}"' in rule and f'"{product}"' in rule for rule in rules)


def children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def text(file: Path) -> str:
    """Returns the file's text, or nothing when it is not there: devices come and go while we look."""
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
