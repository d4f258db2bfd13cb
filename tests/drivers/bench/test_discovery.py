import os
from pathlib import Path

import pytest

from drivers.bench import discovery_input
from drivers.bench.discovery import ANY_SERIAL, KNOWN_DEVICES, Attached, probe
from drivers.bench.undriven import UNDRIVEN_DEVICES
from drivers.errors import NotSupported
from drivers.obstacle import Disturbance
from drivers.registry import DRIVERS, DriverKind, indicator_class, reader_class

CONFIG = Path(__file__).parents[3] / "config"


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
        ANY_SERIAL,
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
    assert [word in str(step) for step, word in zip(found.missing, ("modprobe", "udev rule", "new_id"), strict=True)]
    tree.write("sys/module/ftdi_sio/version")
    tree.write("etc/udev/rules.d/60-edge.rules", 'ATTR{idVendor}=="0403", ATTR{idProduct}=="1234"')
    [found] = probe(tree.root)
    [step] = found.missing
    assert "new_id" in str(step)


def test_iron_logic_that_is_bound_misses_nothing(tree: Tree) -> None:
    tree.usb("1-3", "0403:1234", serial="IL03E3BH", tty="ttyUSB0")
    tree.node("ttyUSB0", by_id="usb-Iron_Logic_IL03E3BH-if00-port0")
    [found] = probe(tree.root)
    assert (found.port, found.missing) == ("/dev/serial/by-id/usb-Iron_Logic_IL03E3BH-if00-port0", ())


def test_a_known_adapter_without_its_module(tree: Tree) -> None:
    tree.usb("1-4", "10c4:ea60")
    [found] = probe(tree.root)
    assert "modprobe cp210x" in str(found.missing[0])


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
    assert "not there" in str(found.missing[0])
    tree.node("ttyUSB0")
    (tree.root / "dev/ttyUSB0").chmod(0)
    if os.geteuid() != 0:  # nothing is closed to root
        [found] = probe(tree.root)
        assert "group" in str(found.missing[0])


def test_the_boards_own_port_but_not_ports_without_a_chip(tree: Tree) -> None:
    tree.write("sys/class/tty/ttyAMA0/device/driver")
    tree.write("sys/class/tty/ttyS0/device/driver")
    tree.write("sys/class/tty/ttyS0/type", "0")
    tree.write("sys/class/tty/tty1/dev", "4:1")
    tree.node("ttyAMA0")
    [found] = probe(tree.root)
    assert (found.port, found.usb_id) == ("/dev/ttyAMA0", "")


def test_every_driver_that_has_a_serial_port_may_hang_on_an_adapter() -> None:
    serial = set()
    for name, each in DRIVERS.items():
        try:
            cls = reader_class(name) if each.kind is DriverKind.READER else indicator_class(name)
        except NotSupported:
            continue
        fields = cls.Settings.__struct_fields__
        if "port" in fields and not {"host", "address"} & set(fields):  # there it is one of TCP
            serial.add(name)
    assert serial - {"osdp-light"} <= set(ANY_SERIAL) <= set(DRIVERS)


def keyboard(
    tree: Tree, event: str, usb_id: str, name: str, *, keys: str = "10000 7ff9fffff 1dfffffe", bus: str = "0003"
) -> None:
    """As in sysfs: the lowest keys stand last."""
    device = f"sys/class/input/{event}/device"
    vendor, _, product = usb_id.partition(":")
    for path, text in (("id/bustype", bus), ("id/vendor", vendor), ("id/product", product), ("name", name)):
        tree.write(f"{device}/{path}", text)
    tree.write(f"{device}/capabilities/key", keys)
    tree.write(f"dev/input/{event}")


def test_a_reader_that_types_goes_by_its_socket_and_must_be_kept_from_the_screen(tree: Tree) -> None:
    keyboard(tree, "event3", "ffff:0035", "HXGCoLtd Keyboard")
    (tree.root / "dev/input/by-path").mkdir()
    (tree.root / "dev/input/by-path/platform-usb-0:1.3:1.0-event-kbd").symlink_to("../event3")
    [found] = discovery_input.probe(tree.root)
    assert (found.usb_id, found.drivers) == ("ffff:0035", ("hid-wedge",))
    assert found.port == "/dev/input/by-path/platform-usb-0:1.3:1.0-event-kbd"
    assert found.what.startswith("a reader that types")
    [step] = found.missing
    assert "udev rule" in str(step)
    tree.write("etc/udev/rules.d/70.rules", 'ATTRS{idVendor}=="ffff", ATTRS{idProduct}=="0035"')
    [found] = discovery_input.probe(tree.root)
    assert found.missing == ()


def test_a_keyboard_is_shown_as_what_it_may_be_and_a_mouse_or_a_power_button_is_not(tree: Tree) -> None:
    keyboard(tree, "event0", "0000:0001", "Power Button", keys="10000000000000 0", bus="0019")
    keyboard(tree, "event1", "046d:c077", "USB Optical Mouse", keys="1f0000 0 0 0 0")
    keyboard(tree, "event2", "04d9:1603", "USB Keyboard")
    [found] = discovery_input.probe(tree.root)
    assert found.what == "a keyboard, or a reader that types (USB Keyboard)"
    assert (found.port, found.missing) == ("/dev/input/event2", ())


def test_a_smart_card_reader_says_what_keeps_it_from_working(tree: Tree) -> None:
    tree.usb("1-7", "072f:2200", product="ACR122U PICC Interface")
    tree.write("sys/module/pn533_usb/version")
    [found] = discovery_input.probe(tree.root)
    assert (found.what, found.usb_id, found.drivers) == ("ACR122U PICC Interface", "072f:2200", ("pcsc",))
    assert any("rmmod" in str(step) for step in found.missing)
    assert any("pcscd" in str(step) for step in found.missing)


def test_a_camera_by_its_lasting_name_and_the_pins_of_the_board(tree: Tree) -> None:
    for video, index in (("video0", "0"), ("video1", "1")):
        tree.write(f"sys/class/video4linux/{video}/index", index)
        tree.write(f"sys/class/video4linux/{video}/name", "NIR Camera")
        tree.write(f"dev/{video}")
    (tree.root / "dev/v4l/by-id").mkdir(parents=True)
    (tree.root / "dev/v4l/by-id/usb-NIR-video-index0").symlink_to("../../video0")
    tree.write("sys/bus/gpio/devices/gpiochip0/dev")
    camera, pins = discovery_input.probe(tree.root)
    assert (camera.what, camera.port, camera.drivers) == (
        "NIR Camera",
        "/dev/v4l/by-id/usb-NIR-video-index0",
        ("camera",),
    )
    assert (pins.port, pins.drivers) == ("/dev/gpiochip0", ("gpio", "turnstile"))
    assert "not there" in str(pins.missing[0])


def test_the_machine_it_runs_on_can_be_probed() -> None:
    assert isinstance(probe(), tuple)
    assert isinstance(discovery_input.probe(), tuple)


@pytest.mark.parametrize("usb_id", ["1a86:7523", "10c4:ea60", "0403:6001"])
def test_an_adapter_that_brltty_takes_is_named(tree: Tree, usb_id: str) -> None:
    tree.usb("1-2", usb_id)
    tree.write(f"sys/module/{KNOWN_DEVICES[usb_id].module}/version")
    [unknown_holder] = probe(tree.root)
    assert "if it says brltty: apt purge brltty" in str(unknown_holder.missing[0])
    tree.write("usr/bin/brltty")
    [installed] = probe(tree.root)
    assert "brltty is installed: it takes such adapters: apt purge brltty" in str(installed.missing[0])
    tree.write("proc/812/comm", "brltty")
    [running] = probe(tree.root)
    assert str(running.missing[0]).startswith("brltty has taken this adapter")


def test_an_adapter_that_a_program_holds_is_told_from_one_that_is_broken(tree: Tree) -> None:
    tree.usb("1-2", "1a86:7523")
    tree.write("sys/module/ch341/version")
    interface = tree.root / "sys/devices/usb1/1-2/1-2:1.0"
    interface.mkdir(parents=True)
    (interface / "driver").symlink_to("../../../../bus/usb/drivers/usbfs")
    [found] = probe(tree.root)
    assert str(found.missing[0]).startswith("another program has taken this adapter from the kernel")


def test_modem_manager_disturbs_until_a_rule_keeps_it_away(tree: Tree) -> None:
    tree.usb("1-2", "1a86:7523", tty="ttyUSB0")
    tree.node("ttyUSB0", by_path="usb-0:1:1.0-port0")
    assert probe(tree.root)[0].missing == ()
    tree.write("proc/77/comm", "ModemManager")
    [disturbance] = probe(tree.root)[0].missing
    assert isinstance(disturbance, Disturbance)
    assert "systemctl disable --now ModemManager" in str(disturbance)
    tree.write("etc/udev/rules.d/70-edge-agent.rules", '# ATTRS{idVendor}=="1a86", ENV{ID_MM_DEVICE_IGNORE}="1"')
    assert probe(tree.root)[0].missing == (disturbance,)
    tree.write("etc/udev/rules.d/70-edge-agent.rules", (CONFIG / "udev/70-edge-agent.rules").read_text("utf-8"))
    assert probe(tree.root)[0].missing == ()


@pytest.mark.parametrize(
    ("usb_id", "product", "what", "step"),
    [
        ("16c0:05df", "USBRelay2", "USB relay board as a HID device", "driver lcus"),
        ("16c0:05df", "Panda Display", "HID device under a shared number", "driver lcus"),
        ("5131:2007", "", "LCUS relay board as a HID device, or", "driver lcus"),
        ("0403:1235", "", "Iron Logic Z-397", "Z-2 USB"),
        ("04c5:1526", "", "PalmSecure-F Pro", "palm-bridge"),
        ("7985:1001", "", "PVM310", "palm-bridge"),
    ],
)
def test_a_device_without_a_driver_is_named_with_what_to_do(
    tree: Tree, usb_id: str, product: str, what: str, step: str
) -> None:
    tree.usb("1-7", usb_id, product=product)
    [found] = probe(tree.root)
    assert found.what.startswith(what) or what in found.what
    assert found.drivers == ()
    assert step in str(found.missing[0])


def test_a_star_printer_is_no_relay(tree: Tree) -> None:
    tree.usb("1-8", "0519:2018", product="TSP100")
    assert probe(tree.root) == ()


def test_no_device_has_a_driver_and_none() -> None:
    assert not KNOWN_DEVICES.keys() & UNDRIVEN_DEVICES.keys()
