"""Reads cards from a stream of bytes, for every reader that sends one: transport → protocol → `DeviceEvent`.

A driver hands in a transport and a decoder that already speaks of canonical numbers. Nothing here knows a device.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from drivers.base import Monotonic, Transport
from drivers.cards.presence import HeldCards
from drivers.protocols.fault import Fault
from drivers.readings import Authenticity, CardRead, CardRemoved, CodeRead, DeviceEvent, StreamFault, Uid
from drivers.uid import RejectedNumber


@dataclass(frozen=True, slots=True)
class CardSighting:
    """A card in the field. `proven`: the device itself has made sure that it is one, and reports it only once."""

    uid: Uid | RejectedNumber
    proven: bool = False
    authenticity: Authenticity = Authenticity.BARE


@dataclass(frozen=True, slots=True)
class StoredSighting:
    """A number out of a card's memory, which names its person as a code does."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardGone:
    """The field is empty."""


CardReport = CardSighting | StoredSighting | CardGone | Fault
Feed = Callable[[bytes], Sequence[CardReport]]


class CardStream:
    """The `Reader` behind a driver's few lines. `new_feed` makes a decoder without memory of what came before."""

    def __init__(
        self, name: str, transport: Transport, new_feed: Callable[[], Feed], *, hold_ms: int, clock: Monotonic
    ) -> None:
        self.name = name
        self._transport = transport
        self._new_feed = new_feed
        self._feed = new_feed()
        self._presence = HeldCards(hold_ms)
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
        return [event for sighting in self._feed(data) for event in self._report(sighting, now_ns)]

    def close(self) -> None:
        self._transport.close()

    def _report(self, sighting: CardReport, now_ns: int) -> Iterator[DeviceEvent]:
        match sighting:
            case CardSighting(uid=RejectedNumber(why=why, cause=cause)):
                yield StreamFault(self.name, why, now_ns, cause)
            case CardSighting(uid=Uid() as uid, proven=proven, authenticity=authenticity):
                frames = self._presence.frames(uid, now_ns)
                if frames == 1:
                    yield CardRead(self.name, uid, now_ns, authenticity=authenticity)
                if frames == (1 if proven else 2):
                    yield CardRead(self.name, uid, now_ns, again=True, authenticity=authenticity)
            case StoredSighting(text=text):
                if self._presence.frames(text, now_ns) == 1:
                    yield CodeRead(self.name, text, now_ns, authenticity=Authenticity.COPYABLE)
            case CardGone():
                self._presence.clear()
                yield CardRemoved(self.name, now_ns)
            case Fault(what=what, cause=cause):
                yield StreamFault(self.name, what, now_ns, cause)
