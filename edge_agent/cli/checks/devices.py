"""Readers and lights: what is plugged in, what is configured, and what is missing between the two."""

import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from drivers import registry
from drivers.bench import discovery, osdp_key, pcsc_checks
from drivers.cards.osdp_reports import OsdpSettings
from drivers.errors import NotSupported
from edge_agent.cli.checks.finding import Finding, Kiosk, State, fails, look, ok, split
from edge_agent.settings import DeviceSettings

_MODULES = {"osdp": "osdp_sys", "pcsc": "smartcard", "gpio": "gpiod"}
_PCSC, _PCSC_LAMP = "pcsc", "acr122u-light"


def attached(kiosk: Kiosk) -> Iterator[Finding]:
    ports = {_port(device) for device in _configured(kiosk)}
    found = discovery.probe(kiosk.root)
    for each in found:
        detail = " ".join(filter(None, (each.what, each.usb_id, each.port)))
        says = fails if each.port in ports else look
        missing = each.missing
        if kiosk.agent_uid is not None:  # what this user may open is of no interest then, but what that one may
            missing = tuple(todo for todo in missing if not todo.startswith("no permission"))
            missing += tuple(_not_the_agents(kiosk, each.port))
        for todo in missing:
            wrong, _, step = todo.partition(": ")
            yield says("plugged in", f"{detail}: {wrong}", step or "edge-agent devices probe")
        if not missing:
            yield ok("plugged in", f"{detail}: fits {' or '.join(each.drivers)}")
    if not found:
        yield ok("plugged in", "nothing on serial ports")
    if kiosk.status is None:  # a running daemon tells better which are there
        for device in _configured(kiosk):
            port = _port(device)
            if port.startswith("/dev/") and not (kiosk.root / port[1:]).exists():
                yield fails(f"device {device.name}", f"{port} is not there", "plug it in; edge-agent devices probe")


def _not_the_agents(kiosk: Kiosk, port: str) -> Iterator[str]:
    node = kiosk.root / port.removeprefix("/")
    if not port or not node.exists():
        return
    found = node.stat()
    needed = 0o600 if found.st_uid == kiosk.agent_uid else 0o060 if found.st_gid in kiosk.agent_groups else 0o006
    if found.st_mode & needed != needed:
        yield (
            f"the agent's user may not open it (mode {stat.S_IMODE(found.st_mode):04o}): install the udev rules and "
            "plug it in again; ports of the board: adduser canteen dialout"
        )


def pcsc(kiosk: Kiosk) -> Iterator[Finding]:
    drivers = {device.driver for device in _configured(kiosk)}
    there = pcsc_checks.attached(kiosk.root)
    configured = bool(drivers & {_PCSC, _PCSC_LAMP})
    if not configured and not there:
        return
    problems = pcsc_checks.problems(kiosk.root, lamp=_PCSC_LAMP in drivers)
    for problem in problems:
        yield split("pc/sc", State.FAILS if configured else State.LOOK, problem, between=": ")
    if not problems:
        yield ok("pc/sc", f"pcscd, polkit and kernel are ready; plugged in: {', '.join(there) or 'nothing'}")


def extras(kiosk: Kiosk) -> Iterator[Finding]:
    wanted = {extra for device in _configured(kiosk) if (extra := _extra(kiosk, device))}
    for extra in sorted(wanted):
        module = _MODULES.get(extra, "")
        if module and find_spec(module) is None:
            yield fails("extras", f"{extra} is not installed", f"pip install canteen-edge-agent[{extra}]")
        else:
            yield ok("extras", f"{extra} is installed")


def osdp_keys(kiosk: Kiosk) -> Iterator[Finding]:
    for device in _configured(kiosk):
        if isinstance(device.options, OsdpSettings):
            part = f"key of {device.name}"
            if device.options.commissioning:
                yield look(part, "commissioning is true: cards may come from anybody", "set it to false with the key")
            yield _key(kiosk, part, device.options.key_file)


def _key(kiosk: Kiosk, part: str, name: str) -> Finding:
    if not name:
        return look(part, "none yet", "edge-agent devices commission NAME --key-file FILE")
    # A plain name is handed over by the unit, from the folder of systemd's credentials.
    path = Path(name) if Path(name).is_absolute() else kiosk.root / "etc/credstore" / f"edge-agent.{name}"
    if path.is_relative_to(kiosk.root / "etc/credstore") and not path.exists():
        encrypted = kiosk.root / "etc/credstore.encrypted" / path.name
        if encrypted.exists():
            return ok(part, f"{encrypted} is there")
    elif path.exists():
        path.open("rb").close()  # whoever may not read it is told so, and not that the key is bad
    try:
        osdp_key.load(path)
    except NotSupported as error:
        return split(part, State.FAILS, str(error), between=": ")
    return ok(part, f"{path} holds one")


def plugins(kiosk: Kiosk) -> Iterator[Finding]:
    for each in kiosk.loaded.refused_plugins:
        detail, _, step = each.why.rpartition(": ")
        name = each.name or each.distribution
        yield look("plug-ins", f"{name}: {detail or each.why}", step if detail else "edge-agent devices list")


def _configured(kiosk: Kiosk) -> tuple[DeviceSettings, ...]:
    settings = kiosk.loaded.settings
    return (*settings.readers, *settings.indicators)


def _port(device: DeviceSettings) -> str:
    """Where it hangs; empty for a driver that has no port."""
    return str(getattr(device.options, "port", "") or getattr(device.options, "chip", ""))


def _extra(kiosk: Kiosk, device: DeviceSettings) -> str:
    if getattr(device.options, "by", "") == "gpio":  # a turnstile on pins
        return "gpio"
    return registry.entry(device.driver, kiosk.loaded.drivers).extra
