"""Writes what passes on an OSDP line as OSDPCAP: a tap for `devices capture`. See `drivers.protocols.osdpcap`.

Cards that pass in clear get a pseudonym, the same for a card under the same key, and a check that holds. What the
secure channel hides stays as it is: without the reader's key it tells nothing.
"""

import hmac
from typing import BinaryIO

from drivers.base import Monotonic
from drivers.protocols import osdp
from drivers.protocols.fault import Fault
from drivers.protocols.osdpcap import Direction, Record, encode

TRACE_BYTES_MAX = 64 * 1024 * 1024
_CARD_HEAD = {osdp.RAW: 4, osdp.FMT: 3}  # what stands before the number


class OsdpTrace:
    """`redact_key`: any secret bytes; None keeps card numbers, and such a file is a secret."""

    def __init__(
        self, out: BinaryIO, *, clock: Monotonic, redact_key: bytes | None, bytes_max: int = TRACE_BYTES_MAX
    ) -> None:
        self._out, self._clock, self._key, self._left = out, clock, redact_key, bytes_max
        self._decoders = {"RECV": osdp.Decoder(), "SEND": osdp.Decoder()}

    @property
    def full(self) -> bool:
        """The limit is reached; what comes now is not written."""
        return self._left == 0

    def __call__(self, direction: str, data: bytes) -> None:
        way: Direction = "SEND" if direction == "SEND" else "RECV"
        for event in self._decoders[way].feed(data):
            if not isinstance(event, Fault):  # a damaged frame still has most of a card's number
                self._write(encode(Record(self._clock(), way, self._redacted(event))))

    def _redacted(self, packet: osdp.Packet) -> bytes:
        head = _CARD_HEAD.get(packet.code)
        hidden = packet.security is not None and packet.security.encrypted
        if self._key is None or head is None or not packet.reply or hidden:
            return packet.raw
        number = packet.data[head:]
        digest = hmac.digest(self._key, number, "sha256")
        pseudonym = (digest * (1 + len(number) // len(digest)))[: len(number)]
        if packet.code == osdp.FMT:
            pseudonym = bytes(ord("0") + byte % 10 for byte in pseudonym)
        return osdp.encode(
            packet.address,
            packet.code,
            packet.data[:head] + pseudonym,
            sequence=packet.sequence,
            reply=True,
            crc=packet.crc,
        )

    def _write(self, line: bytes) -> None:
        if len(line) > self._left:
            self._left = 0
            return
        self._left -= self._out.write(line)
