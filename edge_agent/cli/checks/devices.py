"""Checks of readers and lights: what is plugged in, what is configured, and the obstacles between the two."""

import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from drivers.bench import discovery, osdp_key, pcsc_checks
from drivers.cards.osdp_reports import OsdpSettings
from drivers.errors import NotSupported
from drivers.installation import build_install_command
from drivers.obstacle import Disturbance, NoPermission, Obstacle
from edge_agent.cli.checks.finding import (
    ExaminedKiosk,
    Finding,
    FindingState,
    attention,
    error_finding,
    failure,
    good,
)
from edge_agent.cli.phrases import phrase
from edge_agent.settings.tables import DeviceSettings

_MODULES = {"osdp": "osdp_sys", "pcsc": "smartcard", "gpio": "gpiod", "mqtt": "paho"}
_PCSC, _PCSC_LAMP = "pcsc", "acr122u-light"


def check_attached(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding for each device on a serial port, and for each configured port that does not exist."""
    ports = {_port(device) for device in _configured_devices(kiosk)}
    attached = discovery.probe(kiosk.root)
    for device in attached:
        detail = " ".join(filter(None, (device.what, device.usb_id, device.port)))
        state = FindingState.FAILURE if device.port in ports else FindingState.ATTENTION
        obstacles = device.missing
        if kiosk.agent_uid is not None:  # the rights of the agent's user matter then, and not those of this one
            obstacles = tuple(obstacle for obstacle in obstacles if not isinstance(obstacle, NoPermission))
            obstacles += tuple(_obstacles_of_agent(kiosk, device.port))
        for obstacle in obstacles:
            disturbs = isinstance(obstacle, Disturbance)
            obstacle_state = FindingState.ATTENTION if disturbs else state
            yield Finding(
                "plugged in",
                obstacle_state,
                phrase("{detail}: {reason}", detail=detail, reason=obstacle.reason),
                obstacle.next_step,
            )
        if not obstacles:
            yield good(
                "plugged in", phrase("{detail}: fits {drivers}", detail=detail, drivers=" or ".join(device.drivers))
            )
    if not attached:
        yield good("plugged in", phrase("nothing on serial ports"))
    if kiosk.status is None:  # a running daemon reports its devices itself, and knows them better
        for configured in _configured_devices(kiosk):
            port = _port(configured)
            if port.startswith("/dev/") and not (kiosk.root / port[1:]).exists():
                yield failure(
                    phrase("device {name}", name=configured.name),
                    phrase("{port} does not exist", port=port),
                    phrase("plug it in; edge-agent devices probe"),
                )


def _obstacles_of_agent(kiosk: ExaminedKiosk, port: str) -> Iterator[Obstacle]:
    node = kiosk.root / port.removeprefix("/")
    if not port or not node.exists():
        return
    status = node.stat()
    needed = 0o600 if status.st_uid == kiosk.agent_uid else 0o060 if status.st_gid in kiosk.agent_groups else 0o006
    if status.st_mode & needed != needed:
        yield Obstacle(
            f"the agent's user may not open it (mode {stat.S_IMODE(status.st_mode):04o})",
            "install the udev rules and plug it in again; for a port of the board: adduser canteen dialout",
        )


def check_pcsc(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields what keeps smart card readers from working, if one is configured or plugged in."""
    drivers = {device.driver for device in _configured_devices(kiosk)}
    attached = pcsc_checks.attached(kiosk.root)
    configured = bool(drivers & {_PCSC, _PCSC_LAMP})
    if not configured and not attached:
        return
    obstacles = pcsc_checks.problems(kiosk.root, lamp=_PCSC_LAMP in drivers)
    state = FindingState.FAILURE if configured else FindingState.ATTENTION
    for obstacle in obstacles:
        yield Finding("pc/sc", state, obstacle.reason, obstacle.next_step)
    if not obstacles:
        yield good(
            "pc/sc",
            phrase("pcscd, polkit and kernel are ready; plugged in: {names}", names=", ".join(attached) or "nothing"),
        )


def check_extras(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding for each optional package that the configured devices need."""
    for device in _configured_devices(kiosk):
        if device.fault and kiosk.status is None:  # a running daemon tells it of each device by itself
            step = phrase("correct it in {path}, then: systemctl restart edge-agent", path=kiosk.loaded.path)
            yield failure(phrase("device {name}", name=device.name), device.fault, step)
    needed = {extra for device in _configured_devices(kiosk) if (extra := _extra(kiosk, device))}
    for extra in sorted(needed):
        module = _MODULES.get(extra, "")
        if module and find_spec(module) is None:
            yield failure("extras", phrase("{extra} is not installed", extra=extra), build_install_command(extra))
        else:
            yield good("extras", phrase("{extra} is installed", extra=extra))


def check_osdp_keys(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the key of each OSDP reader; no finding shows a key."""
    for device in _configured_devices(kiosk):
        if isinstance(device.options, OsdpSettings):
            part = phrase("key of {name}", name=device.name)
            if device.options.commissioning:
                yield attention(
                    part,
                    phrase("commissioning is true: any reader is believed"),
                    phrase("set it to false once the reader has its key"),
                )
            yield _check_osdp_key(kiosk, part, device.options.key_file)


def _check_osdp_key(kiosk: ExaminedKiosk, part: str, name: str) -> Finding:
    if not name:
        return attention(part, phrase("none yet"), "edge-agent devices commission NAME --key-file FILE")
    # The unit hands over the file of a plain name, from the folder of systemd's credentials.
    path = Path(name) if Path(name).is_absolute() else kiosk.root / "etc/credstore" / f"edge-agent.{name}"
    if path.is_relative_to(kiosk.root / "etc/credstore") and not path.exists():
        encrypted = kiosk.root / "etc/credstore.encrypted" / path.name
        if encrypted.exists():
            return good(part, phrase("{encrypted} exists", encrypted=encrypted))
    elif path.exists():
        path.open("rb").close()  # a user without the right to read gets that answer, and not "the key is bad"
    try:
        osdp_key.load(path)
    except NotSupported as error:
        return error_finding(part, error)
    return good(part, phrase("{path} holds one", path=path))


def check_plugins(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding for each driver of another package that the agent does not use."""
    for refused in kiosk.loaded.refused_plugins:
        name = refused.name or refused.distribution
        yield attention(
            "plug-ins",
            phrase("{name}: {reason}", name=name, reason=refused.obstacle.reason),
            refused.obstacle.next_step,
        )


def _configured_devices(kiosk: ExaminedKiosk) -> tuple[DeviceSettings, ...]:
    settings = kiosk.loaded.settings
    return (*settings.readers, *settings.indicators)


def _port(device: DeviceSettings) -> str:
    """Returns the device's port or chip; empty for a driver without a port."""
    return str(getattr(device.options, "port", "") or getattr(device.options, "chip", ""))


def _extra(kiosk: ExaminedKiosk, device: DeviceSettings) -> str:
    if getattr(device.options, "by", "") == "gpio":  # a turnstile on pins
        return "gpio"
    driver_entry = kiosk.loaded.drivers.get(device.driver)
    return driver_entry.extra if driver_entry is not None else ""
