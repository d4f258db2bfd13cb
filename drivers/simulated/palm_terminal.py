"""`simulated-palm-terminal`: a palm terminal that matches by itself, fed by a demonstration or a trainer.

It listens on a unix socket for JSON lines; any program of the same user can feed it:

    {"number":"1042","score":9731}       a palm was matched; method is `palm` unless the line says otherwise
    {"unplug":true}                      the terminal goes away until it is reopened

Does not imitate: the time a match takes, palms that are not recognised, a terminal's own memory and clock, its
network. It sees no palms and holds no templates.
"""

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.errors import DeviceGone
from drivers.protocols import json_lines
from drivers.protocols.fault import Fault
from drivers.readings import DeviceEvent, PersonMatched, StreamFault
from drivers.transports.base import device_gone_on_error, tapped
from drivers.transports.local import LocalSocket


class SimulatedPalmTerminalSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    socket: str  # path of the unix socket to listen on


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line that is sent to the terminal."""

    number: Annotated[str, Meta(max_length=64, pattern="^[0-9A-Za-z_.:-]*$")] = ""
    method: Annotated[str, Meta(max_length=16, pattern="^[a-z]+$")] = "palm"
    score: Annotated[int, Meta(ge=0, le=10_000)] = 0  # ten-thousandths
    unplug: bool = False


_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


class SimulatedPalmTerminal:
    Settings: ClassVar[type[DriverSettings]] = SimulatedPalmTerminalSettings

    def __init__(
        self,
        name: str,
        settings: SimulatedPalmTerminalSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.name = name
        self._transport = tapped(transport or LocalSocket(Path(settings.socket)), tap)
        self._clock = clock
        self._decoder = json_lines.Decoder()
        self._unplugged = False

    def open(self) -> None:
        self._transport.open()
        self._decoder = json_lines.Decoder()
        self._unplugged = False

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        if self._unplugged:
            raise DeviceGone(f"the simulated palm terminal {self.name} was unplugged")
        events: list[DeviceEvent] = []
        for line in self._decoder.feed(self._transport.read(timeout_s)):
            match line:
                case Fault(what=what):
                    events.append(StreamFault(self.name, what, self._clock()))
                case bytes():
                    event = self._meaning(line)
                    if event is None:  # unplugged: earlier events come first, the next read raises it
                        break
                    events.append(event)
        return events

    def close(self) -> None:
        self._transport.close()

    def _meaning(self, line: bytes) -> DeviceEvent | None:
        try:
            said = _said.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return StreamFault(self.name, "a line that is no match: send {'number': '…'}", self._clock())
        if said.unplug:
            self._unplugged = True
            return None
        if not said.number:
            return StreamFault(self.name, "a match without a number", self._clock())
        return PersonMatched(self.name, said.number, self._clock(), said.method, said.score)


class PalmFeeder:
    """The trainer's hand: it makes a running terminal report a person."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(5)
        try:
            with device_gone_on_error(f"no terminal listens on {path}: start the kiosk first"):
                self._socket.connect(str(path))
        except DeviceGone:
            self._socket.close()
            raise

    def match(self, number: str, score: int = 0) -> None:
        self._say(Said(number=number, score=score))

    def unplug(self) -> None:
        self._say(Said(unplug=True))

    def close(self) -> None:
        self._socket.close()

    def _say(self, said: Said) -> None:
        with device_gone_on_error("the terminal hung up"):
            self._socket.sendall(msgspec.json.encode(said) + b"\n")
