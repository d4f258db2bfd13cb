"""Writes what passes on an OSDP line as OSDPCAP, and plays it again: for `devices capture` and `devices replay`.

Cards that pass in clear get a pseudonym, the same for a card under the same key, and a check that holds. What the
secure channel hides stays as it is: without the reader's key it tells nothing. A session cannot be spoken again, since
each is encrypted anew: it is replayed from what both sides said, and goes the driver's own way from there.
"""

import hmac
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from drivers.base import Monotonic
from drivers.cards.osdp_reports import OsdpSettings, Reports
from drivers.protocols import osdp
from drivers.protocols.fault import Fault
from drivers.protocols.keypad import KeyPresses
from drivers.protocols.osdp import Characters, OsdpCard, OsdpReport, parse_card
from drivers.protocols.osdp_card import between_parities
from drivers.protocols.osdp_secure import Opened
from drivers.protocols.osdpcap import Direction, OsdpStream, PassedBytes, encode, parse, replay
from drivers.readings import DeviceEvent

TRACE_BYTES_MAX = 64 * 1024 * 1024
_CARD_HEAD = {osdp.RAW: 4, osdp.FMT: 3, osdp.KEYPAD: 2}  # what stands before the number


class OsdpTrace:
    """A tap that writes OSDPCAP. `redact_key` is any secret bytes; None keeps card numbers, and such a file is a
    secret.
    """

    def __init__(
        self, out: BinaryIO, *, clock: Monotonic, redact_key: bytes | None, bytes_max: int = TRACE_BYTES_MAX
    ) -> None:
        self._out, self._clock, self._key, self._bytes_remaining = out, clock, redact_key, bytes_max
        self._decoders = {"RECV": osdp.Decoder(), "SEND": osdp.Decoder()}

    @property
    def full(self) -> bool:
        """Tells if the limit is reached; what passes after it is not written."""
        return self._bytes_remaining == 0

    def __call__(self, direction: str, data: bytes) -> None:
        way: Direction = "SEND" if direction == "SEND" else "RECV"
        for event in self._decoders[way].feed(data):
            if not isinstance(event, Fault):  # a damaged frame still has most of a card's number
                self._write(encode(PassedBytes(self._clock(), way, self._redacted(event))))

    def finish(self) -> None:
        """Ends the trace. Only an unfinished frame is lost, which is no frame. The file stays open: it is the
        caller's.
        """
        self._out.flush()

    def _redacted(self, packet: osdp.Packet) -> bytes:
        head = _CARD_HEAD.get(packet.code)
        hidden = packet.security is not None and packet.security.encrypted
        if self._key is None or head is None or not packet.reply or hidden:
            return packet.raw
        data = packet.data[:head] + self._pseudonym(packet, packet.data[head:])
        return osdp.encode(packet.address, packet.code, data, sequence=packet.sequence, reply=True, crc=packet.crc)

    def _pseudonym(self, packet: osdp.Packet, number: bytes) -> bytes:
        assert self._key is not None
        digest = hmac.digest(self._key, number, "sha256")
        match parse_card(packet.code, packet.data):
            case OsdpCard(bits=26 | 34 | 58 as bits):
                return between_parities(digest[: (bits - 2) // 8]).data
            case KeyPresses():  # of a PIN nothing is kept but that keys were pressed
                return bytes(ord("0") if chr(key).isdigit() else key for key in number)
            case Characters():
                return f"{int.from_bytes(digest[:4], 'big'):0{len(number)}d}"[-len(number) :].encode("ascii")
        return (digest * (1 + len(number) // len(digest)))[: len(number)]

    def _write(self, line: bytes) -> None:
        if len(line) > self._bytes_remaining:
            self._bytes_remaining = 0
            return
        self._bytes_remaining -= self._out.write(line)


def is_trace(first_line: bytes) -> bool:
    """Tells if a file with this first line is OSDPCAP, and not a capture of `drivers.bench.capture`."""
    return isinstance(parse(first_line), PassedBytes)


def events(
    lines: Iterable[bytes], settings: OsdpSettings, *, scbk: bytes | None = None, name: str = "replay"
) -> Iterator[DeviceEvent]:
    """Yields the events that the driver would have reported. `scbk` is the reader's key, for a session that was
    encrypted.
    """
    reports = Reports(name, settings)
    for t_ns, opened in replay(lines, scbk):
        yield from _readings(reports, opened, t_ns)


def stream_events(
    data: Iterable[bytes], settings: OsdpSettings, *, clock: Monotonic, scbk: bytes | None = None, name: str = "replay"
) -> Iterator[DeviceEvent]:
    """Yields the events of bytes as they pass on the line, both ways, or of an OSDPCAP file. See `events`."""
    reports, stream = Reports(name, settings), OsdpStream(scbk)
    for part in data:
        for opened in stream.feed(part):
            yield from _readings(reports, opened, clock())
    for opened in stream.flush():
        yield from _readings(reports, opened, clock())


def _readings(reports: Reports, opened: Opened | Fault, t_ns: int) -> Iterator[DeviceEvent]:
    reading: OsdpReport | Fault | None = opened if isinstance(opened, Fault) else None
    if isinstance(opened, Opened) and opened.packet.reply:
        reading = parse_card(opened.packet.code, opened.data)
    if reading is not None:
        yield from reports.readings(reading, t_ns)
