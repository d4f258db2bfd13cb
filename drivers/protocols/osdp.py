"""OSDP version 2 on RS-485 (IEC 60839-11-5, SIA OSDP 2.2.2): frames of both directions, and the cards in them.

    [FF] 53 | address, 80 set in a reply | length, 2 bytes, LSB first | control | [security block] | code | data | check

    length    from 53 to the end of the check
    control   bits 0-1 sequence, bit 2: the check is a CRC (2 bytes), else a checksum (1 byte), bit 3: security block
    security  its own length, type, data; types 15 to 18 put 4 bytes of a MAC before the check, 17 and 18 encrypt data
    check     CRC-16, polynomial 1021, begun with 1D0F, LSB first; or the two's complement of the sum of all bytes

    reply 50  RAW: reader, format, number of bits (2 bytes, LSB first), the bits from the left, padded on the right
    reply 53  KEYPAD: reader, number of keys, the keys in ASCII; 7F for *, 0D for #
    reply 51  FMT: reader, direction, number of digits, digits in ASCII; withdrawn in 2.2.2, old readers still send it

The first byte is no proof of a frame: 53 occurs in data as well. So a frame whose check fails is looked through again
from its second byte. At most FRAME_BYTES_MAX bytes are kept; at most one fault is reported for a run of rubbish.
"""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.protocols.fault import Fault
from drivers.protocols.keypad import KeyPresses, osdp_keys
from drivers.readings import FaultCause

SOM, MARK = 0x53, 0xFF
PACKET_BYTES_MAX = 1440
CARD_BITS_MAX = 1024
POLL, CHALLENGE, SERVER_CRYPTOGRAM = 0x60, 0x76, 0x77
ACK, NAK, RAW, FMT, KEYPAD, INITIAL_MAC = 0x40, 0x41, 0x50, 0x51, 0x53, 0x78

_REPLY = 0x80
_SEQUENCE, _CRC, _SECURED, _RESERVED = 0x03, 0x04, 0x08, 0x70
_HEADER = 5
_MACED = range(0x15, 0x19)

NAK_REASONS = {
    1: "a check was wrong",
    2: "a command of wrong length",
    3: "a command it does not know",
    4: "a wrong sequence number",
    5: "it does not do this kind of secure channel",
    6: "it demands a secure channel",
    7: "it has no such biometric",
    8: "it has no such biometric format",
    9: "it cannot carry this command out",
}


@dataclass(frozen=True, slots=True)
class Security:
    """A security block. `mac` is empty where the type has none."""

    type: int
    data: bytes = field(repr=False)
    mac: bytes = field(repr=False)

    @property
    def encrypted(self) -> bool:
        return self.type in (0x17, 0x18)


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame whose check holds. `data` is as on the wire, perhaps encrypted. `raw`: from 53 on, with the check."""

    address: int
    reply: bool
    sequence: int
    code: int
    data: bytes = field(repr=False)
    security: Security | None
    raw: bytes = field(repr=False)
    crc: bool = True


@dataclass(frozen=True, slots=True)
class OsdpCard:
    """The bits of a card in the reader's order: from the left, padded on the right. `format` 1: with parity."""

    reader: int
    format: int
    bits: int
    data: bytes = field(repr=False)

    @property
    def number(self) -> int:
        return int.from_bytes(self.data, "big") >> (8 * len(self.data) - self.bits)


@dataclass(frozen=True, slots=True)
class Characters:
    """A card as digits, in reading order. The reply for them is withdrawn."""

    reader: int
    text: str = field(repr=False)


OsdpReport = OsdpCard | Characters | KeyPresses
Event = Packet | Fault


class Decoder:
    """Turns bytes into packets and faults, however the bytes are cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()  # begins with a SOM, or is empty
        self._rubbish = False  # the run of rubbish we are in has been reported

    def feed(self, data: bytes) -> Sequence[Event]:
        self._buffer += data
        events: list[Event] = []
        self._take(events)
        return events

    def flush(self) -> Sequence[Event]:
        """Ends the stream, also after a silence: unfinished bytes are no frame, but may hide one."""
        events: list[Event] = []
        while self._buffer:
            self._skip(events, "a frame broke off")
            self._take(events)
        self._rubbish = False
        return events

    def _take(self, events: list[Event]) -> None:
        """Appends every frame that is whole by now."""
        while True:
            self._to_start(events)
            size = _size(self._buffer)
            if size is None or size > len(self._buffer):
                return
            frame = bytes(self._buffer[:size]) if size else b""
            problem = _problem(frame) if size else "a header that no frame has"
            if problem:
                self._skip(events, problem)
                continue
            del self._buffer[:size]
            self._rubbish = False
            events.append(_packet(frame))

    def _to_start(self, events: list[Event]) -> None:
        """Throws away what stands before the next SOM; marks (FF) between frames are no rubbish."""
        start = self._buffer.find(SOM)
        passed = self._buffer if start < 0 else self._buffer[:start]
        if passed.strip(b"\xff"):
            self._fault(events, "bytes outside a frame")
        del self._buffer[: len(passed)]

    def _skip(self, events: list[Event], what: str) -> None:
        self._fault(events, what)
        del self._buffer[0]

    def _fault(self, events: list[Event], what: str) -> None:
        if not self._rubbish:
            events.append(Fault(what))
        self._rubbish = True


def encode(
    address: int, code: int, data: bytes = b"", *, sequence: int = 0, reply: bool = False, crc: bool = True
) -> bytes:
    """Returns a frame without a security block."""
    control = sequence & _SEQUENCE | (_CRC if crc else 0)
    size = _HEADER + 1 + len(data) + (2 if crc else 1)
    head = bytes((SOM, address | (_REPLY if reply else 0), size & 0xFF, size >> 8, control, code))
    return head + data + _check(head + data, crc=crc)


def card(packet: Packet) -> OsdpReport | Fault | None:
    """Returns the card or the keys in a reply in clear, or None where the reply holds no card."""
    if not packet.reply:
        return None
    return parse_card(packet.code, packet.data)


def parse_card(code: int, data: bytes) -> OsdpReport | Fault | None:
    """Returns the card or the keys in a reply's code and data, also those of a decrypted reply. See `card`."""
    if code == RAW:
        bits = int.from_bytes(data[2:4], "little")
        if len(data) < 4 or not 1 <= bits <= CARD_BITS_MAX or len(data) - 4 != (bits + 7) // 8:
            return Fault("a card whose number of bits does not fit its data")
        return OsdpCard(data[0], data[1], bits, data[4:])
    if code == FMT:
        if len(data) < 4 or data[2] != len(data) - 3 or not data[3:].isalnum():
            return Fault("a card as digits that does not fit its own length")
        digits = data[3:].decode("ascii")
        return Characters(data[0], digits[::-1] if data[1] else digits)
    if code == KEYPAD:
        if len(data) < 2 or len(data) != 2 + data[1]:
            return Fault("keys that do not fit their own number", FaultCause.CARD)
        return osdp_keys(data[2:])
    return None


def refusal(packet: Packet) -> str:
    """Returns why the reader refused a command; empty where it did not."""
    if not packet.reply or packet.code != NAK or (packet.security and packet.security.encrypted):
        return ""
    reason = packet.data[0] if packet.data else 0
    return NAK_REASONS.get(reason, f"reason {reason}")


def _size(buffer: bytearray) -> int | None:
    """Returns the whole length of the frame that begins here. None: not known yet. 0: no frame has it."""
    if len(buffer) < _HEADER:
        return None
    size = buffer[2] | buffer[3] << 8
    return size if _HEADER + 2 <= size <= PACKET_BYTES_MAX and not buffer[4] & _RESERVED else 0


def _problem(frame: bytes) -> str:
    """Returns the error of a frame that has its own length; empty where there is none."""
    crc = bool(frame[4] & _CRC)
    end = len(frame) - (2 if crc else 1)
    if _check(frame[:end], crc=crc) != frame[end:]:
        return "a checksum is wrong"
    if end < _HEADER + 1:
        return "a frame without a code"
    if frame[4] & _SECURED:
        block = frame[_HEADER]
        maced = block >= 2 and frame[_HEADER + 1] in _MACED
        if block < 2 or _HEADER + block + 1 + (4 if maced else 0) > end:
            return "a security block that does not fit its frame"
    return ""


def _packet(frame: bytes) -> Packet:
    control = frame[4]
    body = frame[_HEADER : -2 if control & _CRC else -1]
    security = None
    if control & _SECURED:
        block, body = body[: body[0]], body[body[0] :]
        mac = b""
        if block[1] in _MACED:
            body, mac = body[:-4], body[-4:]
        security = Security(block[1], block[2:], mac)
    return Packet(
        address=frame[1] & 0x7F,
        reply=bool(frame[1] & _REPLY),
        sequence=control & _SEQUENCE,
        code=body[0],
        data=body[1:],
        security=security,
        raw=frame,
        crc=bool(control & _CRC),
    )


def _check(data: bytes, *, crc: bool) -> bytes:
    if crc:
        return binascii.crc_hqx(data, 0x1D0F).to_bytes(2, "little")
    return bytes((-sum(data) & 0xFF,))
