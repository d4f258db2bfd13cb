"""An OSDP reader's settings, and how what it said becomes readings. Needs no libosdp: recordings use it too."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from drivers.base import DriverSettings
from drivers.cards.presence import HeldCards
from drivers.protocols.fault import Fault
from drivers.protocols.osdp import Characters, OsdpCard
from drivers.protocols.osdp_card import card_uid
from drivers.readings import CardRead, DeviceEvent, StreamFault, Technology
from drivers.uid import RejectedNumber, UidEncoding


class OsdpSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: str  # /dev/serial/by-id/… or /dev/serial/by-path/…
    key_file: str = ""  # 32 hex digits; a plain name stands in the credentials folder
    address: Annotated[int, Meta(ge=0, le=126)] = 0
    baud: Annotated[int, Meta(ge=9600, le=230_400)] = 9600
    uid_encoding: Literal["hex", "hex-reversed", "w34", "w34-reversed"] = "hex"  # of cards without parity bits
    technology: Technology = Technology.UNKNOWN  # of the cards, where the school has one kind only
    hold_ms: Annotated[int, Meta(ge=50, le=10_000)] = 1_000  # a card reported later than this is put down anew
    commissioning: bool = False  # without a key: only while one is being set, never with children


class Reports:
    """Turns a reader's reports into readings, both live and from a recording."""

    def __init__(self, name: str, settings: OsdpSettings) -> None:
        self._name, self._technology = name, settings.technology
        self._encoding = UidEncoding(settings.uid_encoding)
        self._presence = HeldCards(settings.hold_ms)

    def readings(self, report: OsdpCard | Characters | Fault, now_ns: int) -> Iterator[DeviceEvent]:
        if isinstance(report, Fault):
            yield StreamFault(self._name, report.what, now_ns, report.cause)
            return
        uid = card_uid(report, self._encoding, self._technology)
        if isinstance(uid, RejectedNumber):
            yield StreamFault(self._name, uid.why, now_ns, uid.cause)
        elif self._presence.frames(uid, now_ns) == 1:
            yield CardRead(self._name, uid, now_ns)
            yield CardRead(self._name, uid, now_ns, again=True)

    def clear(self) -> None:
        """Forgets the cards in the field: the next report of each counts as a new one."""
        self._presence.clear()
