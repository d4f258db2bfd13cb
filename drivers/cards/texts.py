"""Reads lines of text, for every reader that sends them: transport → decoder → meaning of the line → `DeviceEvent`.

A scanner may send no end of line at all, so silence ends a line too: `idle_ms` after the last byte, measured by the
clock that the driver was given.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, assert_never

from drivers.base import Monotonic, Transport
from drivers.cards.presence import HeldCards
from drivers.protocols.fault import Fault
from drivers.protocols.keypad import Keypad, KeyPresses
from drivers.protocols.line import Code, LineText
from drivers.protocols.line_forms import Meaning
from drivers.readings import CardRead, CodeRead, DeviceEvent, StreamFault, Uid
from drivers.uid import RejectedNumber


class Decoder(Protocol):
    """Cuts bytes into texts."""

    @property
    def pending(self) -> bool:
        """Tells if something has begun and not ended."""

    def feed(self, data: bytes) -> Sequence[LineText | Fault]: ...

    def flush(self) -> Sequence[LineText | Fault]: ...


class TextStream:
    """The `Reader` behind a driver's few lines. A text is sent once for a card, so one proves it. A scanner that sees
    the same code again within `hold_ms` is passed over.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        new_decoder: Callable[[], Decoder],
        meaning: Callable[[LineText], Meaning | KeyPresses],
        *,
        idle_ms: int,
        hold_ms: int,
        clock: Monotonic,
    ) -> None:
        self.name = name
        self._transport, self._clock = transport, clock
        self._new_decoder, self._meaning = new_decoder, meaning
        self._decoder = new_decoder()
        self._idle_ns, self._hold_ns = idle_ms * 1_000_000, hold_ms * 1_000_000
        self._presence = HeldCards(hold_ms)
        self._keypad = Keypad()
        self._last_ns = 0  # when the last bytes came
        self._last_code = ("", 0)  # and when it was seen last

    def open(self) -> None:
        self._transport.open()
        self._decoder = self._new_decoder()
        self._presence.clear()
        self._keypad.clear()
        self._last_code = ("", 0)

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        if self._decoder.pending:
            timeout_s = min(timeout_s, max(0.0, (self._last_ns + self._idle_ns - self._clock()) / 1e9))
        data = self._transport.read(timeout_s)
        now_ns = self._clock()
        texts: list[LineText | Fault] = []
        if self._decoder.pending and now_ns - self._last_ns >= self._idle_ns:
            texts += self._decoder.flush()
        if data:
            self._last_ns = now_ns
            texts += self._decoder.feed(data)
        ended = [event for said in self._keypad.wait(now_ns) for event in self._report(said, now_ns)]
        return ended + [event for text in texts for event in self._report(text, now_ns)]

    def close(self) -> None:
        self._transport.close()

    def _report(self, text: LineText | Code | Fault, now_ns: int) -> Iterator[DeviceEvent]:
        said = self._meaning(text) if isinstance(text, LineText) else text
        match said:
            case Uid():
                if self._presence.frames(said, now_ns) == 1:
                    yield CardRead(self.name, said, now_ns)
                    yield CardRead(self.name, said, now_ns, again=True)
            case KeyPresses():
                for typed in self._keypad.press(said, now_ns):
                    yield from self._report(typed, now_ns)
            case Code(text=content, keypad=True):  # the same typed again is another try, never an echo
                yield CodeRead(self.name, content, now_ns, keypad=True)
            case Code(text=content):
                before, last_ns = self._last_code
                self._last_code = (content, now_ns)
                if content != before or now_ns - last_ns > self._hold_ns:
                    yield CodeRead(self.name, content, now_ns)
            case RejectedNumber(why=what, cause=cause) | Fault(what=what, cause=cause):
                yield StreamFault(self.name, what, now_ns, cause)
            case _:
                assert_never(said)
