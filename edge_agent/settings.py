"""The settings file: one TOML, every default of the agent here, every fault named.

A driver's own keys stand in its class (`Settings`), because a driver may come from elsewhere. They are checked here,
with the rest, when the file is read. Secrets never stand in the file: they are files in the credentials folder.
"""

import os
import re
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, field

from drivers import plugins, registry
from drivers import settings as checks
from drivers.base import DriverSettings
from drivers.errors import NotSupported
from drivers.plugins import RefusedPlugin
from drivers.registry import DriverEntry
from edge_agent.errors import SettingsWrong

PATH_DEFAULT = Path("/etc/edge-agent/agent.toml")
PATH_VARIABLE = "EDGE_AGENT_CONFIG"  # in the environment: another path

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Days = Annotated[int, Meta(ge=0, le=3_650)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
LanguageCode = Literal["kk", "ru", "en"]
Direction = Literal["both", "in", "out"]
OnOff = Literal["off", "on"]
Level = Literal["TRAFFIC", "DEBUG", "INFO", "WARNING", "ERROR"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file. A key that it does not know is a fault."""


class KioskSettings(_Section, frozen=True, kw_only=True):
    """The `[kiosk]` table: name, school and folders of this kiosk."""

    name: str = "kiosk"  # what staff call it
    school: str = ""  # the ledger's id of the school; registering fills it in, and must agree with it
    timezone: str = "Asia/Almaty"
    language: LanguageCode = "kk"
    state_dir: Path = Path("/var/lib/edge-agent")  # journal, device key, identity
    run_dir: Path = Path("/run/edge-agent")  # control socket


class RulesSettings(_Section, frozen=True, kw_only=True):
    """The `[rules]` table: the times that decide about a meal."""

    debounce_s: Seconds = 5.0
    stay_min_s: Seconds = 60.0
    early_s: Seconds = 0.0  # how long before its start a session already counts
    late_s: Seconds = 0.0  # and how long after its end
    leave_s: Seconds = 3_600.0  # how long after a session's end an exit still ends its visit
    unplaced_s: Seconds = 2_700.0  # how long a visit of which the clock could not say the session stays open
    roster_age_max_s: Annotated[float, Meta(ge=60, le=366 * 86_400)] = 3 * 86_400.0  # older: judged again later
    confirm_unknown_ms: Annotated[int, Meta(ge=0, le=10_000)] = 500  # a second equal frame of an unknown card
    unknown_per_minute: Annotated[int, Meta(ge=1, le=600)] = 20


class JournalSettings(_Section, frozen=True, kw_only=True):
    """The `[journal]` table: how long rows stay, and how much disk is held in reserve."""

    keep_days: Annotated[int, Meta(ge=7, le=3_650)] = 90  # acknowledged rows stay at least this long
    ballast_mib: Annotated[int, Meta(ge=0, le=1_024)] = 32  # given up when the disk is full


class LedgerSettings(_Section, frozen=True, kw_only=True):
    """The `[ledger]` table: how often and how patiently the ledger is asked."""

    ca_file: Path | None = None  # instead of the system's authorities
    roster_interval_s: Annotated[float, Meta(ge=0.1, le=86_400)] = 120.0
    heartbeat_s: Annotated[float, Meta(ge=0.1, le=86_400)] = 60.0
    timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 20.0
    retry_max_s: Annotated[float, Meta(ge=0.1, le=900)] = 900.0


class ScreenSettings(_Section, frozen=True, kw_only=True):
    """The `[screen]` table: the page for child and staff."""

    enabled: bool = True
    port: Port = 8640  # on loopback only
    operators: tuple[str, ...] = ()  # names of the staff to choose from on the staff's page


class PalmSettings(_Section, frozen=True, kw_only=True):
    """The `[palm]` table: how palms are recognised before a camera."""

    enabled: bool = True  # pictures of cameras are looked at; card readers and outside terminals need none of this
    fpir: Annotated[float, Meta(ge=1e-6, le=0.05)] = 0.001  # share of strangers who may be taken for somebody here
    margin: Annotated[float, Meta(ge=0, le=0.3)] = 0.04  # agreement by which the second person must stay behind
    frames: Annotated[int, Meta(ge=1, le=3)] = 2  # good pictures of one hand that are judged together
    with_card: Literal["off", "confirm"] = "off"  # who comes by card and is known by the palm is asked for it as well
    with_card_s: Annotated[float, Meta(ge=2, le=30)] = 8.0  # so long card and palm of one visitor belong together
    adapt: OnOff = "off"  # learn, at most once a week, from a very sure recognition: palms grow
    liveness: OnOff = "off"  # look for prints and screens held up instead of a hand
    look_s: Annotated[float, Meta(ge=0.2, le=10)] = 1.5  # after so long what has been seen must do


class LogSettings(_Section, frozen=True, kw_only=True):
    """The `[log]` table."""

    level: Level = "INFO"


class DriversSettings(_Section, frozen=True, kw_only=True):
    """The `[drivers]` table: whose drivers are trusted."""

    allowed: tuple[str, ...] = ()  # distributions whose drivers are trusted; installed does not mean trusted


class DeviceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[readers]]` or `[[indicators]]` table: the agent's own keys, and the driver's, checked by its class."""

    name: str
    driver: str
    direction: Direction = "both"  # of a reader: entry, exit, or as the visit asks
    options: DriverSettings = field(default_factory=DriverSettings)
    fault: str = ""  # why this device cannot be used, and what to do; the others work all the same


_SECTIONS = ("kiosk", "rules", "journal", "ledger", "screen", "palm", "log", "drivers")


class Settings(_Section, frozen=True, kw_only=True):
    """The whole file, with a default for each key that it leaves out."""

    kiosk: KioskSettings = field(default_factory=KioskSettings)
    rules: RulesSettings = field(default_factory=RulesSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    palm: PalmSettings = field(default_factory=PalmSettings)
    log: LogSettings = field(default_factory=LogSettings)
    drivers: DriversSettings = field(default_factory=DriversSettings)
    readers: tuple[DeviceSettings, ...] = ()
    indicators: tuple[DeviceSettings, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """Returns the school's time zone."""
        return ZoneInfo(self.kiosk.timezone)


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
        for section in _SECTIONS:
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
    for name in _SECTIONS:
        section_type = type(getattr(Settings(), name))
        sections[name] = _section(raw.get(name, {}), section_type, name, faults, file_keys)
    allowed = sections["drivers"].allowed if isinstance(sections["drivers"], DriversSettings) else ()
    plugin_drivers = plugins.load(allowed)
    drivers = {**registry.DRIVERS, **plugin_drivers.drivers}
    for kind in ("readers", "indicators"):
        sections[kind] = _devices(raw.get(kind, []), kind, drivers, plugin_drivers.refused, faults, file_keys)
    faults.extend(_zone_fault(sections["kiosk"]))
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


def read_credential(name: str, environ: Mapping[str, str] = os.environ) -> bytes | None:
    """Returns a secret from systemd's credentials folder without its final newline; None where there is none."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    try:
        return (Path(folder) / name).read_bytes().rstrip(b"\r\n")
    except FileNotFoundError:
        return None
