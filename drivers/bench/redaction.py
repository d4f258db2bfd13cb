"""Takes the card numbers out of a stream of bytes and leaves everything else that a developer needs.

A whole frame keeps its length, gets a pseudonym for its number and a checksum that holds: the same card is the same
pseudonym under the same key. Outside whole frames nothing but framing bytes survives, since a damaged frame, or one
read at the wrong speed, still tells most of a number. Chunks keep their times and cuts; they are held back until the
frame they are part of is whole.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drivers.bench import rewriting
from drivers.bench.rewriting import Pseudonym
from drivers.errors import NotSupported
from drivers.protocols import em4100, ironlogic, pcsc
from drivers.readings import Technology

HELD_BYTES_MAX = 4096

Piece = tuple[int, str, bytes]
"""Time in ns, direction, bytes."""

_FRAMING = b"\x00\x02\x03\r\n\xff"


@dataclass(frozen=True, slots=True)
class _Rewriting:
    ends: Callable[[bytes], Sequence[int]]  # behind each whole record
    rewrite: Callable[[bytes, Pseudonym], bytes | None]  # of one record with its end; same length, None: nothing of it
    framing: bytes = _FRAMING  # bytes that hold nothing of a number, kept outside of records


class Redactor:
    """Takes pieces of a stream and returns them without card numbers. Raises NotSupported for a protocol whose frames
    it cannot rewrite.
    """

    def __init__(self, protocol: str, key: bytes) -> None:
        if protocol not in _REWRITING:
            raise NotSupported(f"no redaction for {protocol or 'this driver'} yet: it cannot be captured redacted")
        self._rewriting = _REWRITING[protocol]
        self._key = key
        self._held: list[Piece] = []

    def push(self, t_ns: int, direction: str, data: bytes) -> list[Piece]:
        """Takes a piece, and returns the pieces that are free of card numbers: this one, or earlier ones."""
        self._held.append((t_ns, direction, data if direction == "RECV" else self._blank(data)))
        received = b"".join(data for _, direction, data in self._held if direction == "RECV")
        if len(received) > HELD_BYTES_MAX:
            return self._release(received, len(received))
        return self._release(received, max(self._rewriting.ends(received), default=0))

    def end(self) -> list[Piece]:
        """Returns the rest, in which an unfinished frame is no frame."""
        received = b"".join(data for _, direction, data in self._held if direction == "RECV")
        return self._release(received, len(received))

    def _release(self, received: bytes, size: int) -> list[Piece]:
        """Rewrites the first `size` bytes received and lets go of the pieces they came in."""
        rewritten = self._rewritten(received[:size])
        pieces: list[Piece] = []
        while self._held:
            t_ns, direction, data = self._held[0]
            if direction == "RECV":
                if not rewritten and data:
                    break
                pieces.append((t_ns, direction, rewritten[: len(data)]))
                length = min(len(data), len(rewritten))
                rewritten = rewritten[length:]
                if length < len(data):
                    self._held[0] = (t_ns, direction, data[length:])
                    break
            else:
                pieces.append((t_ns, direction, data))
            del self._held[0]
        return pieces

    def _rewritten(self, data: bytes) -> bytes:
        out, start = bytearray(), 0
        for end in self._rewriting.ends(data):
            record = data[start:end]
            changed = self._rewriting.rewrite(record, self._pseudonym)
            out += self._blank(record) if changed is None else changed
            start = end
        return bytes(out) + self._blank(data[start:])

    def _blank(self, data: bytes) -> bytes:
        return _blank(data, self._rewriting.framing)

    def _pseudonym(self, technology: Technology, value: bytes) -> bytes:
        digest = hmac.digest(self._key, value, "sha256")[: len(value)]
        if technology is Technology.ISO14443A and len(value) == 4:
            # neither a random number (08) nor a cascade tag (88)
            return bytes((digest[0] | 0x01,)) + digest[1:]
        return value[:1] + digest[1:]  # the maker's or customer's byte is no secret and keeps the number plausible


def _blank(data: bytes, framing: bytes = _FRAMING) -> bytes:
    return bytes(byte if byte in framing else ord("x") for byte in data)


def _em4100(record: bytes, pseudonym: Pseudonym) -> bytes:
    start = max(record.rfind(em4100.STX), 0)
    match em4100.Decoder().feed(record[start:]):
        case [em4100.Tag(value=value)]:
            frame = em4100.encode(pseudonym(Technology.EM4100, value), crlf=b"\r\n" in record[start:])
            return _blank(record[:start]) + frame
    return _blank(record)


def _ironlogic(record: bytes, pseudonym: Pseudonym) -> bytes:
    line, end = record[:-1], record[-1:]
    changed = ironlogic.renumber(line, pseudonym)
    return (_blank(line) if changed is None else changed) + end


def _pcsc(record: bytes, pseudonym: Pseudonym) -> bytes | None:
    changed = pcsc.renumber(record[:-1], pseudonym)
    return None if changed is None else changed + record[-1:]


def _after(marks: bytes) -> Callable[[bytes], Sequence[int]]:
    """Returns a function that finds where records end that end with any of these bytes."""
    return lambda data: [position + 1 for position, byte in enumerate(data) if byte in marks]


_REWRITING: Mapping[str, _Rewriting] = {
    "em4100": _Rewriting(_after(bytes((em4100.ETX,))), _em4100),
    "ironlogic": _Rewriting(_after(b"\r\n"), _ironlogic),
    "pcsc": _Rewriting(_after(b"\n"), _pcsc),
    "pn532": _Rewriting(rewriting.pn532_ends, rewriting.pn532_record, framing=b"\x00"),
    "line": _Rewriting(rewriting.line_ends, rewriting.line_record),
    "hid": _Rewriting(rewriting.find_hid_text_ends, rewriting.redact_hid_record, framing=b"\x00"),
}
