import os
from pathlib import Path

import pytest

from drivers.discovery import Attached, probe


class Tree:
    """A small /sys and /dev."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    def usb(self, place: str, usb_id: str, *, serial: str = "", tty: str = "", product: str = "") -> None:
        """As in sysfs: a link under bus/usb/devices to the device's own folder."""
        device = f"sys/devices/usb1/{place}"
        vendor, _, number = usb_id.partition(":")
        self.write(f"{device}/idVendor", vendor)
        self.write(f"{device}/idProduct", number)
        if serial:
            self.write(f"{device}/serial", serial)
        if product:
            self.write(f"{device}/product", product)
        if tty.startswith("ttyUSB"):
            self.write(f"{device}/{place}:1.0/{tty}/tty/{tty}/dev", "188:0")
        elif tty:
            self.write(f"{device}/{place}:1.0/tty/{tty}/dev", "166:0")
        bus = self.root / "sys/bus/usb/devices"
        bus.mkdir(parents=True, exist_ok=True)
        (bus / place).symlink_to(self.root / device)

    def node(self, tty: str, **links: str) -> None:
        self.write(f"dev/{tty}")
        for kind, name in links.items():
            folder = self.root / "dev/serial" / kind.replace("_", "-")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(f"../../{tty}")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_nothing_attached_and_no_sysfs_at_all(tree: Tree) -> None:
    assert probe(tree.root) == ()


def test_an_adapter_with_a_serial_number_goes_by_id(tree: Tree) -> None:
    tree.usb("1-1", "0403:6001", serial="A50285BI", tty="ttyUSB0")
    tree.node("ttyUSB0", by_id="usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0", by_path="pci-0000:00:14.0-usb-0:1:1.0")
    [found] = probe(tree.root)
    assert found == Attached(
        "FTDI serial adapter",
        "0403:6001",
        "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0",
        ("em4100", "ironlogic"),
        (),
    )


def test_one_without_goes_by_path_since_two_of_them_share_a_name(tree: Tree) -> None:
    tree.usb("1-2", "1a86:7523", tty="ttyUSB1")
    tree.node("ttyUSB1", by_id="usb-1a86_USB_Serial-if00-port0", by_path="platform-usb-0:1.2:1.0-port0")
    [found] = probe(tree.root)
    assert found.port == "/dev/serial/by-path/platform-usb-0:1.2:1.0-port0"


def test_without_udev_the_node_itself(tree: Tree) -> None:
    tree.usb("1-2", "1a86:55d4", tty="ttyACM0")
    tree.node("ttyACM0")
    [found] = probe(tree.root)
    assert found.port == "/dev/ttyACM0"


def test_iron_logic_that_linux_does_not_bind_says_every_step(tree: Tree) -> None:
    tree.usb("1-3", "0403:1234", serial="IL03E3BH")
    [found] = probe(tree.root)
    assert (found.what, found.port, found.drivers) == ("Iron Logic Z-2 USB", "", ("ironlogic",))
    assert [word in step for step, word in zip(found.missing, ("modprobe", "udev rule", "new_id"), strict=True)]
    tree.write("sys/module/ftdi_sio/version")
    tree.write("etc/udev/rules.d/60-edge.rules", 'ATTR{idVendor}=="0403", ATTR{idProduct}=="1234"')
    [found] = probe(tree.root)
    [step] = found.missing
    assert "new_id" in step


def test_iron_logic_that_is_bound_misses_nothing(tree: Tree) -> None:
    tree.usb("1-3", "0403:1234", serial="IL03E3BH", tty="ttyUSB0")
    tree.node("ttyUSB0", by_id="usb-Iron_Logic_IL03E3BH-if00-port0")
    [found] = probe(tree.root)
    assert (found.port, found.missing) == ("/dev/serial/by-id/usb-Iron_Logic_IL03E3BH-if00-port0", ())


def test_a_known_adapter_without_its_module(tree: Tree) -> None:
    tree.usb("1-4", "10c4:ea60")
    [found] = probe(tree.root)
    assert "modprobe cp210x" in found.missing[0]


def test_an_unknown_device_with_a_serial_port_is_shown_by_its_own_name(tree: Tree) -> None:
    tree.usb("1-5", "abcd:0001", tty="ttyACM3", product="Some Reader")
    tree.node("ttyACM3")
    [found] = probe(tree.root)
    assert found.what == "Some Reader"


def test_mice_and_hubs_are_not_shown(tree: Tree) -> None:
    tree.usb("1-6", "046d:c077", product="USB Optical Mouse")
    assert probe(tree.root) == ()


def test_a_node_that_is_missing_or_closed_to_us(tree: Tree) -> None:
    tree.usb("1-1", "0403:6001", tty="ttyUSB0")
    [found] = probe(tree.root)
    assert "not there" in found.missing[0]
    tree.node("ttyUSB0")
    (tree.root / "dev/ttyUSB0").chmod(0)
    if os.geteuid() != 0:  # nothing is closed to root
        [found] = probe(tree.root)
        assert "group" in found.missing[0]


def test_the_boards_own_port_but_not_ports_without_a_chip(tree: Tree) -> None:
    tree.write("sys/class/tty/ttyAMA0/device/driver")
    tree.write("sys/class/tty/ttyS0/device/driver")
    tree.write("sys/class/tty/ttyS0/type", "0")
    tree.write("sys/class/tty/tty1/dev", "4:1")
    tree.node("ttyAMA0")
    [found] = probe(tree.root)
    assert (found.port, found.usb_id) == ("/dev/ttyAMA0", "")


def test_the_machine_it_runs_on_can_be_probed() -> None:
    assert isinstance(probe(), tuple)
