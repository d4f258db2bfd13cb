"""Wiegand 26, 34 and 58: the bits of a card between two parity bits, as a converter passes them on; 32 without any.

    P data(24) P      first parity: the first half (13 bits with it) has an even number of ones
    P data(32) P      last parity: the second half has an odd number of ones
    P data(56) P      the seven bytes of a whole number
    data(32)          nothing says that it is whole: only its length is checked

Written as ASCII `0` and `1`; anything else ends a frame. Three things happen on the wires D0 and D1:
- They are swapped: every bit is inverted. A half has an odd number of bits, so both parities fail, and both hold after
  inverting. Said as a fault, never corrected: one damaged frame in four looks the same. 32 bits cannot tell.
- Noise or a second card makes frames of another length (23 to 38 bits were seen).
- 24 or 32 bits are not a whole number: the card's other bytes never pass these wires. 56 are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from drivers import uid
from drivers.protocols.fault import Fault
from drivers.readings import FaultCause, Technology, Uid
from drivers.uid import RejectedNumber, UidEncoding, from_bytes

SIZES = (26, 34, 58, 32)
BARE = 32  # without parities
SWAPPED = "both parities are inverted: D0 and D1 are swapped, swap the wires"
_BLANKS = frozenset(b"\r\n\t ,;\x00")


@dataclass(frozen=True, slots=True)
class WiegandCard:
    """The data bits of a frame whose parities hold, or that has none: 3, 4 or 7 bytes big-endian."""

    value: bytes = field(repr=False)


Event = WiegandCard | Fault


def encode(value: bytes) -> str:
    """Returns the bits with parities for 3 bytes (W26), 4 (W34) or 7 (W58)."""
    if len(value) not in (3, 4, 7):
        raise ValueError(f"Wiegand 26, 34 and 58 carry 3, 4 or 7 bytes, not {len(value)}")
    data = "".join(f"{byte:08b}" for byte in value)
    half = len(data) // 2
    return str(data[:half].count("1") % 2) + data + str(1 - data[half:].count("1") % 2)


def encode_bare(value: bytes) -> str:
    """Returns the 32 bits for 4 bytes, without parities (W32)."""
    if len(value) != BARE // 8:
        raise ValueError(f"Wiegand 32 carries 4 bytes, not {len(value)}")
    return "".join(f"{byte:08b}" for byte in value)


def frame(bits: str, size: int) -> Event:
    """Returns the card behind `size` bits written as 0 and 1, or a fault."""
    if len(bits) != size:
        return Fault("a frame is too short" if len(bits) < size else "a frame is too long: noise, or two cards at once")
    if size == BARE:
        return WiegandCard(int(bits, 2).to_bytes(size // 8, "big"))
    if _sound(bits):
        return WiegandCard(int(bits[1:-1], 2).to_bytes((size - 2) // 8, "big"))
    if _sound(bits.translate(_INVERTED)):
        return Fault(SWAPPED, FaultCause.SETTINGS)
    return Fault("a parity is wrong", FaultCause.CARD)


def to_uid(
    value: bytes, encoding: UidEncoding | None = None, technology: Technology = Technology.UNKNOWN
) -> Uid | RejectedNumber:
    """Returns the canonical number of 3 or 4 data bytes, the low bits of a card; 7 bytes are a whole number."""
    backwards = encoding in (UidEncoding.W34_REVERSED, UidEncoding.HEX_REVERSED)
    if len(value) == 7:
        return from_bytes(value, UidEncoding.HEX_REVERSED if backwards else UidEncoding.HEX, technology)
    if len(value) == 3:
        low = value[::-1] if backwards else value
        return uid.to_uid(f"{low[0]},{int.from_bytes(low[1:], 'big')}", UidEncoding.W26, technology)
    return from_bytes(value, UidEncoding.W34_REVERSED if backwards else UidEncoding.W34, technology)


class Decoder:
    """Turns ASCII bits into cards and faults, however the bytes are cut."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bits = bytearray()  # one more than a frame is enough to know that it is too long
        self._rubbish = False

    def feed(self, data: bytes) -> Sequence[Event]:
        return [event for byte in data for event in self._step(byte)]

    def flush(self) -> Sequence[Event]:
        """Ends the stream, also after a silence: the bits so far are a frame, without any end mark."""
        self._rubbish = False
        return list(self._end())

    def _step(self, byte: int) -> Iterator[Event]:
        if byte in b"01":
            self._rubbish = False
            if len(self._bits) <= self._size:
                self._bits.append(byte)
            return
        yield from self._end()
        if byte not in _BLANKS and not self._rubbish:
            self._rubbish = True
            yield Fault("bytes that are no bits")

    def _end(self) -> Iterator[Event]:
        if self._bits:
            bits = self._bits.decode("ascii")
            self._bits.clear()
            yield frame(bits, self._size)


_INVERTED = str.maketrans("01", "10")


def _sound(bits: str) -> bool:
    half = len(bits) // 2
    return bits[:half].count("1") % 2 == 0 and bits[half:].count("1") % 2 == 1
