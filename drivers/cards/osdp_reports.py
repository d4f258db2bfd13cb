"""An OSDP reader's settings, and how what it said becomes readings. Needs no libosdp: recordings use it too."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from msgspec import Meta

from drivers.base import DriverSettings
from drivers.cards.presence import HeldCards
from drivers.protocols.fault import Fault
from drivers.protocols.keypad import Keypad, KeyPresses
from drivers.protocols.line import Code
from drivers.protocols.osdp import OsdpReport
from drivers.protocols.osdp_card import card_uid
from drivers.readings import CardRead, CodeRead, DeviceEvent, StreamFault, Technology
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
        self._keypad = Keypad()

    def readings(self, report: OsdpReport | Fault, now_ns: int) -> Iterator[DeviceEvent]:
        if isinstance(report, Fault):
            yield StreamFault(self._name, report.what, now_ns, report.cause)
            return
        if isinstance(report, KeyPresses):
            yield from self._typed(self._keypad.press(report, now_ns), now_ns)
            return
        uid = card_uid(report, self._encoding, self._technology)
        if isinstance(uid, RejectedNumber):
            yield StreamFault(self._name, uid.why, now_ns, uid.cause)
        elif self._presence.frames(uid, now_ns) == 1:
            yield CardRead(self._name, uid, now_ns)
            yield CardRead(self._name, uid, now_ns, again=True)

    def wait(self, now_ns: int) -> Iterator[DeviceEvent]:
        """Ends what was typed at the keypad where the keys have been silent long enough."""
        yield from self._typed(self._keypad.wait(now_ns), now_ns)

    def clear(self) -> None:
        """Forgets the cards in the field and the keys typed: the next report of each card counts as a new one."""
        self._presence.clear()
        self._keypad.clear()

    def _typed(self, events: Iterable[Code | Fault], now_ns: int) -> Iterator[DeviceEvent]:
        for event in events:
            if isinstance(event, Fault):
                yield StreamFault(self._name, event.what, now_ns, event.cause)
            else:
                yield CodeRead(self._name, event.text, now_ns, keypad=True)
