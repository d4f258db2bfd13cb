"""The tables of the settings file, with every default of the agent.

A driver's own keys stand in its class (`Settings`), because a driver may come from elsewhere.
"""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, field

from drivers.base import DriverSettings

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
    sound: Literal["on", "quiet", "off"] = "on"  # of the child's page
    speech: OnOff = "off"  # the child's page says its messages in Kazakh and Russian, behind the melody
    hall: OnOff = (
        "on"  # children see the kiosk's own screen: the staff's page on it names no payers, and goes back by itself
    )
    guest_payers: tuple[str, ...] = ("guest", "staff", "paid")  # programmes of the tariff book that pay for guests
    operators: tuple[str, ...] = ()  # names of the staff to choose from on the staff's page


class TabletsSettings(_Section, frozen=True, kw_only=True):
    """The `[tablets]` table: the staff's page on paired tablets and phones, over TLS in the school's network."""

    enabled: bool = False
    port: Port = 8641
    certificate_port: Port = (
        8642  # without TLS, while a pairing is open: from there a tablet gets the kiosk's certificate
    )
    name: Annotated[str, Meta(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.local)?$")] = ""  # empty: the host's name
    networks: tuple[str, ...] = ()  # such as "192.168.1.0/24": only there; none: at every private address


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


SECTIONS = ("kiosk", "rules", "journal", "ledger", "screen", "tablets", "palm", "log", "drivers")


class Settings(_Section, frozen=True, kw_only=True):
    """The whole file, with a default for each key that it leaves out."""

    kiosk: KioskSettings = field(default_factory=KioskSettings)
    rules: RulesSettings = field(default_factory=RulesSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    tablets: TabletsSettings = field(default_factory=TabletsSettings)
    palm: PalmSettings = field(default_factory=PalmSettings)
    log: LogSettings = field(default_factory=LogSettings)
    drivers: DriversSettings = field(default_factory=DriversSettings)
    readers: tuple[DeviceSettings, ...] = ()
    indicators: tuple[DeviceSettings, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """Returns the school's time zone."""
        return ZoneInfo(self.kiosk.timezone)
