"""What every reader shares that sends cards as a stream of bytes: transport → protocol → `DeviceEvent`.

A driver hands in a transport and a decoder that already speaks of canonical numbers. Nothing here knows a device.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from drivers.base import Monotonic, Transport
from drivers.cards.presence import Presence
from drivers.protocols.fault import Fault
from drivers.readings import CardRead, CardRemoved, DeviceEvent, StreamFault, Uid
from drivers.uid import Rejected


@dataclass(frozen=True, slots=True)
class Seen:
    """A card in the field. `proven`: the device itself has made sure that it is one, and says it only once."""

    uid: Uid | Rejected
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """The field is empty."""


Feed = Callable[[bytes], Sequence[Seen | Left | Fault]]


class CardStream:
    """The `Reader` behind a driver's few lines. `new_feed` makes a decoder without memory of what came before."""

    def __init__(
        self, name: str, transport: Transport, new_feed: Callable[[], Feed], *, hold_ms: int, clock: Monotonic
    ) -> None:
        self.name = name
        self._transport = transport
        self._new_feed = new_feed
        self._feed = new_feed()
        self._presence = Presence(hold_ms)
        self._clock = clock

    def open(self) -> None:
        self._transport.open()
        self._feed = self._new_feed()
        self._presence.clear()

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        data = self._transport.read(timeout_s)
        if not data:
            return ()
        now_ns = self._clock()
        return [event for seen in self._feed(data) for event in self._report(seen, now_ns)]

    def close(self) -> None:
        self._transport.close()

    def _report(self, seen: Seen | Left | Fault, now_ns: int) -> Iterator[DeviceEvent]:
        match seen:
            case Seen(uid=Rejected(why=why)):
                yield StreamFault(self.name, why, now_ns)
            case Seen(uid=Uid() as uid, proven=proven):
                frames = self._presence.frames(uid, now_ns)
                if frames == 1:
                    yield CardRead(self.name, uid, now_ns)
                if frames == (1 if proven else 2):
                    yield CardRead(self.name, uid, now_ns, again=True)
            case Left():
                self._presence.clear()
                yield CardRemoved(self.name, now_ns)
            case Fault(what=what):
                yield StreamFault(self.name, what, now_ns)
