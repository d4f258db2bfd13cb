"""A palm scanner behind its vendor's SDK, which runs in a process beside us. See docs/drivers/palm-bridge.md.

We listen on a unix socket, the vendor's process connects and speaks (`drivers.protocols.bridge`):

    hello  {"name":"…","version":"…","api":1}                   first of all; anything but api 1 is refused
    match  {"subject":"1042","score":9731,"hand":"left","live":true}
    ping   {}                                                   we answer pong
    fault  {"what":"…"}                                         for the technician, no match
    gone   {}                                                   the scanner was unplugged

Templates and pictures stay with the vendor: only an opaque number crosses, and a payload is passed over unread. A match
that its vendor does not call live is a fault and nobody's meal.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.errors import DeviceGone
from drivers.protocols import bridge
from drivers.protocols.fault import Fault
from drivers.readings import DeviceEvent, FaultCause, PersonMatched, StreamFault
from drivers.transports.base import tapped
from drivers.transports.local import LocalSocket

API = 1


class PalmBridgeSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    socket: str  # path of the unix socket to listen on
    score_min: Annotated[int, Meta(ge=0, le=10_000)] = 0  # ten-thousandths; beside the vendor's own threshold


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    api: int
    name: Annotated[str, Meta(max_length=64)] = ""
    version: Annotated[str, Meta(max_length=32)] = ""


class BridgeMatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Annotated[str, Meta(pattern="^[0-9A-Za-z_.:-]{1,64}$")]
    score: Annotated[int, Meta(ge=0, le=10_000)] = 0  # ten-thousandths
    hand: Literal["left", "right", ""] = ""
    live: bool = True


class VendorFault(msgspec.Struct, frozen=True, kw_only=True):
    what: Annotated[str, Meta(max_length=200)]


T = TypeVar("T")


class PalmBridge:
    Settings: ClassVar[type[DriverSettings]] = PalmBridgeSettings

    def __init__(
        self,
        name: str,
        settings: PalmBridgeSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.name = name
        self._settings, self._clock = settings, clock
        self._socket = LocalSocket(Path(settings.socket))
        self._transport = tapped(transport or self._socket, tap)
        self._peer = 0
        self._decoder = bridge.Decoder()
        self._gone_reason = ""

    def open(self) -> None:
        self._transport.open()
        self._decoder = bridge.Decoder()
        self._gone_reason = ""

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        if self._gone_reason:
            raise DeviceGone(self._gone_reason)
        data = self._transport.read(timeout_s)
        if self._socket.peers != self._peer:  # another process: what the last one left unfinished stays so
            self._peer, self._decoder = self._socket.peers, bridge.Decoder()
        events: list[DeviceEvent] = []
        for message in self._decoder.feed(data):
            event = self._fault(message.what) if isinstance(message, Fault) else self._on_message(message)
            if isinstance(event, DeviceGone):  # earlier events come first, the next read raises it
                self._gone_reason = str(event)
                break
            if event is not None:
                events.append(event)
        return events

    def close(self) -> None:
        self._transport.close()

    def _on_message(self, message: bridge.Message) -> DeviceEvent | DeviceGone | None:
        try:
            match message.type:
                case "hello":
                    return self._hello(_as(Hello, message.data))
                case "match":
                    return self._match(_as(BridgeMatch, message.data), message.payload_bytes)
                case "fault":
                    return self._fault(f"the vendor's process says: {_as(VendorFault, message.data).what!r}")
                case "ping":
                    self._transport.write(bridge.encode("pong"))
                    return None
                case "gone":
                    return DeviceGone(f"{self.name}: the vendor's process says that its scanner was unplugged")
                case _:
                    return self._fault("a message of unknown type")
        except msgspec.ValidationError:
            return self._fault(f"a message of type {message.type} whose data is wrong")

    def _hello(self, hello: Hello) -> DeviceGone | None:
        if hello.api != API:
            return DeviceGone(
                f"{self.name}: the vendor's process speaks api {hello.api}, we {API}: install one that fits"
            )
        self._transport.write(bridge.encode("hello", {"api": API}))
        return None

    def _match(self, match: BridgeMatch, payload_bytes: int) -> DeviceEvent:
        if payload_bytes:
            return self._fault("a match with a payload: pictures and templates stay with the vendor")
        if not match.live:
            return self._fault("a match that is not live: nobody's hand, or the scanner is dirty", FaultCause.CARD)
        if match.score < self._settings.score_min:
            return self._fault("a match below score_min", FaultCause.CARD)
        return PersonMatched(self.name, match.subject, self._clock(), "palm", match.score)

    def _fault(self, what: str, cause: FaultCause = FaultCause.LINE) -> StreamFault:
        return StreamFault(self.name, what, self._clock(), cause)


def _as(kind: type[T], data: Mapping[str, object]) -> T:
    return msgspec.convert(data, kind)
