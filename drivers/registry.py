"""The one table of drivers: name → where its class is. Nothing is imported until it is asked for.

To add a driver, add a line. Every class is built alike:

    Class(name, settings, *, clock=time.monotonic_ns, tap=None, transport=None)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any

from drivers.base import Indicator, Reader
from drivers.errors import NotSupported
from drivers.installation import build_install_command
from drivers.settings import nearest


class DriverKind(StrEnum):
    READER = "reader"
    INDICATOR = "indicator"


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """A driver as `devices list` shows it; `target` is `module:Class`."""

    kind: DriverKind
    target: str
    what: str  # the devices it is for
    protocol: str = ""  # its name for `devices decode` and for redaction; empty: no byte stream of its own
    extra: str = ""  # the optional dependency it needs
    camera: bool = False  # sees images of people: never captured
    keeps_rows: bool = False  # a terminal that calls us, and tells late what it saw while nobody answered
    switches: bool = False  # relays or pins, which stay as they were switched: see `devices off`
    distribution: str = ""  # the package it came with; empty: ours. See `drivers.plugins`


DRIVERS: Mapping[str, DriverEntry] = {
    "em4100": DriverEntry(
        DriverKind.READER,
        "drivers.cards.em4100:Em4100",
        "RDM6300, RDM630, ID-12LA, ID-20LA (serial)",
        protocol="em4100",
    ),
    "ironlogic": DriverEntry(
        DriverKind.READER,
        "drivers.cards.ironlogic:IronLogic",
        "Z-2 USB, Matrix-III RD-ALL (serial)",
        protocol="ironlogic",
    ),
    "pn532": DriverEntry(
        DriverKind.READER, "drivers.cards.pn532:Pn532", "PN532 boards set to HSU (serial)", protocol="pn532"
    ),
    "osdp": DriverEntry(
        DriverKind.READER,
        "drivers.cards.osdp:Osdp",
        "OSDP v2 readers with a secure channel (RS-485)",
        protocol="osdp",
        extra="osdp",
    ),
    "osdp-light": DriverEntry(
        DriverKind.INDICATOR,
        "drivers.indicators.osdp:OsdpLight",
        "lamp, buzzer and text of an OSDP reader (with its reader)",
        extra="osdp",
    ),
    "line": DriverEntry(
        DriverKind.READER,
        "drivers.cards.line:LineReader",
        "QR and bar code scanners on USB-CDC, Wiegand converters (serial)",
        protocol="line",
    ),
    "hid-wedge": DriverEntry(
        DriverKind.READER,
        "drivers.cards.hid_wedge:HidWedge",
        "card readers and scanners that type (USB)",
        protocol="hid",
    ),
    "zk-adms": DriverEntry(
        DriverKind.READER,
        "drivers.palm.zk_adms:ZkAdms",
        "ZKTeco palm and face terminals that push (HTTP)",
        keeps_rows=True,
    ),
    "hikvision": DriverEntry(
        DriverKind.READER,
        "drivers.network.hikvision:Hikvision",
        "Hikvision face terminals that push: DS-K1T, MinMoe (HTTP)",
        keeps_rows=True,
    ),
    "http-gate": DriverEntry(
        DriverKind.READER,
        "drivers.network.http_gate:HttpGate",
        "gates and access control systems that post JSON: Sigur, PERCo-Web (HTTP)",
        keeps_rows=True,
    ),
    "mqtt": DriverEntry(
        DriverKind.READER,
        "drivers.network.mqtt:Mqtt",
        "readers on ESP32: ESPHome, Tasmota (MQTT broker)",
        extra="mqtt",
    ),
    "zk-4370": DriverEntry(
        DriverKind.READER,
        "drivers.network.zk_4370:Zk4370",
        "ZKTeco terminals that are called on port 4370 (TCP, UDP)",
        keeps_rows=True,
    ),
    "palm-bridge": DriverEntry(
        DriverKind.READER, "drivers.palm.palm_bridge:PalmBridge", "a vendor's palm SDK in its own process (unix socket)"
    ),
    "pcsc": DriverEntry(
        DriverKind.READER,
        "drivers.cards.pcsc:Pcsc",
        "ACR122U, ACR1252U, Omnikey (PC/SC)",
        protocol="pcsc",
        extra="pcsc",
    ),
    "camera": DriverEntry(
        DriverKind.READER,
        "drivers.palm.camera:CameraReader",
        "palm cameras: USB (V4L2), network (RTSP, MJPEG)",
        camera=True,
    ),
    "folder": DriverEntry(
        DriverKind.READER,
        "drivers.palm.folder:Folder",
        "pictures of palms in a folder, played as by a camera",
        camera=True,
    ),
    "simulated-palm-terminal": DriverEntry(
        DriverKind.READER,
        "drivers.simulated.palm_terminal:SimulatedPalmTerminal",
        "a palm terminal that a demonstration feeds (unix socket)",
    ),
    "acr122u-light": DriverEntry(
        DriverKind.INDICATOR,
        "drivers.indicators.acr122u:Acr122uLight",
        "lamp and buzzer of an ACR122U (with its reader)",
        extra="pcsc",
    ),
    "lcus": DriverEntry(
        DriverKind.INDICATOR, "drivers.indicators.lights:Lcus", "lamps behind an LCUS USB relay board", switches=True
    ),
    "gpio": DriverEntry(
        DriverKind.INDICATOR,
        "drivers.indicators.lights:Gpio",
        "lamps on pins of the board (gpiod 2)",
        extra="gpio",
        switches=True,
    ),
    "turnstile": DriverEntry(
        DriverKind.INDICATOR,
        "drivers.indicators.turnstile:Turnstile",
        "a gate, in and out, by relay or pin pulses",
        switches=True,
    ),
    "simulated-light": DriverEntry(
        DriverKind.INDICATOR,
        "drivers.simulated.light:SimulatedLight",
        "a light that writes down what it was asked to show",
    ),
}


def entry(driver: str, drivers: Mapping[str, DriverEntry] = DRIVERS) -> DriverEntry:
    """Returns this driver's entry in the table. Raises NotSupported naming the nearest known one."""
    try:
        return drivers[driver]
    except KeyError:
        raise NotSupported(f"no driver is named {driver!r}: {nearest(driver, drivers)}") from None


def reader_class(driver: str, drivers: Mapping[str, DriverEntry] = DRIVERS) -> type[Reader]:
    loaded: type[Reader] = _load(driver, DriverKind.READER, drivers)
    return loaded


def indicator_class(driver: str, drivers: Mapping[str, DriverEntry] = DRIVERS) -> type[Indicator]:
    loaded: type[Indicator] = _load(driver, DriverKind.INDICATOR, drivers)
    return loaded


def _load(
    driver: str, kind: DriverKind, drivers: Mapping[str, DriverEntry]
) -> Any:  # found by name: no checker can know it
    driver_entry = entry(driver, drivers)
    if driver_entry.kind is not kind:
        raise NotSupported(
            f"{driver} is no {kind} but an {driver_entry.kind}: move it to the table of {driver_entry.kind}s"
        )
    module, _, cls = driver_entry.target.partition(":")
    try:
        return getattr(import_module(module), cls)
    except (ImportError, AttributeError, OSError) as error:  # OSError: a library that cannot be loaded
        if driver_entry.distribution:
            raise NotSupported(
                f"{driver} of {driver_entry.distribution} cannot be imported ({error})", "install it anew"
            ) from error
        if not driver_entry.extra:
            raise NotSupported(f"{driver} cannot be imported ({error})", "install the agent anew") from error
        raise NotSupported(
            f"{driver} needs the extra {driver_entry.extra}, which is not installed",
            build_install_command(driver_entry.extra),
        ) from error
    except Exception as error:
        if not driver_entry.distribution:
            raise
        # Another's code runs here, and may raise anything.
        reason = f"{driver} of {driver_entry.distribution} fails at its import ({type(error).__name__})"
        raise NotSupported(reason, "install it anew, or tell its maker") from error
