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
from drivers.settings import nearest


class Kind(StrEnum):
    READER = "reader"
    INDICATOR = "indicator"


@dataclass(frozen=True, slots=True)
class Entry:
    """A driver as `devices list` shows it; `target` is `module:Class`."""

    kind: Kind
    target: str
    what: str  # the devices it is for
    protocol: str = ""  # its name for `devices decode` and for redaction; empty: no byte stream of its own
    extra: str = ""  # the optional dependency it needs
    camera: bool = False  # sees images of people: never captured
    switches: bool = False  # relays or pins, which stay as they were told: see `devices off`
    distribution: str = ""  # the package it came with; empty: ours. See `drivers.plugins`


DRIVERS: Mapping[str, Entry] = {
    "em4100": Entry(
        Kind.READER, "drivers.cards.em4100:Em4100", "RDM6300, RDM630, ID-12LA, ID-20LA (serial)", protocol="em4100"
    ),
    "ironlogic": Entry(
        Kind.READER, "drivers.cards.ironlogic:IronLogic", "Z-2 USB, Matrix-III RD-ALL (serial)", protocol="ironlogic"
    ),
    "pn532": Entry(Kind.READER, "drivers.cards.pn532:Pn532", "PN532 boards set to HSU (serial)", protocol="pn532"),
    "osdp": Entry(
        Kind.READER,
        "drivers.cards.osdp:Osdp",
        "OSDP v2 readers with a secure channel (RS-485)",
        protocol="osdp",
        extra="osdp",
    ),
    "osdp-light": Entry(
        Kind.INDICATOR,
        "drivers.indicators.osdp:OsdpLight",
        "lamp, buzzer and text of an OSDP reader (with its reader)",
        extra="osdp",
    ),
    "line": Entry(
        Kind.READER,
        "drivers.cards.line:Line",
        "QR and bar code scanners on USB-CDC, Wiegand converters (serial)",
        protocol="line",
    ),
    "hid-wedge": Entry(
        Kind.READER, "drivers.cards.hid_wedge:HidWedge", "card readers and scanners that type (USB)", protocol="hid"
    ),
    "zk-adms": Entry(Kind.READER, "drivers.palm.zk_adms:ZkAdms", "ZKTeco palm and face terminals that push (HTTP)"),
    "palm-bridge": Entry(
        Kind.READER, "drivers.palm.palm_bridge:PalmBridge", "a vendor's palm SDK in its own process (unix socket)"
    ),
    "pcsc": Entry(
        Kind.READER,
        "drivers.cards.pcsc:Pcsc",
        "ACR122U, ACR1252U, Omnikey (PC/SC)",
        protocol="pcsc",
        extra="pcsc",
    ),
    "camera": Entry(
        Kind.READER, "drivers.palm.camera:Camera", "palm cameras: USB (V4L2), network (RTSP, MJPEG)", camera=True
    ),
    "folder": Entry(
        Kind.READER, "drivers.palm.folder:Folder", "pictures of palms in a folder, played as by a camera", camera=True
    ),
    "simulated-palm-terminal": Entry(
        Kind.READER,
        "drivers.simulated.palm_terminal:SimulatedPalmTerminal",
        "a palm terminal that a demonstration feeds (unix socket)",
    ),
    "acr122u-light": Entry(
        Kind.INDICATOR,
        "drivers.indicators.acr122u:Acr122uLight",
        "lamp and buzzer of an ACR122U (with its reader)",
        extra="pcsc",
    ),
    "lcus": Entry(
        Kind.INDICATOR, "drivers.indicators.lights:Lcus", "lamps behind an LCUS USB relay board", switches=True
    ),
    "gpio": Entry(
        Kind.INDICATOR,
        "drivers.indicators.lights:Gpio",
        "lamps on pins of the board (gpiod 2)",
        extra="gpio",
        switches=True,
    ),
    "turnstile": Entry(
        Kind.INDICATOR,
        "drivers.indicators.turnstile:Turnstile",
        "a gate, in and out, by relay or pin pulses",
        switches=True,
    ),
    "simulated-light": Entry(
        Kind.INDICATOR, "drivers.simulated.light:SimulatedLight", "a light that writes down what it was asked to show"
    ),
}


def entry(driver: str, drivers: Mapping[str, Entry] = DRIVERS) -> Entry:
    """What the table says of this driver. Raises NotSupported naming the nearest known one."""
    try:
        return drivers[driver]
    except KeyError:
        raise NotSupported(f"no driver is named {driver!r}: {nearest(driver, drivers)}") from None


def reader_class(driver: str, drivers: Mapping[str, Entry] = DRIVERS) -> type[Reader]:
    loaded: type[Reader] = _load(driver, Kind.READER, drivers)
    return loaded


def indicator_class(driver: str, drivers: Mapping[str, Entry] = DRIVERS) -> type[Indicator]:
    loaded: type[Indicator] = _load(driver, Kind.INDICATOR, drivers)
    return loaded


def _load(driver: str, kind: Kind, drivers: Mapping[str, Entry]) -> Any:  # found by name: no checker can know it
    known = entry(driver, drivers)
    if known.kind is not kind:
        raise NotSupported(f"{driver} is no {kind} but an {known.kind}: move it to the table of {known.kind}s")
    module, _, cls = known.target.partition(":")
    try:
        return getattr(import_module(module), cls)
    except (ImportError, AttributeError) as error:  # without an extra or a distribution the fault is our own
        if known.distribution:
            raise NotSupported(
                f"{driver} of {known.distribution} cannot be imported: {error}; install it anew"
            ) from error
        if not known.extra:
            raise
        raise NotSupported(
            f"{driver} needs the extra {known.extra}: install canteen-edge-agent[{known.extra}]"
        ) from error
