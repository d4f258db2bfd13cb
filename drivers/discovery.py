"""What is plugged in, which driver fits, and what is missing before it can be opened.

Reads /sys and /dev, opens no device. The root of both is an argument: tests build a small tree of their own.
"""

import grp
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IRON_LOGIC = "0403:1234"

_RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_ANY_SERIAL = ("em4100", "ironlogic")  # an adapter says nothing of what hangs on it


@dataclass(frozen=True, slots=True)
class Known:
    """A USB device that we know: what it is, the drivers that may fit, the kernel module that must bind it."""

    what: str
    drivers: tuple[str, ...]
    module: str


KNOWN: dict[str, Known] = {
    IRON_LOGIC: Known("Iron Logic Z-2 USB", ("ironlogic",), "ftdi_sio"),
    "0403:6001": Known("FTDI serial adapter", _ANY_SERIAL, "ftdi_sio"),
    "0403:6015": Known("FTDI serial adapter", _ANY_SERIAL, "ftdi_sio"),
    "1a86:7523": Known("CH340 serial adapter", _ANY_SERIAL, "ch341"),
    "1a86:55d4": Known("CH9102 serial adapter", _ANY_SERIAL, "cdc_acm"),
    "10c4:ea60": Known("CP210x serial adapter", _ANY_SERIAL, "cp210x"),
    "067b:2303": Known("PL2303 serial adapter", _ANY_SERIAL, "pl2303"),
}


@dataclass(frozen=True, slots=True)
class Attached:
    """One device. `port` is the name for the settings file, empty while there is none."""

    what: str
    usb_id: str  # `0403:1234`, or empty for a port of the board itself
    port: str
    drivers: tuple[str, ...]
    missing: tuple[str, ...]  # what to do before it works, in order


def probe(root: Path = Path("/")) -> tuple[Attached, ...]:
    """Everything attached that could be a reader, by name of its port."""
    found = [*_usb(root), *_board(root)]
    return tuple(sorted(found, key=lambda attached: (attached.port, attached.usb_id)))


def _usb(root: Path) -> Iterator[Attached]:
    for device in _children(root / "sys/bus/usb/devices"):
        usb_id = f"{_text(device / 'idVendor')}:{_text(device / 'idProduct')}"
        ttys = sorted({tty.name for tty in device.glob(f"{device.name}:*/**/tty[AU][CS][MB]*")})
        known = KNOWN.get(usb_id)
        if known is None and not ttys:
            continue
        what = known.what if known else _text(device / "product") or "USB serial device"
        drivers = known.drivers if known else _ANY_SERIAL
        if not ttys:
            assert known is not None
            yield Attached(what, usb_id, "", drivers, _unbound(root, usb_id, known))
        for tty in ttys:
            port = _stable_name(root, tty, serial=_text(device / "serial"))
            yield Attached(what, usb_id, port, drivers, tuple(_no_access(root, tty)))


def _board(root: Path) -> Iterator[Attached]:
    """UARTs on the board, such as the one on the pins of a Raspberry Pi. A `type` of 0 is a port without a chip."""
    for tty in _children(root / "sys/class/tty"):
        if tty.name.startswith(("ttyAMA", "ttyS")) and (tty / "device").exists() and _text(tty / "type") != "0":
            yield Attached(
                "serial port of the board", "", f"/dev/{tty.name}", _ANY_SERIAL, tuple(_no_access(root, tty.name))
            )


def _unbound(root: Path, usb_id: str, known: Known) -> tuple[str, ...]:
    todo = []
    if not (root / "sys/module" / known.module).exists():
        todo.append(f"kernel module {known.module} is not loaded: modprobe {known.module}")
    if usb_id == IRON_LOGIC:
        if not _rule_mentions(root, usb_id):
            todo.append(
                "no udev rule for 0403:1234: install ours to /etc/udev/rules.d, then `udevadm control --reload`"
            )
        todo.append(
            "Linux does not bind 0403:1234 by itself: echo 0403 1234 > /sys/bus/usb-serial/drivers/ftdi_sio/new_id"
        )
    elif not todo:
        todo.append(f"{known.module} is loaded but has made no port: replug it, then look at `dmesg`")
    return tuple(todo)


def _no_access(root: Path, tty: str) -> Iterator[str]:
    node = root / "dev" / tty
    if not node.exists():
        yield f"/dev/{tty} is not there: is udev running, or is this a container without it?"
    elif not os.access(node, os.R_OK | os.W_OK):
        yield f"no permission on /dev/{tty}: install the udev rules or add this user to the group {_group(node)}"


def _group(node: Path) -> str:
    gid = node.stat().st_gid
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _stable_name(root: Path, tty: str, *, serial: str = "") -> str:
    """The name that survives a replug: by-id for an adapter with a serial number, else by-path, else the node itself.

    Without a serial number (usb-1a86_USB_Serial-if00-port0) two adapters of a kind have one by-id name.
    """
    for kind in ("by-id", "by-path") if serial else ("by-path", "by-id"):
        for link in _children(root / "dev/serial" / kind):
            if link.is_symlink() and link.readlink().name == tty:
                return f"/dev/serial/{kind}/{link.name}"
    return f"/dev/{tty}"


def _rule_mentions(root: Path, usb_id: str) -> bool:
    vendor, product = usb_id.split(":")
    texts = (_text(rule) for folder in _RULES for rule in _children(root / folder) if rule.suffix == ".rules")
    return any(f'"{vendor}"' in text and f'"{product}"' in text for text in texts)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _text(file: Path) -> str:
    """The file's text, or nothing when it is not there: devices come and go while we look."""
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
