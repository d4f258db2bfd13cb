"""PN532 over HSU (a UART, 115200 8N1): frames, and the host's side of the conversation. After NXP UM0701-02.

    00 00 FF LEN LCS TFI CMD data DCS 00              LCS = -LEN, DCS = -(TFI + CMD + data); TFI D4 host, D5 chip
    00 00 FF FF FF LENH LENL LCS TFI CMD data DCS 00  extended: more than 255 bytes
    00 00 FF 00 FF 00                                 ACK; FF 00 instead of 00 FF: NACK
    00 00 FF 01 FF 7F 81 00                           the chip did not understand (syntax error)

What the manual does not say, or says quietly:
- After power-up or power-down the first command is lost more often than not: wake, then ask again.
- ACK and answer come in one read or in several, cut anywhere; a checksum may be 00, and so may the postamble's place.
- Two kinds of order for SENS_RES (ATQA) are in use; this chip sends 00 04.
- CPU cards append their ATS to the UID; it is no part of it.
- InDataExchange answers with a status first, whose low six bits are 0 where all went well.
- Left to itself the chip looks for a card for ever and answers nothing else: the number of its tries is set first.

A frame is taken only with both checksums right. A frame that fails is searched again from behind its start, so that
a good one inside what a broken one swallowed is not lost. Kept: at most one frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from drivers.protocols.fault import Fault

HOST, CHIP = 0xD4, 0xD5
ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
SYNTAX_ERROR = bytes.fromhex("0000ff01ff7f8100")
WAKE = bytes.fromhex("5555") + bytes(14)
PN532_FRAME_BYTES_MAX = 265  # TFI and 264 bytes: the chip has no room for more

_START = b"\x00\xff"
_QUIET = b"\x00\x55"  # preambles, postambles and the wake-up call


class Command(IntEnum):
    GET_FIRMWARE_VERSION = 0x02
    SAM_CONFIGURATION = 0x14
    POWER_DOWN = 0x16
    RF_CONFIGURATION = 0x32
    IN_DATA_EXCHANGE = 0x40
    IN_LIST_PASSIVE_TARGET = 0x4A


@dataclass(frozen=True, slots=True)
class Ack:
    """The chip has taken a command."""


@dataclass(frozen=True, slots=True)
class Nack:
    """One end asks for the last frame again."""


@dataclass(frozen=True, slots=True)
class Pn532Frame:
    """A whole frame. `body` starts with the command; the chip's answer to command n is n + 1."""

    sender: int  # HOST or CHIP
    body: bytes = field(repr=False)

    @property
    def code(self) -> int:
        return self.body[0]


Event = Ack | Nack | Pn532Frame | Fault


@dataclass(frozen=True, slots=True)
class Pn532Target:
    """A card that answered. `iso14443a` False means FeliCa, whose IDm stands in `uid`."""

    uid: bytes = field(repr=False)
    iso14443a: bool = True
    sens_res: int = 0
    sel_res: int = 0


def encode(sender: int, body: bytes) -> bytes:
    """Returns the frame around command and data, an extended one where the short form has no room."""
    size = len(body) + 1
    if not 1 < size <= PN532_FRAME_BYTES_MAX:
        raise ValueError(f"a PN532 frame holds 1 to {PN532_FRAME_BYTES_MAX - 1} bytes, not {len(body)}")
    if size <= 0xFF:
        head = bytes((size, -size & 0xFF))
    else:
        high, low = divmod(size, 256)
        head = b"\xff\xff" + bytes((high, low, -(high + low) & 0xFF))
    return b"\x00" + _START + head + bytes((sender,)) + body + bytes((-(sender + sum(body)) & 0xFF, 0))


def command(code: Command, data: bytes = b"") -> bytes:
    return encode(HOST, bytes((code,)) + data)


def targets(response: bytes) -> Sequence[Pn532Target] | Fault:
    """Returns the cards in an answer to InListPassiveTarget (`response`, without its code). It is empty for an empty
    field.
    """
    if not response or response[0] > 2:
        return Fault("an answer without the number of cards")
    cards: list[Pn532Target] = []
    rest = response[1:]
    for _ in range(response[0]):
        card_and_rest = _felica(rest) or _iso14443a(rest, alone=response[0] == 1)
        if card_and_rest is None:
            return Fault("a card's data of unknown form")
        target, size = card_and_rest
        cards.append(target)
        rest = rest[size:]
    return cards


def _felica(data: bytes) -> tuple[Pn532Target, int] | None:
    """Reads Tg | POL_RES length (12, or 14 with a system code) | 01 | IDm (8) | PMm (8) | …."""
    if len(data) < 3 or data[1] not in (0x12, 0x14) or data[2] != 0x01 or len(data) < 1 + data[1]:
        return None
    return Pn532Target(bytes(data[3:11]), iso14443a=False), 1 + data[1]


def _iso14443a(data: bytes, *, alone: bool) -> tuple[Pn532Target, int] | None:
    """Reads Tg | SENS_RES (2) | SEL_RES | UID length | UID | [ATS, its first byte its length]."""
    if len(data) < 5 or data[4] not in (4, 7, 10) or len(data) < 5 + data[4]:
        return None
    size = 5 + data[4]
    # SEL_RES announces an ATS; of a card that lies there alone, what follows can be nothing else.
    if len(data) > size and (alone or data[3] & 0x20):
        size += data[size]
    if size > len(data) or (alone and size != len(data)):
        return None
    return Pn532Target(bytes(data[5 : 5 + data[4]]), True, int.from_bytes(data[1:3], "big"), data[3]), size


def frames(data: bytes) -> Iterator[tuple[int, int, Event]]:
    """Yields where each whole frame begins and ends, and the frame; a damaged one is passed over."""
    position = 0
    while (start := data.find(_START, position)) >= 0:
        frame_and_size = _frame(bytearray(data[start : start + PN532_FRAME_BYTES_MAX + 8]))
        if frame_and_size is None:
            return
        event, size = frame_and_size
        position = start + size
        if not isinstance(event, Fault):
            yield start, position, event


class Decoder:
    """Turns bytes of both directions into frames and faults, however the bytes are cut."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._rubbish = False  # the run of rubbish we are in has been reported

    def feed(self, data: bytes) -> Sequence[Event]:
        self._held += data
        return self._take()

    def flush(self) -> Sequence[Event]:
        """Ends the stream, also after a silence. Returns the whole frames inside an unfinished one, and a fault for
        it.
        """
        events: list[Event] = []
        while (start := self._held.find(_START)) >= 0:
            events.append(Fault("a frame broke off"))
            self._rubbish = True
            del self._held[: start + 1]
            events += self._take()
        self._held.clear()
        self._rubbish = False
        return events

    def _take(self) -> list[Event]:
        events: list[Event] = []
        held = self._held
        while (start := held.find(_START)) >= 0:
            if start:
                self._skip(start, events)
            frame_and_size = _frame(held)
            if frame_and_size is None:
                return events
            event, size = frame_and_size
            self._rubbish = isinstance(event, Fault)
            events.append(event)
            del held[:size]
        # a 00 at the end may be the first half of a start
        self._skip(len(held) - (1 if held.endswith(b"\x00") else 0), events)
        return events

    def _skip(self, size: int, events: list[Event]) -> None:
        if not self._rubbish and self._held[:size].strip(_QUIET):
            self._rubbish = True
            events.append(Fault("bytes outside a frame"))
        del self._held[:size]


def _frame(held: bytearray) -> tuple[Event, int] | None:
    """Returns the frame at the start code in front, and the bytes it takes; None while more must come."""
    if len(held) < 4:
        return None
    first, second, head = held[2], held[3], 4
    if (first + second) & 0xFF == 0 and first:
        size = first
    elif first == 0x00 and second == 0xFF:
        return Ack(), 4
    elif first == 0xFF and second == 0x00:
        return Nack(), 4
    elif first == 0xFF and second == 0xFF:
        if len(held) < 7:
            return None
        size, head = held[4] << 8 | held[5], 7
        if (held[4] + held[5] + held[6]) & 0xFF:
            size = 0
    else:
        size = 0
    if not 1 <= size <= PN532_FRAME_BYTES_MAX:
        return Fault("a frame's length is damaged"), 1
    end = head + size + 1
    if len(held) < end:
        return None
    content = bytes(held[head:end])
    if sum(content) & 0xFF:
        return Fault("a checksum is wrong"), 1
    if size == 1:
        return Fault("the chip did not understand a command"), end
    if content[0] not in (HOST, CHIP):
        return Fault("a frame of neither host nor chip"), end
    return Pn532Frame(content[0], content[1:-1]), end
