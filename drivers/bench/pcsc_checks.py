"""Finds what keeps a PC/SC reader from working on this machine, and what to do about it. It reads files and opens no
device.

The root of the file system is an argument: tests build a small tree of their own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from drivers.obstacle import Obstacle

ACS = "072f"  # the maker of the ACR122U
_KERNEL_DRIVER = "pn533_usb"
_POLKIT_RULES = ("etc/polkit-1/rules.d", "usr/share/polkit-1/rules.d", "var/lib/polkit-1/localauthority")
_MODPROBE = ("etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
_TEXT_BYTES_MAX = 1024 * 1024


def problems(root: Path = Path("/"), *, root_user: bool = False, lamp: bool = False) -> tuple[Obstacle, ...]:
    """Returns the obstacles in the order in which they are met.

    Polkit is not asked for a `root_user`. `lamp` says that there is an `acr122u-light`.
    """
    return tuple(_problems(root, root_user=root_user, lamp=lamp))


def attached(root: Path = Path("/")) -> tuple[str, ...]:
    """Returns the USB readers that PC/SC would take, as `072f:2200 ACR122U`: by class (0b, smart card) or by maker."""
    findings = []
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        vendor, product = _text(device / "idVendor"), _text(device / "idProduct")
        classes = {_text(interface / "bInterfaceClass") for interface in device.glob(f"{device.name}:*")}
        if vendor and ("0b" in classes or vendor == ACS):
            findings.append(f"{vendor}:{product} {_text(device / 'product') or 'smart card reader'}")
    return tuple(findings)


def _problems(root: Path, *, root_user: bool, lamp: bool) -> Iterator[Obstacle]:
    if (root / "sys/module" / _KERNEL_DRIVER).exists():
        yield Obstacle(
            f"the kernel's {_KERNEL_DRIVER} takes ACR122U readers away from pcscd",
            f"unplug the reader, `rmmod {_KERNEL_DRIVER} pn533`, plug it in",
        )
    if not _any_has(root, _MODPROBE, "*.conf", rf"^\s*(blacklist|install)\s+{_KERNEL_DRIVER}\b"):
        yield Obstacle(f"nothing keeps {_KERNEL_DRIVER} away at the next start", "install our file to /etc/modprobe.d")
    if not (root / "run/pcscd/pcscd.comm").exists():
        yield Obstacle("pcscd does not listen", "apt install pcscd, then systemctl enable --now pcscd.socket")
    if not root_user and not _any_has(root, _POLKIT_RULES, "*", r"org\.debian\.pcsc-lite\.access_"):
        yield Obstacle("no polkit rule lets the agent's user to the readers", "see docs/drivers/pcsc.md for the rule")
    if lamp and not _lamp_allowed(_text(root / "etc/libccid_Info.plist")):
        yield Obstacle(
            "the reader's lamp works only while a card lies there",
            "set ifdDriverOptions to 0x0001 in /etc/libccid_Info.plist, then systemctl restart pcscd",
        )


def _lamp_allowed(plist: str) -> bool:
    option = re.search(r"<key>ifdDriverOptions</key>\s*<string>(0x[0-9A-Fa-f]{1,8})</string>", plist)
    return option is not None and bool(int(option[1], 16) & 0x0001)


def _any_has(root: Path, folders: tuple[str, ...], names: str, pattern: str) -> bool:
    files = (file for folder in folders for file in sorted((root / folder).rglob(names)))
    return any(re.search(pattern, _text(file), re.MULTILINE) for file in files)


def _text(file: Path) -> str:
    """Returns the file's text, or nothing when it is not there or not ours to read: devices come and go while we
    look.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(_TEXT_BYTES_MAX).decode("utf-8", "replace").strip()
    except OSError:
        return ""
