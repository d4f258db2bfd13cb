"""The settings file: one TOML, read whole, every fault named.

A driver's own keys are checked here, with the rest, when the file is read. Secrets never stand in the file: they are
files in the credentials folder.
"""

import re
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from drivers import plugins, registry
from drivers import settings as checks
from drivers.errors import NotSupported
from drivers.plugins import RefusedPlugin
from drivers.registry import DriverEntry
from edge_agent.errors import SettingsWrong
from edge_agent.settings.tables import (
    SECTIONS,
    DeviceSettings,
    Direction,
    DriversSettings,
    KioskSettings,
    ScreenSettings,
    Settings,
    TabletsSettings,
)

PATH_DEFAULT = Path("/etc/edge-agent/agent.toml")
PATH_VARIABLE = "EDGE_AGENT_CONFIG"  # in the environment: another path


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings in force, the file they came from, which keys that file set, and the drivers that it may name."""

    settings: Settings
    path: Path
    file_keys: frozenset[str]
    drivers: Mapping[str, DriverEntry]
    refused_plugins: tuple[RefusedPlugin, ...]  # drivers of other packages that are not taken, and why

    @property
    def device_faults(self) -> tuple[str, ...]:
        """The devices that cannot be used, each with the reason and what to do."""
        devices = (*self.settings.readers, *self.settings.indicators)
        return tuple(device.fault for device in devices if device.fault)

    def list_values(self) -> Iterator[tuple[str, object, str]]:
        """Yields key, value and source of everything in force; the source is the file, or `default`."""
        source = str(self.path)
        for section in SECTIONS:
            values = getattr(self.settings, section)
            for name in values.__struct_fields__:
                key = f"{section}.{name}"
                yield key, getattr(values, name), source if key in self.file_keys else "default"
        for kind in ("readers", "indicators"):
            for index, device in enumerate(getattr(self.settings, kind)):
                for name in ("name", "driver", "direction"):
                    if kind == "readers" or name != "direction":
                        key = f"{kind}[{index}].{name}"
                        yield key, getattr(device, name), source if key in self.file_keys else "default"
                for name in device.options.__struct_fields__:
                    key = f"{kind}[{index}].{name}"
                    yield key, getattr(device.options, name), source if key in self.file_keys else "driver's default"


def load_settings(path: Path) -> LoadedSettings:
    """Returns the settings of this file. Raises `SettingsWrong`, naming every fault it has.

    A fault of one device alone stands in its `fault`: the others work.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise SettingsWrong(
            f"{path}: there is no such file; copy agent.example.toml there, or name another with --config"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsWrong(f"{path}: cannot be read: {error}; mend its rights or save it as UTF-8") from error
    return parse_settings(text, path)


def parse_settings(text: str, path: Path) -> LoadedSettings:
    """Returns the settings in this text; `path` names it in messages. Raises `SettingsWrong`, naming every fault.

    A fault of one device alone stands in its `fault`: the others work.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsWrong(f"{path}: not TOML: {error}") from error
    faults: list[str] = []
    file_keys: set[str] = set()
    sections: dict[str, object] = {}
    section_names = Settings.__struct_fields__
    faults.extend(
        f"{name}: nobody knows this table; {checks.nearest(name, section_names)}"
        for name in raw
        if name not in section_names
    )
    for name in SECTIONS:
        section_type = type(getattr(Settings(), name))
        sections[name] = _section(raw.get(name, {}), section_type, name, faults, file_keys)
    allowed = sections["drivers"].allowed if isinstance(sections["drivers"], DriversSettings) else ()
    plugin_drivers = plugins.load(allowed)
    drivers = {**registry.DRIVERS, **plugin_drivers.drivers}
    for kind in ("readers", "indicators"):
        sections[kind] = _devices(raw.get(kind, []), kind, drivers, plugin_drivers.refused, faults, file_keys)
    faults.extend(_zone_fault(sections["kiosk"]))
    faults.extend(_network_faults(sections["tablets"]))
    if isinstance(sections["tablets"], TabletsSettings) and isinstance(sections["screen"], ScreenSettings):
        faults.extend(_lone_tablets_fault(sections["tablets"], sections["screen"]))
    if faults:
        raise SettingsWrong("\n".join(f"{path}: {fault}" for fault in faults))
    return LoadedSettings(
        msgspec.convert(sections, Settings), path, frozenset(file_keys), drivers, plugin_drivers.refused
    )


def _zone_fault(kiosk: object) -> Iterator[str]:
    if isinstance(kiosk, KioskSettings):
        try:
            ZoneInfo(kiosk.timezone)
        except (KeyError, ValueError, OSError):
            yield f"kiosk.timezone: found {kiosk.timezone!r}; accepted: an IANA name such as 'Asia/Almaty'"


def _network_faults(tablets: object) -> Iterator[str]:
    if isinstance(tablets, TabletsSettings):
        for network in tablets.networks:
            try:
                ip_network(network)
            except ValueError as error:
                yield f"tablets.networks: found {network!r} ({error}); accepted: a network such as '192.168.1.0/24'"


def _lone_tablets_fault(tablets: TabletsSettings, screen: ScreenSettings) -> Iterator[str]:
    if tablets.enabled and not screen.enabled:
        yield "tablets.enabled: tablets are paired at the kiosk's own screen; accepted: with screen.enabled = true"


SectionType = TypeVar("SectionType", bound=msgspec.Struct)


def _section(
    table: object, kind: type[SectionType], prefix: str, faults: list[str], file_keys: set[str]
) -> SectionType | None:
    """Returns one table as its struct; None where it has faults, and then all of them are in `faults`."""
    if not isinstance(table, Mapping):
        faults.append(f"{prefix}: found {table!r}; accepted: a table, [{prefix}]")
        return None
    wrong = list(checks.faults(kind, table))
    faults.extend(f"{prefix}.{fault}{_secret_warning(fault.key)}" for fault in wrong)
    file_keys.update(f"{prefix}.{key}" for key in table)
    return None if wrong else checks.parse(kind, table)


def _devices(
    tables: object,
    kind: str,
    drivers: Mapping[str, DriverEntry],
    refused: Sequence[RefusedPlugin],
    faults: list[str],
    file_keys: set[str],
) -> tuple[DeviceSettings, ...]:
    if not isinstance(tables, list):
        faults.append(f"{kind}: found {tables!r}; accepted: a list of tables, [[{kind}]]")
        return ()
    devices: list[DeviceSettings] = []
    for index, table in enumerate(tables):
        prefix = f"{kind}[{index}]"
        if not isinstance(table, Mapping):
            faults.append(f"{prefix}: found {table!r}; accepted: a table, [[{kind}]]")
            continue
        device_faults: list[str] = []
        device = _device(table, kind, prefix, drivers, refused, device_faults, file_keys)
        names = {earlier.name for earlier in devices}
        if device is not None and device.name in names:
            device_faults.append(f"{prefix}.name: found {device.name!r} twice; accepted: a name of its own for each")
        if device is None or device_faults:
            device = _unusable_device(table, f"{kind}-{index}", names, device_faults)
        devices.append(device)
    return tuple(devices)


def _unusable_device(
    table: Mapping[str, Any], name_instead: str, names: Container[str], device_faults: Sequence[str]
) -> DeviceSettings:
    """Returns a device that is shown with its faults and never opened, under its own name where that can be."""
    name = table.get("name")
    sound = isinstance(name, str) and re.fullmatch(_DEVICE_NAME, name) and name not in names
    return DeviceSettings(
        name=str(name) if sound else name_instead, driver=str(table.get("driver", "?")), fault="; ".join(device_faults)
    )


_DEVICE_NAME = r"^[a-z0-9][a-z0-9_-]{0,31}$"


class _DeviceHead(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's own keys in a device's table; the rest are the driver's."""

    name: Annotated[str, Meta(pattern=_DEVICE_NAME)]
    driver: str
    direction: Direction = "both"


def _device(
    table: Mapping[str, Any],
    kind: str,
    prefix: str,
    drivers: Mapping[str, DriverEntry],
    refused: Sequence[RefusedPlugin],
    faults: list[str],
    file_keys: set[str],
) -> DeviceSettings | None:
    own_keys = set(_DeviceHead.__struct_fields__)
    if kind == "indicators":
        own_keys.discard("direction")
    head = _section(
        {key: value for key, value in table.items() if key in own_keys}, _DeviceHead, prefix, faults, file_keys
    )
    if head is None:
        return None
    find = registry.reader_class if kind == "readers" else registry.indicator_class
    try:
        driver = find(head.driver, drivers)
    except NotSupported as error:
        why = next((plugin.why for plugin in refused if plugin.name == head.driver), str(error))
        faults.append(f"{prefix}.driver: {why}")
        return None
    options = _section(
        {key: value for key, value in table.items() if key not in own_keys}, driver.Settings, prefix, faults, file_keys
    )
    if options is None:
        return None
    return DeviceSettings(name=head.name, driver=head.driver, direction=head.direction, options=options)


_SECRET_WORDS = ("secret", "password", "token", "pin", "private", "key")


def _secret_warning(key: str) -> str:
    if any(word in key.lower() for word in _SECRET_WORDS):
        return " (secrets never stand in this file: they are files in the credentials folder)"
    return ""
