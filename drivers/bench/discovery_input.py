"""Finds what is attached to no serial port: readers that type, smart card readers, cameras, pins."""

import os
from collections.abc import Iterator
from pathlib import Path

from drivers.bench import pcsc_checks
from drivers.bench.discovery import Attached, children, linked, no_access, rule_mentions, text
from drivers.obstacle import Obstacle

TYPING_READER = "ffff:0035"  # Sycreader and its many copies
_USB = "0003"  # include/uapi/linux/input.h, BUS_USB
_DIGITS_AND_ENTER = 0b1_0000_0000_0000_0000_1111_1111_1100  # KEY_1 to KEY_0 and KEY_ENTER


def probe(root: Path = Path("/")) -> tuple[Attached, ...]:
    return (*_keyboards(root), *_smart_cards(root), *_cameras(root), *_pins(root))


def _keyboards(root: Path) -> Iterator[Attached]:
    """Yields keyboards. A reader that types cannot be told from one, except where its number is on our list."""
    for event in children(root / "sys/class/input"):
        device = event / "device"
        keys = text(device / "capabilities/key").split()
        typing = bool(keys) and int(keys[-1], 16) & _DIGITS_AND_ENTER == _DIGITS_AND_ENTER
        if not event.name.startswith("event") or text(device / "id/bustype") != _USB or not typing:
            continue
        usb_id = f"{text(device / 'id/vendor')}:{text(device / 'id/product')}"
        is_typing_reader = usb_id == TYPING_READER
        node = f"/dev/input/{event.name}"
        obstacles = list(no_access(root, node))
        if is_typing_reader and not rule_mentions(root, usb_id):
            step = "install ours to /etc/udev/rules.d, then plug it in again"
            obstacles.append(Obstacle("no udev rule keeps it from the screen", step))
        name = text(device / "name") or "no name"
        yield Attached(
            f"a reader that types ({name})" if is_typing_reader else f"a keyboard, or a reader that types ({name})",
            usb_id,
            linked(root, ["/dev/input/by-path"], event.name) or node,
            ("hid-wedge",),
            tuple(obstacles),
        )


def _smart_cards(root: Path) -> Iterator[Attached]:
    missing: tuple[Obstacle, ...] | None = None
    for attached in pcsc_checks.attached(root):
        usb_id, _, what = attached.partition(" ")
        if missing is None:
            missing = pcsc_checks.problems(root, root_user=os.geteuid() == 0)
        yield Attached(what, usb_id, "", ("pcsc",), missing)


def _cameras(root: Path) -> Iterator[Attached]:
    for video in children(root / "sys/class/video4linux"):
        if text(video / "index") == "0":  # the others of a camera give no pictures
            node = f"/dev/{video.name}"
            name = linked(root, ["/dev/v4l/by-id", "/dev/v4l/by-path"], video.name) or node
            yield Attached(text(video / "name") or "camera", "", name, ("camera",), tuple(no_access(root, node)))


def _pins(root: Path) -> Iterator[Attached]:
    for chip in children(root / "sys/bus/gpio/devices"):
        node = f"/dev/{chip.name}"
        yield Attached("pins", "", node, ("gpio", "turnstile"), tuple(no_access(root, node)))
