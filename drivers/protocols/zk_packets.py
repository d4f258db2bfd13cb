"""Packets of ZKTeco's own protocol on port 4370, after the zk-protocol notes and pyzk.

    TCP    50 50 82 7D | length, 4 bytes | packet         UDP    a packet a datagram
    packet command, checksum, session, reply number, 2 bytes each, little-endian | data

The checksum is the one of the internet over the packet without itself, in little-endian words, an odd last byte filled
with zero. Known clients take it before they count the reply number up, and terminals accept that; `lenient` does.

A stream that is out of step is brought back at the next start mark; what lies between is one fault.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from drivers.protocols.fault import Fault

START = bytes.fromhex("5050827D")
HEAD_BYTES = 8
PACKET_DATA_BYTES_MAX = 128 * 1024  # terminals send 64 KiB at most in one packet
REPLY_NUMBERS = 0xFFFF  # the number after 65534 is 0
_HEAD = struct.Struct("<4H")
_FRAME = struct.Struct("<4sI")


class ZkCommand(IntEnum):
    """The commands and answers that are used here; a terminal knows more."""

    USERTEMP_RRQ = 9
    OPTIONS_RRQ = 11
    ATTLOG_RRQ = 13
    GET_FREE_SIZES = 50
    GET_TIME = 201
    REG_EVENT = 500
    CONNECT = 1000
    EXIT = 1001
    AUTH = 1102
    PREPARE_DATA = 1500
    DATA = 1501
    FREE_DATA = 1502
    DATA_WRRQ = 1503  # prepare a buffer
    DATA_RDY = 1504  # read a part of it
    ACK_OK = 2000
    ACK_ERROR = 2001
    ACK_UNAUTH = 2005


@dataclass(frozen=True, slots=True)
class ZkPacket:
    """One packet. Its data may hold names, cards and passwords."""

    command: int
    session: int
    number: int  # of the reply: an answer has its question's
    data: bytes = field(default=b"", repr=False)


Event = ZkPacket | Fault


def checksum(content: bytes) -> int:
    """Returns the checksum over a packet without its own two bytes."""
    total: int = sum(struct.unpack(f"<{(len(content) + 1) // 2}H", content + b"\0" * (len(content) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def encode_packet(packet: ZkPacket) -> bytes:
    """Returns a packet's bytes, as a datagram holds them."""
    head = struct.pack("<H", packet.command)
    rest = struct.pack("<2H", packet.session, packet.number) + packet.data
    return head + struct.pack("<H", checksum(head + rest)) + rest


def encode_frame(packet: ZkPacket) -> bytes:
    """Returns a packet's bytes with the mark and length that TCP needs."""
    content = encode_packet(packet)
    return _FRAME.pack(START, len(content)) + content


def parse_packet(content: bytes, *, lenient: bool = False) -> Event:
    """Reads one packet, as a datagram holds it."""
    if len(content) < HEAD_BYTES:
        return Fault("a packet that is too short")
    command, told, session, number = _HEAD.unpack_from(content)
    packet = ZkPacket(command, session, number, content[HEAD_BYTES:])
    counts = (number, (number - 1) % REPLY_NUMBERS) if lenient else (number,)
    if not any(_is_same(told, _checksum_with(packet, count)) for count in counts):
        return Fault("a packet whose checksum is wrong")
    return packet


def _checksum_with(packet: ZkPacket, number: int) -> int:
    return checksum(struct.pack("<3H", packet.command, packet.session, number) + packet.data)


def _is_same(left: int, right: int) -> bool:
    """Tells if two checksums are equal; in the arithmetic of ones' complement 0 and FFFF are."""
    return left % 0xFFFF == right % 0xFFFF


class Decoder:
    """Cuts a TCP stream into packets, however the bytes arrive."""

    def __init__(self, *, lenient: bool = False) -> None:
        self._lenient = lenient
        self._bytes = bytearray()
        self._in_step = True

    def feed(self, data: bytes) -> Sequence[Event]:
        """Takes bytes and returns the packets and faults that they complete."""
        self._bytes += data
        events: list[Event] = []
        while self._take(events):
            pass
        return events

    def _take(self, events: list[Event]) -> bool:
        """Takes one packet or one run of rubbish. False when more bytes are needed."""
        self._skip(events)
        if len(self._bytes) < HEAD_BYTES:
            return False
        _, length = _FRAME.unpack_from(self._bytes)
        event: Event = Fault("a packet of a length that no terminal sends")
        if HEAD_BYTES <= length <= HEAD_BYTES + PACKET_DATA_BYTES_MAX:
            if len(self._bytes) < HEAD_BYTES + length:
                return False
            event = parse_packet(bytes(self._bytes[HEAD_BYTES : HEAD_BYTES + length]), lenient=self._lenient)
        if isinstance(event, Fault):
            del self._bytes[:1]  # a start mark may lie inside
            self._tell(event, events)
        else:
            del self._bytes[: HEAD_BYTES + length]
            self._in_step = True
            events.append(event)
        return True

    def _skip(self, events: list[Event]) -> None:
        """Drops bytes before a start mark. What may be the beginning of one stays."""
        while self._bytes and not START.startswith(bytes(self._bytes[: len(START)])):
            place = self._bytes.find(START[:1], 1)
            del self._bytes[: place if place > 0 else len(self._bytes)]
            self._tell(Fault("bytes that are no packet of a terminal"), events)

    def _tell(self, fault: Fault, events: list[Event]) -> None:
        """Tells of a run of rubbish once."""
        if self._in_step:
            events.append(fault)
        self._in_step = False


def encode_comm_key(key: int, session: int, ticks: int = 50) -> bytes:
    """Returns the answer of a client that knows the terminal's communication key (its numeric password)."""
    mirrored = int(f"{key & 0xFFFFFFFF:032b}"[::-1], 2)
    summed = struct.pack("<I", (mirrored + session) & 0xFFFFFFFF)
    mixed = bytes(left ^ right for left, right in zip(summed, b"ZKSO", strict=True))
    low, high = mixed[:2], mixed[2:]
    first, second, _, last = high + low
    return bytes((first ^ ticks, second ^ ticks, ticks, last ^ ticks))
