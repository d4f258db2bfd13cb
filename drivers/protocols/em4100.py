"""EM4100 over a serial line: RDM6300, RDM630 (14 bytes), ID-12LA, ID-20LA (16 bytes). 9600 8N1.

    02 | 10 ASCII hex: version, id (4 bytes) | 2 ASCII hex: XOR of the five | [0D 0A] | 03

A held card repeats its frame without a pause. Three things the data sheets do not say:
- Noise makes frames whose checksum holds (`000000000000`, `00F00000F000`). One frame is no proof of a card.
- A frame may break off and the next begin at once, so a 02 always starts anew.
- Not all customers are number 00: a checksum over the last four bytes alone, as some firmware has it, loses cards.

Rules for this file: every byte moves the decoder by one step, so that no cut of the stream can change the events;
at most one fault for a run of rubbish; nothing kept beyond one frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.protocols.fault import Fault

STX, ETX = 0x02, 0x03
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_DIGITS = 12
_BODY_MAX = _DIGITS + 2  # the digits and CR LF


@dataclass(frozen=True, slots=True)
class Tag:
    """The five bytes of a frame whose checksum holds: version, then the id big-endian."""

    value: bytes = field(repr=False)


Event = Tag | Fault


def checksum(value: bytes) -> int:
    check = 0
    for byte in value:
        check ^= byte
    return check


def encode(value: bytes, *, crlf: bool = False) -> bytes:
    """Returns the frame of a tag (5 bytes), as RDM6300 sends it, or with `crlf` as ID-12LA does."""
    if len(value) != 5:
        raise ValueError(f"an EM4100 tag has 5 bytes, not {len(value)}")
    digits = (value + bytes((checksum(value),))).hex().upper().encode()
    return bytes((STX,)) + digits + (b"\r\n" if crlf else b"") + bytes((ETX,))


class Decoder:
    """Turns bytes into tags and faults, however the bytes are cut."""

    def __init__(self) -> None:
        self._body: bytearray | None = None  # since the last STX; None: outside a frame
        self._rubbish = False  # the run of rubbish we are in has been reported

    def feed(self, data: bytes) -> Sequence[Event]:
        events: list[Event] = []
        for byte in data:
            event = self._step(byte)
            if event is not None:
                events.append(event)
        return events

    def flush(self) -> Sequence[Event]:
        """Ends the stream, also after a silence; an unfinished frame is no frame."""
        broken = self._body is not None
        self._body, self._rubbish = None, False
        return [Fault("a frame broke off")] if broken else []

    def _step(self, byte: int) -> Event | None:
        body = self._body
        if byte == STX:
            self._body, self._rubbish = bytearray(), False
            return None if body is None else Fault("a frame broke off and the next began")
        if body is None:
            if self._rubbish or byte in b"\r\n":
                return None
            self._rubbish = True
            return Fault("bytes outside a frame")
        if byte == ETX:
            self._body = None
            return _tag(bytes(body))
        body.append(byte)
        if _possible(body):
            return None
        self._body, self._rubbish = None, True
        return Fault("a byte that does not belong in a frame")


def _possible(body: bytearray) -> bool:
    """Tells if the last byte of `body` may stand where it does."""
    position, byte = len(body) - 1, body[-1]
    if position < _DIGITS:
        return byte in _HEX
    return position < _BODY_MAX and byte == b"\r\n"[position - _DIGITS]


def _tag(body: bytes) -> Event:
    if len(body) not in (_DIGITS, _BODY_MAX):
        return Fault("a frame is too short")
    value = bytes.fromhex(body[:_DIGITS].decode("ascii"))
    if checksum(value):
        return Fault("a checksum is wrong")
    return Tag(value[:5])
